"""What was found inside encoders as one value an encoder, to be set beside scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from results.files import ResultsError
from results.record import Record
from results.settings import differences, key

WORD = "inspect"
DEFAULT = "attention.kl"
"""Diversity of heads: the divergence between the heads of a block."""
PLACES = {
    "last": "mean over the last quarter of blocks",
    "first": "mean over the first quarter of blocks",
    "all": "mean over all blocks",
}
QUARTER = {"first": 1, "last": 4}


@dataclass(frozen=True)
class Wanted:
    """A measure such as `attention.kl`, and where: of PLACES, or the number of a block."""

    measure: str
    place: str

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.measure}, {PLACES.get(self.place, f'block {self.place}')}"


@dataclass(frozen=True)
class Column:
    """One value an encoder.

    Attributes:
        title: what it is.
        about: what it was measured with, in words.
        values: by what `subject` gives.
        missing: why an inspected encoder has no value, likewise.
    """

    title: str
    about: str
    values: Mapping[str, float]
    missing: Mapping[str, str]


def quarter(depth: int, which: int) -> list[int]:
    """The blocks, from 0, of the first (1) to last (4) quarter of an encoder: a block belongs to
    the quarter that its middle lies in. Of 12 blocks the last are 9 to 11; with fewer than four
    blocks some quarters have none."""
    return [b for b in range(depth) if which - 1 <= (b + 0.5) * 4 / depth < which]


def parse(text: str) -> Wanted:
    """What `--with` asks for: `inspect`, or `inspect:MEASURE[:last|first|all|BLOCK]`.

    Raises:
        ResultsError: it is none of these.
    """
    word, *rest = text.split(":")
    measure, place = (*rest, *(DEFAULT, "last")[len(rest) :])[:2] if len(rest) < 3 else ("", "")
    if word != WORD or not measure or not (place in PLACES or re.fullmatch("[0-9]+", place)):
        raise ResultsError(
            f"`--with {text}`: give `{WORD}` or `{WORD}:MEASURE[:last|first|all|BLOCK]`, such as "
            f"`{WORD}:{DEFAULT}:last`"
        )
    return Wanted(measure, place if place in PLACES else str(int(place)))


def subject(record: Record) -> str:
    """What a run and a look inside have in common: the file, or the name where there is none."""
    return str(record.backbone.get("sha256") or record.backbone["name"])


def column(records: Iterable[Record], wanted: Wanted) -> Column:
    """The column of the finished inspections among `records`.

    Encoders are put side by side only as they were looked at in one way: with the same images and
    settings, each at its own input size. Where there are several ways, the one of most encoders
    counts.

    Raises:
        ResultsError: no inspection has the measure, or not at that place.
    """
    looks = [r for r in records if r.kind == "inspection" and r.status == "finished"]
    fitting = [r for r in looks if _values(r, wanted.measure)]
    if not fitting:
        raise ResultsError(_unknown(looks, wanted))
    groups: dict[str, list[Record]] = {}
    for record in fitting:
        groups.setdefault(key(_way(record)), []).append(record)
    chosen = min(groups, key=lambda name: (-len(set(map(subject, groups[name]))), name))
    by_encoder: dict[str, list[Record]] = {}
    for record in groups[chosen]:
        by_encoder.setdefault(subject(record), []).append(record)
    missing = {subject(r): "inspected in another way only" for r in fitting}
    values: dict[str, float] = {}
    for name, group in by_encoder.items():
        if len(group) > 1:
            first, second = (r.identity for r in sorted(group, key=lambda r: r.cell)[:2])
            missing[name] = f"several inspections: {'; '.join(differences(first, second))}"
            continue
        del missing[name]
        values[name] = _value(group[0], wanted)
    ways = "" if len(groups) == 1 else f"; {len(groups) - 1} other ways are left out"
    return Column(wanted.title, _about(groups[chosen][0]) + ways, values, missing)


def _way(record: Record) -> dict[str, Any]:
    """How an encoder was looked at: all of the identity but the encoder and its size. The hash of
    the images changes with the size."""
    own = ("backbone", "input_size")
    way = {name: value for name, value in record.identity.items() if name not in own}
    images = way.get("images")
    if isinstance(images, Mapping):
        way["images"] = {name: value for name, value in images.items() if name != "sha256"}
    return way


def _about(record: Record) -> str:
    way = _way(record)
    images = way.pop("images", {})
    with_images = f"{images.get('n', '?')} images of {images.get('name', record.dataset)}"
    rest = [f"{k} {v}" for k, v in sorted(way.items()) if k not in ("measure", "version")]
    return ", ".join([with_images, *rest])


def _values(record: Record, measure: str) -> dict[int | None, float]:
    """Block -> value; None stands for the whole encoder."""
    found: dict[int | None, float] = {}
    for name, metric in record.metrics.items():
        match = re.fullmatch(rf"{re.escape(measure)}(?:/block(\d+))?", name)
        if match:
            found[None if match[1] is None else int(match[1])] = metric.value
    return found


def _value(record: Record, wanted: Wanted) -> float:
    found = _values(record, wanted.measure)
    blocks = sorted(block for block in found if block is not None)
    if not blocks:
        if wanted.place != "all":
            raise ResultsError(
                f"`{wanted.measure}` has one value for the whole encoder: ask for "
                f"`{WORD}:{wanted.measure}:all`"
            )
        return found[None]
    places = _places(blocks, wanted.place)
    if not places or not set(places) <= set(blocks):
        raise ResultsError(
            f"`{record.backbone['name']}` has no `{wanted.measure}` at {wanted.title}: it has the "
            f"blocks {blocks[0]} to {blocks[-1]}"
        )
    return fsum(found[block] for block in places) / len(places)


def _places(blocks: Sequence[int], place: str) -> list[int]:
    if place == "all":
        return list(blocks)
    return quarter(blocks[-1] + 1, QUARTER[place]) if place in QUARTER else [int(place)]


def _unknown(looks: Sequence[Record], wanted: Wanted) -> str:
    known = sorted({name.split("/")[0] for record in looks for name in record.metrics})
    if not known:
        return "no encoder was inspected: `harness inspect NAME...` does it"
    return f"no inspection has `{wanted.measure}`; there is {', '.join(known)}"
