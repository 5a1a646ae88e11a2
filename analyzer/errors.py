"""What mailwhy raises when the user, or a file of knowledge, made a mistake."""


class MailwhyError(Exception):
    """A mistake that is told in one line, without a traceback."""


class UnreadableInput(MailwhyError):
    """A file, folder or stream that cannot be read."""


class InvalidKnowledge(MailwhyError):
    """A grammar or a rule that does not hold; the text has one problem a line, each with its place."""


class MissingData(MailwhyError):
    """`grammars/` or `rules/` is not where it belongs."""
