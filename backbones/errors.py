"""The exceptions of this package; importing them costs nothing."""


class LoadError(ValueError):
    """An encoder that cannot be had as asked. The message is for the user, who can mend it."""
