"""Encoders compared on a task: the figures behind `harness compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import differing, plotting, plugins
from harness.comparing import Filters, sides
from harness.curves import Curves, between
from harness.errors import UserError
from harness.scores import Columns, by_sample, scores_of
from results import Record
from results.agreement import Agreement, agreement
from results.pairing import Scores
from results.ranking import Pair, Ranking, rank
from results.statistics import Interval, interval


@dataclass(frozen=True)
class Compared:
    """What is known of several encoders on one task, in one setting.

    Attributes:
        groups: name -> its records, by seed; the seeds are the same for all.
        ranking: every pair, and the order.
        means: name -> its own mean, with all of the sampling error.
        agreements: pair of names -> on which images they differ, or why that is not known.
        output: the folder of the runs.
    """

    groups: Mapping[str, tuple[Record, ...]]
    ranking: Ranking
    means: Mapping[str, Interval]
    agreements: Mapping[tuple[str, str], Agreement | str]
    output: Path

    @property
    def first(self) -> Record:
        """One of the records; what makes up the setting is the same in all."""
        return next(iter(self.groups.values()))[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in ascending order."""
        return self.ranking.pairs[0].comparison.seeds

    @property
    def samples(self) -> int:
        """The number of test samples behind a figure."""
        return min(record.figure().n for group in self.groups.values() for record in group)

    @property
    def values(self) -> dict[str, list[float]]:
        """Name -> the primary metric of each seed."""
        return {name: [r.figure().value for r in group] for name, group in self.groups.items()}

    def draw(self, folder: Path, data_root: Path | None = None) -> list[Path]:
        """Draw what the task plots of several models, and for each pair the images that one has
        right and the other wrong.

        Raises:
            UserError: there is neither, or runs do not lie below the output folder.
            ResultsError, RecipeError, DataError: predictions or data are not those of the records.
        """
        plotted = plugins.task(self.first.task).plotted
        written = plotting.draw(self.groups, self.output, folder, data_root) if plotted else []
        for (a, b), found in self.agreements.items():
            if isinstance(found, str) and plotted:
                continue
            if isinstance(found, str):
                raise UserError(f"nothing can be drawn of `{a}` and `{b}`: {found}")
            runs = self.groups[a], self.groups[b]
            written += differing.draw((a, b), runs, found, self.output, folder, data_root)
        return written

    def curves(self) -> list[Curves]:
        """The losses of each pair while they were trained.

        Raises:
            UserError, ResultsError: they cannot be had, or have other terms.
        """
        groups = dict(self.groups)
        return [between(pair.a, pair.b, groups, self.output) for pair in self.ranking.pairs]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        record, closest = self.first, self.ranking.closest
        return {
            "task": record.task,
            "dataset": record.dataset,
            "protocol": record.protocol,
            "scale": record.scale,
            "metric": record.primary,
            "better": record.figure().better,
            "seeds": self.seeds,
            "n": self.samples,
            "encoders": [self._encoder(name) for name in self.ranking.ranks],
            "pairs": [self._pair(pair) for pair in self.ranking.pairs],
            "closest": None if closest is None else [closest.a, closest.b],
        }

    def _encoder(self, name: str) -> dict[str, Any]:
        record, mean = self.groups[name][0], self.means[name]
        return {
            "name": name,
            "backbone": record.backbone["name"],
            "sha256": record.backbone.get("sha256"),
            "control": record.control,
            "values": self.values[name],
            "mean": mean.mean,
            "low": mean.low,
            "high": mean.high,
            "rank": self.ranking.ranks[name],
            "tied_with": self.ranking.ties[name],
        }

    def _pair(self, pair: Pair) -> dict[str, Any]:
        difference, found = pair.comparison.difference, self.agreements[pair.a, pair.b]
        return {
            "a": pair.a,
            "b": pair.b,
            "difference": difference.mean,
            "low": difference.low,
            "high": difference.high,
            "p": pair.p,
            "p_holm": pair.adjusted,
            "separated": pair.separated,
            "variance": {name: asdict(part) for name, part in difference.parts.items()},
            "note": difference.note,
            "samples_paired": not pair.comparison.unpaired,
            "why_not_paired": pair.comparison.unpaired or None,
            "outlook": None if pair.outlook is None else asdict(pair.outlook),
            "images": None if isinstance(found, str) else _images(found),
            "why_no_images": found if isinstance(found, str) else None,
        }


def compared(
    records: Sequence[Record], names: Sequence[str], filters: Filters, output: Path
) -> Compared:
    """Compare the encoders of these names by the records of one task.

    Args:
        output: folder of the runs; scores by sample are read from below it.

    Raises:
        UserError: a name stands for no runs, or for runs of several settings.
        ResultsError: they cannot be compared; what differs is listed.
    """
    groups = {
        name: tuple(sorted(group, key=lambda record: record.seed))
        for name, group in sides(records, names, filters).items()
    }
    ranking, each = rank(groups, _once(scores_of, output)), _once(by_sample, output)
    return Compared(
        groups,
        ranking,
        {name: _mean(group) for name, group in groups.items()},
        {(p.a, p.b): agreement(groups[p.a], groups[p.b], each) for p in ranking.pairs},
        output,
    )


def _once(read: Callable[[Record, Path], Columns | None], output: Path) -> Scores:
    """The scores of a record, whose file is read once."""
    kept: dict[str, Columns | None] = {}

    def scores(record: Record) -> Columns | None:
        if record.cell not in kept:
            kept[record.cell] = read(record, output)
        return kept[record.cell]

    return scores


def _mean(records: Sequence[Record]) -> Interval:
    figures = [record.figure() for record in records]
    return interval(
        [figure.value for figure in figures],
        [figure.error for figure in figures],
        [figure.n for figure in figures],
    )


def _images(found: Agreement) -> dict[str, Any]:
    return {
        "differ": found.differ,
        "mcnemar": [
            {"seed": seed, **asdict(test), "differ": test.differ}
            for seed, test in zip(found.seeds, found.tests, strict=True)
        ],
        "a_right_b_wrong": found.a_right_b_wrong,
        "b_right_a_wrong": found.b_right_a_wrong,
    }
