"""What a person sees of a download: terms and size before it begins, then how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backbones import Entry
    from backbones.download import Progress
    from harness.console import Advance, Console


@contextmanager
def download_shown(name: str, console: Console) -> Iterator[Progress]:
    """Give the body what `backbones.load` takes as `progress`; nothing is shown of a file that is
    already there.

    Args:
        name: of the encoder.
        console: where it is shown.
    """
    import backbones

    entry = backbones.catalogue().get(name)
    advance: Advance | None = None
    shown = 0

    with ExitStack() as stack:

        def progress(done: int, total: int | None) -> None:
            nonlocal advance, shown
            if advance is None:
                shown = _mib(done)
                if entry is not None:
                    console.header(f"fetching {name}", terms(entry, total or entry.size))
                whole = None if total is None else _mib(total)
                advance = stack.enter_context(console.phase(f"fetch {name}", whole, "MiB", shown))
            # Bytes come in thousands of pieces, and one step of a bar is enough a MiB.
            if _mib(done) != shown:
                advance(_mib(done) - shown)
                shown = _mib(done)

        yield progress


def terms(entry: Entry, size: int | None) -> list[tuple[str, str]]:
    """Rows of name and value: what a file is, its licence, source and size."""
    return [
        ("encoder", entry.about),
        ("licence", entry.licence),
        ("data", entry.data),
        ("source", entry.address),
        ("size", "not told by the server" if size is None else f"{size / 2**20:.1f} MiB"),
    ]


def _mib(size: int) -> int:
    return size >> 20
