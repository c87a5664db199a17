"""The leaderboard: Markdown that depends on the records alone, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results import inspections
from results.compare import compare
from results.correlation import EXACT, FEWEST, Correlation, spearman
from results.inspections import Column, subject
from results.record import Record
from results.settings import differences, encoder, key, setting
from results.statistics import Interval, interval

if TYPE_CHECKING:
    from results.table import Table

ARROWS = {"higher": "↑", "lower": "↓"}
NOTES = (
    "Mean and 95 % interval over seeds and test samples, n seeds. A rank counts the encoders that "
    "are better by a paired comparison over common seeds (the interval of the difference excludes "
    "0; not corrected for many comparisons), so tied encoders share one. With one seed nothing is "
    "separated. A result speaks of the encoder file that was measured."
)
BESIDE = (
    "Spearman's rank correlation between this column and the mean score; above 0: the more, the "
    "better the score. 95 % interval after Bonett and Wright (2000), from "
    f"{FEWEST} encoders on; p by all permutations up to {EXACT} encoders, by Student's t above; "
    "not corrected for many tasks. An encoder is one file: a correlation over files says nothing "
    "about what causes what."
)


@dataclass(frozen=True)
class Entry:
    """One encoder in one setting.

    Attributes:
        name: as shown.
        records: finished, one a seed, by seed.
        interval: of the primary metric.
    """

    name: str
    records: tuple[Record, ...]
    interval: Interval


@dataclass(frozen=True)
class Section:
    """One setting: what is ranked, and what is not, with the reason.

    Attributes:
        title: task, data set, protocol and scale.
        ranked: entries with their rank, best first.
        unranked: (name, seeds, figure, reason).
    """

    title: str
    metric: str
    ranked: tuple[tuple[int, Entry], ...]
    unranked: tuple[tuple[str, str, str, str], ...]


def leaderboard(table: Table, beside: str | None = None) -> str:
    """Encoders by task: mean, 95 % interval, number of seeds, and what could not be ranked.

    Args:
        beside: what of the inspections is set beside the scores, as `inspections.parse` takes it.

    Raises:
        ResultsError: there is no such thing in the table.
    """
    wanted = None if beside is None else inspections.parse(beside)
    records = table.records()
    return render(
        sections(records), None if wanted is None else inspections.column(records, wanted)
    )


def sections(records: Iterable[Record]) -> list[Section]:
    """One section for each task, data set with its variant, protocol, scale and metric; none for
    looks inside encoders."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    runs = (record for record in records if record.kind == "run")
    for record in sorted(runs, key=lambda r: (r.backbone["name"], r.seed, r.cell)):
        data = f"{record.dataset} ({record.variant})" if record.variant else record.dataset
        place = (record.task, data, record.protocol, record.scale, record.primary)
        groups.setdefault(place, []).append(record)
    return [_section(place, groups[place]) for place in sorted(groups)]


def render(found: Sequence[Section], beside: Column | None = None) -> str:
    """The sections as Markdown, with a column of an inspection where one is given."""
    lines = ["# Leaderboard", ""]
    if not found:
        return "\n".join([*lines, "There are no records.", ""])
    lines += [NOTES, ""]
    titles = [f"{section.title}: {section.metric}" for section in found]
    best = [{entry.name: entry.interval for _, entry in section.ranked} for section in found]
    names = sorted({name for column in best for name in column})
    if names:
        body = [[name, *(_figure(column.get(name)) for column in best)] for name in names]
        heads = ["encoder", *titles]
        if beside is not None:
            heads.insert(1, beside.title)
            for row in body:
                row.insert(1, _inspected(row[0], found, beside))
        lines += [*_table(heads, body), ""]
        lines += [] if beside is None else _correlations(titles, found, beside)
    for title, section in zip(titles, found, strict=True):
        lines += [f"## {title}", ""]
        if section.ranked:
            lines += [*_table(["rank", "encoder", "mean [95 %]", "note"], _ranks(section)), ""]
        if section.unranked:
            columns = ["not ranked", "seeds", "mean [95 %]", "reason"]
            lines += [*_table(columns, section.unranked), ""]
    return "\n".join(lines)


def _section(place: tuple[str, ...], records: list[Record]) -> Section:
    names = _names(records)
    finished = [r for r in records if r.status == "finished" and r.control is None]
    common = _most_used(finished)
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        why = _reason(record, common)
        setting_key = key(setting(record)) if why else ""
        groups.setdefault((names[record.cell], why, setting_key), []).append(record)
    entries = [_entry(n, group) for (n, why, _), group in sorted(groups.items()) if not why]
    unranked = [
        (name, ", ".join(str(r.seed) for r in group), _unranked_figure(group), why)
        for (name, why, _), group in sorted(groups.items())
        if why
    ]
    better = next((r.figure().better for r in records if r.status == "finished"), None)
    metric = place[-1] + (f" {ARROWS[better]}" if better else "")
    return Section(" / ".join(place[:-1]), metric, _ranked(entries, better), tuple(unranked))


def _entry(name: str, records: list[Record]) -> Entry:
    ordered = sorted(records, key=lambda record: record.seed)
    figures = [record.figure() for record in ordered]
    found = interval(
        [figure.value for figure in figures],
        [figure.error for figure in figures],
        [figure.n for figure in figures],
    )
    return Entry(name, tuple(ordered), found)


def _ranked(entries: list[Entry], better: str | None) -> tuple[tuple[int, Entry], ...]:
    sign = 1 if better == "lower" else -1
    ranks = {
        entry.name: 1 + sum(_beats(other, entry) for other in entries if other is not entry)
        for entry in entries
    }
    ordered = sorted(entries, key=lambda e: (ranks[e.name], sign * e.interval.mean, e.name))
    return tuple((ranks[entry.name], entry) for entry in ordered)


def _beats(a: Entry, b: Entry) -> bool:
    """Whether a is better than b by a paired comparison over the seeds that both have."""
    seeds = {r.seed for r in a.records} & {r.seed for r in b.records}
    if len(seeds) < 2:
        return False
    found = compare(
        [r for r in a.records if r.seed in seeds], [r for r in b.records if r.seed in seeds]
    )
    return found.separated and found.gain > 0


def _most_used(finished: list[Record]) -> Record | None:
    """A record of the setting that most encoders, then most runs have; ties go by content."""
    groups: dict[str, list[Record]] = {}
    for record in finished:
        groups.setdefault(key(setting(record)), []).append(record)
    if not groups:
        return None
    order = sorted(groups, key=lambda k: (-_encoders(groups[k]), -len(groups[k]), k))
    return groups[order[0]][0]


def _encoders(records: list[Record]) -> int:
    return len({encoder(record) for record in records})


def _reason(record: Record, common: Record | None) -> str:
    """Why a record is not ranked; empty where it is."""
    parts = [f"control: {record.control}"] if record.control else []
    if record.status != "finished":
        words = f": {record.reason}" if record.reason else ""
        parts.append(f"{record.status} at step {record.step}{words}")
        return ", ".join(parts)
    other = [] if common is None else differences(setting(record), setting(common))
    if other:
        more = f"; {len(other) - 3} more" if len(other) > 3 else ""
        parts.append(f"other setting than the ranked: {'; '.join(other[:3])}{more}")
    return ", ".join(parts)


def _names(records: list[Record]) -> dict[str, str]:
    """Cell -> its encoder's name: one for each file, with the hash where two files share it."""
    files: dict[str, str] = {}
    for record in records:
        files.setdefault(encoder(record), record.backbone["name"])
    shared = [name for name, count in Counter(files.values()).items() if count > 1]
    shown = {f: f"{name} ({f[:8]})" if name in shared else name for f, name in files.items()}
    return {record.cell: shown[encoder(record)] for record in records}


def _unranked_figure(records: list[Record]) -> str:
    done = all(record.status == "finished" for record in records)
    return _figure(_entry("", records).interval if done else None)


def _ranks(section: Section) -> list[list[str]]:
    shared = [rank for rank, _ in section.ranked]
    return [
        [
            f"{rank}{'=' if shared.count(rank) > 1 else ''}",
            entry.name,
            _figure(entry.interval),
            entry.interval.note,
        ]
        for rank, entry in section.ranked
    ]


def _inspected(name: str, found: Sequence[Section], beside: Column) -> str:
    """The column's value of the encoder that is shown under a name."""
    files = {subject(e.records[0]) for s in found for _, e in s.ranked if e.name == name}
    if len(files) > 1:
        return "- (several files)"
    file = files.pop()
    if file in beside.values:
        return f"{beside.values[file]:.4f}"
    return f"- ({beside.missing.get(file, 'not inspected')})"


def _correlations(titles: Sequence[str], found: Sequence[Section], beside: Column) -> list[str]:
    rows = [
        [title, *_correlated(section, beside)] for title, section in zip(titles, found, strict=True)
    ]
    heads = ["task", "encoders", "correlation [95 %]", "p", "note"]
    lines = [f"## {beside.title}", "", f"{BESIDE} Inspected with {beside.about}.", ""]
    return [*lines, *_table(heads, rows), ""]


def _correlated(section: Section, beside: Column) -> list[str]:
    both = [
        (beside.values[file], entry.interval.mean, entry.records[0].figure().better)
        for _, entry in section.ranked
        if (file := subject(entry.records[0])) in beside.values
    ]
    gains = [mean if better == "higher" else -mean for _, mean, better in both]
    found = spearman([value for value, _, _ in both], gains)
    if found is None:
        few = "fewer than three encoders" if len(both) < 3 else "all encoders are equal"
        return [str(len(both)), "-", "-", f"{few}: no correlation"]
    bounds = "" if found.low is None else f" [{found.low:+.2f}, {found.high:+.2f}]"
    return [str(found.n), f"{found.value:+.2f}{bounds}", f"{found.p:.3f}", _rests(found)]


def _rests(found: Correlation) -> str:
    """How little it rests on."""
    if found.n < FEWEST:
        return f"rests on {found.n} encoders, too few for an interval"
    if found.low is None:
        return f"rests on {found.n} encoders; at -1 and 1 there is no interval"
    return f"rests on {found.n} encoders"


def _figure(found: Interval | None) -> str:
    if found is None:
        return "-"
    bounds = "" if found.low is None else f" [{found.low:.4f}, {found.high:.4f}]"
    return f"{found.mean:.4f}{bounds}, n={found.seeds}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"

    return [line(columns), "|" + "---|" * len(columns), *(line(row) for row in rows)]
