"""`harness compare`: are encoders different on a task, and on which images?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataRoot, Results, Runs

if TYPE_CHECKING:
    from harness.comparison import Compared
    from results.ranking import Pair


def compare(
    encoders: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ...", help="Encoders: a name, first digits of a hash, or NAME@CONTROL."
        ),
    ],
    task: Annotated[str, typer.Option(help="The task.")],
    dataset: Annotated[str | None, typer.Option(help="Only this data set.")] = None,
    scale: Annotated[str | None, typer.Option(help="Only this scale.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Only this protocol.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only runs with this in the recipe; repeatable."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw what one has right and another wrong, or what the task plots.",
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option("--curves", help="Compare the terms of the loss over the training, and draw."),
    ] = False,
    output: Runs = Path("runs"),
    results: Results = None,
    data_root: DataRoot = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare encoders, paired by seed and, where the runs lie below the folder of the runs, by
    test image: every difference with its 95 % interval, ranks where they are separated, and where
    scores are right or wrong, the images that they differ on."""
    from harness.cli import curve_text
    from harness.cli.output import as_json
    from harness.comparing import Filters
    from harness.comparison import compared
    from results import Table

    table = Table(results or output / "results.sqlite", create=False)
    filters = Filters(dataset, scale, protocol, tuple(where or ()))
    found = compared(table.records(task), encoders, filters, output)
    drawn = [] if pictures is None else found.draw(pictures, data_root)
    trained = found.curves() if curves else []
    drawn += [curve_text.write(each, pictures or output / "curves") for each in trained]
    if json:
        extra = {"curves": [each.as_dict() for each in trained]} if curves else {}
        paths = {"pictures": [str(path) for path in drawn]}
        typer.echo(as_json(found.as_dict() | extra | paths))
        return
    typer.echo("\n\n".join([_text(found), *map(curve_text.text, trained)]))
    for path in drawn:
        typer.echo(f"picture: `{path}`")


def _text(found: Compared) -> str:
    parts = [_title(found), _encoders(found)]
    parts += [_one_pair(found)] if len(found.ranking.pairs) == 1 else [_pairs(found)]
    parts += ["\n".join(notes)] if (notes := _notes(found)) else []
    return "\n\n".join(parts)


def _title(found: Compared) -> str:
    record = found.first
    better = found.ranking.pairs[0].comparison.better
    seeds = ", ".join(map(str, found.seeds))
    place = " / ".join((record.task, record.dataset, record.protocol, record.scale))
    return f"{place}: {record.primary} ({better} is better), seeds {seeds}, n={found.samples}"


def _encoders(found: Compared) -> str:
    from harness.cli.output import columns

    ranking, shared = found.ranking, list(found.ranking.ranks.values())
    rows = [("rank", "encoder", "mean", "95 %", "tied with")]
    for name, rank in ranking.ranks.items():
        mean = found.means[name]
        rows.append(
            (
                f"{rank}{'=' if shared.count(rank) > 1 else ''}",
                name,
                f"{mean.mean:.4f}",
                _bounds(mean.low, mean.high, ""),
                ", ".join(ranking.ties[name]) or "-",
            )
        )
    return columns(rows)


def _pairs(found: Compared) -> str:
    from harness.cli.output import columns

    rows = [("difference", "", "95 %", "p", "p (Holm)", "differ", "")]
    for pair in found.ranking.pairs:
        d, same = pair.comparison.difference, found.agreements[pair.a, pair.b]
        rows.append(
            (
                f"{pair.a} - {pair.b}",
                f"{d.mean:+.4f}",
                _bounds(d.low, d.high, "+"),
                _p(pair.p),
                _p(pair.adjusted),
                "-" if isinstance(same, str) else f"{100 * same.differ:.1f} %",
                "separated" if pair.separated else "tied",
            )
        )
    return columns(rows)


def _one_pair(found: Compared) -> str:
    (pair,) = found.ranking.pairs
    d = pair.comparison.difference
    bounds = "" if d.low is None else f"  95 % {_bounds(d.low, d.high, '+')}  p {_p(pair.p)}"
    lines = [
        f"{pair.a} - {pair.b}: {d.mean:+.4f}{bounds}: "
        + ("separated" if pair.separated else "not separated")
    ]
    total = sum(part.variance for part in d.parts.values())
    if total and len(d.parts) > 1:
        shares = (f"{name} {100 * p.variance / total:.0f} %" for name, p in d.parts.items())
        lines.append(f"share of its variance: {', '.join(shares)}")
    return "\n".join([*lines, "", _agreement(found)])


def _agreement(found: Compared) -> str:
    from harness.cli.output import columns

    (pair,) = found.ranking.pairs
    same = found.agreements[pair.a, pair.b]
    values = found.values[pair.a], found.values[pair.b]
    heads = ("seed", pair.a, pair.b, "difference")
    rows = [
        (str(seed), f"{a:.4f}", f"{b:.4f}", f"{a - b:+.4f}")
        for seed, a, b in zip(found.seeds, *values, strict=True)
    ]
    if isinstance(same, str):
        return columns([heads, *rows])
    more = [(f"{100 * t.differ:.1f} %", str(t.a_only), str(t.b_only), _p(t.p)) for t in same.tests]
    heads_more = ("differ", f"only {pair.a}", f"only {pair.b}", "McNemar p")
    wide = [(*row, *extra) for row, extra in zip(rows, more, strict=True)]
    text = columns([(*heads, *heads_more), *wide])
    return f"{text}\nexactly one is right on {100 * same.differ:.1f} % of the samples (mean)"


def _notes(found: Compared) -> list[str]:
    """What the figures leave out, each said once."""
    notes: list[str] = []
    for pair in found.ranking.pairs:
        if pair.comparison.difference.note:
            notes.append(pair.comparison.difference.note)
        if pair.comparison.unpaired:
            notes.append(f"samples are not paired, which widens the interval: {_why(found, pair)}")
        same = found.agreements[pair.a, pair.b]
        if isinstance(same, str) and not pair.comparison.unpaired:
            notes.append(f"no McNemar test: {same}")
    closest = found.ranking.closest
    if closest is not None and closest.outlook is not None:
        names = "" if len(found.ranking.pairs) == 1 else f"closest, {closest.a} and {closest.b}: "
        notes.append(f"{names}{closest.outlook.text}")
    return list(dict.fromkeys(notes))


def _why(found: Compared, pair: Pair) -> str:
    why = pair.comparison.unpaired
    return f"{why} below `{found.output}` (--output)" if why.endswith("not at hand") else why


def _bounds(low: float | None, high: float | None, sign: str) -> str:
    if low is None or high is None:
        return "unknown"
    return f"[{low:{sign}.4f}, {high:{sign}.4f}]"


def _p(value: float | None) -> str:
    if value is None:
        return "unknown"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
