"""Names that can be printed, and stay apart."""

import os

from tasks.names import printable


def test_names_are_printable_and_stay_apart() -> None:
    given = [
        "a b/é.jpg",
        os.fsdecode(b"\xe9.jpg"),
        "\\xe9.jpg",
        "a\nb",
        "a\x85b",
        "a\\nb",
        "\u200b",
    ]
    given += [os.fsdecode(b"a\x85b"), "\\u0085", "\U000e0001", "\\"]
    shown = [printable(name) for name in given]
    assert len(set(shown)) == len(given)
    for name in shown:
        assert name.isprintable()
        name.encode()
    assert shown[:4] == ["a b/é.jpg", r"\xe9.jpg", r"\\xe9.jpg", r"a\u000ab"]
