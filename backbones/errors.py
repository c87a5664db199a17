"""The exceptions of this package; importing them costs nothing."""


class LoadError(ValueError):
    """An encoder that cannot be had as asked. The message is for the user, who can mend it.

    It is one line of printable text: names out of a file may hold line breaks and what moves a
    terminal's cursor.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_printable, message)))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


class RefusedOffer(UserWarning):
    """An installed package offers a name that has a meaning here: the name keeps its meaning, and
    whoever uses it is told that the package's offer is not what they get."""
