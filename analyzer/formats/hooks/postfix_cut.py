"""What is left of Postfix's lines says what whole ones do."""

from analyzer.formats.hooks.postfix import events

__all__ = ["events"]
