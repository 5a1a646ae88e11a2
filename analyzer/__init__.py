"""mailwhy: an offline expert system for mail trouble."""

__version__ = "0.1.0"
