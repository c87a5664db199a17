"""The named encoders as a person or a program reads them; imports neither torch nor a family."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import backbones
from backbones import Entry, Pair, catalogue, named, objectives, pairs
from backbones.entries import outside
from harness.cli.output import columns
from harness.errors import UserError

WIDTH = 100


def selected(objective: str | None, family: str | None) -> dict[str, Entry]:
    """The encoders of an objective and of a family, or all.

    Raises:
        UserError: nothing has that objective or family.
    """
    entries = catalogue()
    found = dict(entries)
    for option, value in {"objective": objective, "family": family}.items():
        known = sorted({getattr(entry, option) for entry in entries.values()})
        if value is not None and value not in known:
            raise UserError(f"no encoder has the {option} `{value}`; there are {', '.join(known)}")
        found = {n: e for n, e in found.items() if value in (None, getattr(e, option))}
    if not found:
        raise UserError(f"no encoder has both the objective `{objective}` and family `{family}`")
    return found


def table(entries: dict[str, Entry]) -> str:
    """One line an encoder."""
    return columns(
        (name, entry.objective, entry.family, f"{entry.input_size} px", entry.licence, entry.data,
         entry.about)
        for name, entry in entries.items()
    )  # fmt: skip


def standing() -> str:
    """Which encoder stands for an objective at which scale."""
    rows = [
        (f"  {objective}", ", ".join(f"{scale}: {name}" for scale, name in scales.items()))
        for objective, scales in objectives().items()
    ]
    random = ("  random", "what stands for simmim, initialised from the seed of the run")
    return columns([*rows, random])


def offered() -> list[dict[str, str]]:
    """The encoders of other packages: name, package, and what is said of each, or why it cannot be
    had. Where there are any they are imported, and torch with them."""
    from backbones.families import GROUP
    from backbones.offers import offers

    if not offers(GROUP):
        return []
    from backbones.outside import listing

    return [dict(zip(("name", "package", "about"), row, strict=True)) for row in listing()]


def describe(name: str) -> dict[str, Any]:
    """Everything that is known of an encoder, for JSON.

    Raises:
        LoadError: no encoder has that name, or another package's cannot be loaded.
    """
    if outside(name):
        return backbones.check(name).as_dict()
    entry = named(name)
    path, here = place(entry)
    return {
        **asdict(entry),
        "address": entry.address,
        "stands_for": [
            {"objective": objective, "scale": scale}
            for objective, scales in objectives().items()
            for scale, standing in scales.items()
            if standing == name
        ],
        "path": str(path),
        "here": here,
        "pairs": [asdict(pair) for pair in pairs(name)],
    }


def place(entry: Entry) -> tuple[Path, bool]:
    """Where the file of an encoder lies, or would, and whether it does, looked for by name.

    Raises:
        LoadError: HARNESS_WEIGHTS is no folder.
    """
    from backbones.fetch import folders

    places = [entry.shipped_path] if entry.shipped else [f / entry.file for f in folders()]
    here = [path for path in places if path.is_file()]
    return (here or places[-1:])[0], bool(here)


def page(name: str) -> str:
    """Everything that is known of an encoder, for a terminal.

    Raises:
        LoadError: no encoder has that name, or another package's cannot be loaded.
    """
    if outside(name):
        from harness.cli.backbone import page as loaded

        return loaded(backbones.check(name))
    said = describe(name)
    entry = named(name)
    stands = ", ".join(f"{at['objective']} at {at['scale']}" for at in said["stands_for"])
    rows = [
        ("about", entry.about),
        ("objective", entry.objective),
        ("stands for", stands or "no objective"),
        ("data", entry.data),
        ("licence", entry.licence),
        ("family", f"{entry.family}, layout of the file: {entry.format}"),
        ("input", f"{entry.input_size} px, mean {_three(entry.mean)}, std {_three(entry.std)}"),
        ("pooled", entry.pool),
        *[(f"{key}", f"{value}, as the file does not tell") for key, value in entry.arch.items()],
        ("source", entry.address + (", by hand" if entry.by_hand else "")),
        ("file", f"{said['path']}: {'here' if said['here'] else 'not here'}"),
        ("hash", _hash(entry)),
        ("size", _size(entry)),
        ("evidence", entry.evidence),
    ]
    return "\n\n".join([f"{name}\n{aligned(rows)}", *map(_pair, pairs(name))])


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """Lines of name and value; values that are longer than a line go on below themselves."""
    width = max(len(name) for name, _ in rows) + 4
    lines = []
    for name, value in rows:
        first = f"  {name}".ljust(width)
        lines.append(wrapped(value, first, " " * width))
    return "\n".join(lines)


def wrapped(text: str, first: str, others: str) -> str:
    """A text in lines of the width of a page, what stands before the first and before the others
    included; words stay whole."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _pair(pair: Pair) -> str:
    """A pair: what is compared, and what differs beside the objective."""
    first, second = pair.encoders
    head = wrapped(f"{first} and {second}: {pair.compared}; {pair.evidence}", "", "  ")
    width = max(map(len, pair.differs)) + 4
    column = (WIDTH - width) // 2
    lines = [" " * width + first.ljust(column) + second]
    for point, values in pair.differs.items():
        left, right = (textwrap.wrap(value, column - 2) for value in values)
        for number in range(max(len(left), len(right))):
            cells = [cell[number] if number < len(cell) else "" for cell in (left, right)]
            name = f"  {point}" if number == 0 else ""
            lines.append((name.ljust(width) + cells[0].ljust(column) + cells[1]).rstrip())
    return "\n".join([head, *lines])


def _three(values: tuple[float, float, float]) -> str:
    return " ".join(str(value) for value in values)


def _size(entry: Entry) -> str:
    if entry.size:
        return f"{entry.size:,} bytes"
    if entry.by_hand:
        return "not published; the page of the download tells it"
    return "not published; the server tells it, and fetching shows it before anything comes"


def _hash(entry: Entry) -> str:
    if entry.sha256:
        return f"SHA-256 {entry.sha256}"
    if entry.sha256_prefix:
        return f"SHA-256 {entry.sha256_prefix}..., as published; the rest is recorded when fetched"
    if entry.md5_prefix:
        return f"MD5 {entry.md5_prefix}..., as published; SHA-256 is recorded when fetched"
    return "none published; SHA-256 is recorded when fetched"
