"""`harness results`, `harness rescore` and `harness report`: what earlier runs have left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from harness.cli.options import DataRoot, Runs

if TYPE_CHECKING:
    from results import Record, Table

app = typer.Typer(rich_markup_mode=None)

DEFAULT = "sqlite:///runs/results.sqlite"
SHOWN = ("status", "task", "backbone", "dataset", "variant", "scale", "protocol", "control", "seed")

Url = Annotated[str, typer.Option("--results", metavar="URL", help="Results table.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Task = Annotated[str | None, typer.Option(help="Only this task.")]
Encoder = Annotated[str | None, typer.Option(help="Only this encoder.")]


@app.command("list")
def list_(
    task: Task = None, backbone: Encoder = None, results: Url = DEFAULT, json: Json = False
) -> None:
    """List the runs in the table, a line each."""
    from results.export import flat

    rows = [flat(record) for record in _table(results).records(task, backbone)]
    if json:
        _print_json(rows)
    elif not rows:
        typer.echo("no runs")
    else:
        lines = [["cell", *SHOWN, "result"], *map(_line, rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
            typer.echo("  ".join(padded).rstrip())


@app.command()
def show(
    which: Annotated[
        str, typer.Argument(metavar="CELL|PATH", help="Start of a cell, record file, run folder.")
    ],
    results: Url = DEFAULT,
    json: Json = False,
) -> None:
    """Print the whole record of a run."""
    import yaml

    record = _find(which, results).model_dump(mode="json")
    if json:
        _print_json(record)
    else:
        text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=100)
        typer.echo(text.rstrip())


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write.")],
    form: Annotated[
        Literal["csv", "json", "parquet"], typer.Option("--format", help="Flat, or whole as json.")
    ] = "csv",
    task: Task = None,
    backbone: Encoder = None,
    results: Url = DEFAULT,
) -> None:
    """Write the runs in the table to a file for other programs."""
    from results.export import export as write

    records = _table(results).records(task, backbone)
    write(records, out, form)
    typer.echo(f"{len(records)} runs in `{out}`")


@app.command()
def sync(
    root: Annotated[Path, typer.Argument(help="Folder of the runs.")] = Path("runs"),
    results: Annotated[
        str | None, typer.Option(metavar="URL", help="Results table; SQLite in ROOT by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Take over all records below ROOT; builds the table where there is none."""
    from dataclasses import asdict

    from results import ResultsError, Table

    if not root.is_dir():
        raise ResultsError(f"there is no folder `{root}`: give the one that holds the runs")
    table = Table(results or root / "results.sqlite")
    report = table.sync(root)
    if json:
        _print_json(asdict(report))
    else:
        typer.echo(f"{report.taken} records taken into {table.url}")
        if report.elsewhere:
            typer.echo(f"{len(report.elsewhere)} rows have no file below `{root}`; they stay")
        for reason in report.refused.values():
            typer.echo(f"refused: {reason}", err=True)
    if report.refused:
        raise ResultsError(
            f"{len(report.refused)} of {report.taken + len(report.refused)} record files were "
            f"refused ({', '.join(report.refused)}): repeat these runs, or remove their folders"
        )


def rescore(
    which: Annotated[
        str, typer.Argument(metavar="RECORD", help="Record file, run folder, or cell.")
    ],
    output: Runs = Path("runs"),
    data_root: DataRoot = None,
    json: Json = False,
) -> int:
    """Compute the metrics anew from the stored predictions; exit code 1 where they differ."""
    from harness.cli.show import find_record
    from harness.rescoring import rescore as rescore_record

    found = rescore_record(find_record(which, output), data_root)
    if json:
        _print_json(found.as_dict())
    else:
        for line in found.lines():
            typer.echo(line)
    return 0 if found.equal else 1


def report(
    results: Url = DEFAULT,
    out: Annotated[Path | None, typer.Option(help="File to write; stdout by default.")] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="inspect[:MEASURE[:BLOCKS]]",
            help="Set what was found inside the encoders beside the scores, with rank "
            "correlations; BLOCKS: last (quarter, the default), first, all or a number.",
        ),
    ] = None,
) -> None:
    """Write the leaderboard from the table."""
    from results import write_text
    from results.report import leaderboard

    text = leaderboard(_table(results), beside)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(f"leaderboard in `{out}`")


def _table(url: str) -> Table:
    from results import Table

    return Table(url, create=False)


def _find(which: str, url: str) -> Record:
    from results import ResultsError, read

    if Path(which).exists():
        return read(Path(which))
    fitting = _table(url).records(cell=which)
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise ResultsError(f"there is no cell `{which}`: `harness results list` lists all")
    cells = ", ".join(f"`{record.cell[:12]}`" for record in fitting[:5])
    raise ResultsError(f"`{which}` fits {len(fitting)} cells, {cells} among them: give more of it")


def _line(row: dict[str, Any]) -> list[str]:
    value, error = row["value"], row["error"]
    result = "" if value is None else f"{row['primary']} {value:.4f}"
    result += "" if error is None else f" ± {error:.4f}"
    return [
        row["cell"][:12],
        *(str(row[name] if row[name] is not None else "") for name in SHOWN),
        result,
    ]


def _print_json(thing: Any) -> None:
    from harness.cli.output import as_json

    typer.echo(as_json(thing))
