"""Which records `harness compare` puts side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from backbones import LoadError, resolve
from harness.errors import UserError
from results import Record
from results.settings import differences, encoder, key, setting

DIGITS = 6
"""So many digits of a file's hash stand for it."""


@dataclass(frozen=True)
class Filters:
    """What narrows the records to one setting; None and no condition take all.

    Attributes:
        where: `section.field=value` of the recipe in force, `recipe.` in front of it or not.
    """

    dataset: str | None = None
    scale: str | None = None
    protocol: str | None = None
    where: tuple[str, ...] = ()


def sides(
    records: Iterable[Record], names: Sequence[str], filters: Filters
) -> dict[str, list[Record]]:
    """The finished records of each name: `ENCODER` or `ENCODER@CONTROL`, an encoder being a name,
    an objective, or the first digits of a file's hash.

    Raises:
        UserError: fewer than two names, one twice, one without a run, or with runs of several
            settings or files.
    """
    if len(names) < 2:
        raise UserError("name at least two encoders")
    records = list(records)
    found = {name: side(records, name, filters) for name in names}
    for place, name in enumerate(names):
        for other in names[:place]:
            if found[name][0].cell in {record.cell for record in found[other]}:
                raise UserError(f"`{other}` and `{name}` are the same runs: name another encoder")
    return found


def side(records: Iterable[Record], name: str, filters: Filters) -> list[Record]:
    """The finished records of one name, as in `sides`.

    Raises:
        UserError: it stands for no runs, or for runs of several settings or files.
    """
    return _side(_narrowed([r for r in records if r.status == "finished"], filters), name)


def _narrowed(records: list[Record], filters: Filters) -> list[Record]:
    kept = [
        record
        for record in records
        if filters.dataset in (None, record.dataset)
        and filters.scale in (None, record.scale)
        and filters.protocol in (None, record.protocol)
    ]
    for condition in filters.where:
        kept = _where(kept, condition)
    return kept


def _where(records: list[Record], condition: str) -> list[Record]:
    """The records in whose recipe a field has a value."""
    name, equals, text = condition.removeprefix("recipe.").partition("=")
    if not equals:
        raise UserError(f"`--where {condition}` needs the form `--where section.field=value`")
    try:
        wanted = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"`--where {name}`: cannot read the value `{text}`") from None
    if isinstance(wanted, str):
        # YAML takes 1e-3 for text, the recipe's fields for a number.
        with suppress(ValueError):
            wanted = float(wanted)
    flat = [(record, _flat(record.recipe)) for record in records]
    known = sorted({field for _, fields in flat for field in fields})
    if records and name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
        raise UserError(f"no run has a recipe field `{name}`{hint}")
    return [record for record, fields in flat if name in fields and fields[name] == wanted]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        flat[f"{prefix}{name}"] = value
    return flat


def _side(records: list[Record], name: str) -> list[Record]:
    wanted, _, control = name.partition("@")
    if wanted == "random" and not control:
        # As `harness run --backbone random` means it.
        wanted, control = "simmim", "random"
    found = [
        record for record in records if (record.control or "") == control and _is(record, wanted)
    ]
    if not found:
        known = sorted({f"{r.backbone['name']}@{r.control or ''}".rstrip("@") for r in records})
        raise UserError(f"no finished run of `{name}`; there is {', '.join(known) or 'none'}")
    files = {encoder(r): str(r.backbone.get("sha256") or "no file")[:12] for r in found}
    if len(files) > 1:
        raise UserError(
            f"`{name}` stands for {len(files)} encoders: give the first digits of a hash in its "
            f"place, of {', '.join(sorted(files.values()))}"
        )
    _one_setting(found, name)
    return found


def _is(record: Record, wanted: str) -> bool:
    if wanted == record.backbone["name"]:
        return True
    digest = record.backbone.get("sha256") or ""
    if len(wanted) >= DIGITS and digest.startswith(wanted):
        return True
    try:
        return bool(record.backbone["name"] == resolve(wanted, record.scale))
    except LoadError:
        return False


def _one_setting(records: list[Record], name: str) -> None:
    settings = {key(setting(record)): setting(record) for record in records}
    if len(settings) == 1:
        return
    first, *others = settings.values()
    told = list(dict.fromkeys(line for other in others for line in differences(first, other)))
    more = f"; {len(told) - 5} more" if len(told) > 5 else ""
    raise UserError(
        f"`{name}` has runs of {len(settings)} settings, which differ in {'; '.join(told[:5])}"
        f"{more}: take one with --dataset, --scale, --protocol or --where section.field=value"
    )
