"""File names in messages, digests and tables: always printable, never two alike."""

from __future__ import annotations

_ESCAPED = range(0xDC80, 0xDD00)
"""What Python puts in place of the bytes 0x80 to 0xff of a name that is not UTF-8 (PEP 383)."""


def printable(name: str) -> str:
    r"""Return a name as valid Unicode on one line; different names stay different.

    A byte that is not UTF-8 becomes `\xNN`, a character that cannot be printed `\uNNNN` or
    `\UNNNNNNNN`, a backslash two.
    """
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(map(_printable, name))


def _printable(character: str) -> str:
    number = ord(character)
    if character == "\\":
        return "\\\\"
    if number in _ESCAPED:
        return f"\\x{number - 0xDC00:02x}"
    if character.isprintable():
        return character
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
