"""`harness backbone`: what a checkpoint file is, and how a published one is had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import Offline, WeightsDir, apply

if TYPE_CHECKING:
    from backbones import Checked, KeyReport

app = typer.Typer(rich_markup_mode=None)

SHOWN = 4
"""So many names of tensors are shown of a group; --json has all."""

SIZES = ("patch_size", "embed_dim", "dims", "depth", "depths", "num_heads")
"""What families call the sizes of a network."""


@app.callback()
def group() -> None:
    """Check a checkpoint, fetch a published one."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A checkpoint.")],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What the file does not tell, such as backbone.num_heads=3; repeatable.",
        ),
    ] = None,
    weights_dir: WeightsDir = None,
    offline: Offline = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the name of every tensor.")
    ] = False,
) -> None:
    """Say which layout a checkpoint has and what would be used of it, and why.

    Every tensor of the file is used, converted or dropped by a named rule, or the file is refused.
    """
    import backbones
    from harness.cli.output import as_json
    from harness.console import Console
    from harness.fetching import download_shown
    from harness.recipes import backbone_arch

    apply(weights_dir, offline)
    arch = backbone_arch(sets or ())
    with download_shown(str(file), Console()) as progress:
        found = backbones.check(file, arch, progress)
    typer.echo(as_json(found.as_dict()) if json else page(found))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of an encoder: `harness list backbones`.")],
    weights_dir: WeightsDir = None,
    offline: Offline = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Make sure that the file of a published encoder is there; download it where it is not.

    Licence and size are shown before anything comes. A download that broke off goes on when the
    command is repeated.
    """
    from harness.cli.output import as_json, columns, reserved_stdout

    apply(weights_dir, offline)
    if json:
        with reserved_stdout() as stdout:
            print(as_json(_fetch(name)), file=stdout)
        return
    found = _fetch(name)
    found["size"] = f"{found['size'] / 2**20:.1f} MiB"
    typer.echo(columns((key, str(value)) for key, value in found.items() if value is not None))


def _fetch(name: str) -> dict[str, Any]:
    """Where the file lies, its hash, and on what terms it is had."""
    from backbones.fetch import locate
    from backbones.fingerprints import fingerprint
    from harness.console import Console
    from harness.fetching import download_shown

    with download_shown(name, Console()) as progress:
        located = locate(name, progress)
    found = located.fingerprint or fingerprint(located.path)
    terms = located.entry
    return {
        "name": name,
        "file": str(located.path),
        "sha256": found.sha256,
        "size": located.path.stat().st_size,
        "licence": terms.licence if terms else None,
        "source": terms.source if terms else None,
    }


def page(found: Checked) -> str:
    """What was recognised, for a terminal."""
    from harness.cli.encoders import aligned, wrapped

    spec, report = found.spec, found.report
    height, width = found.input_size
    sizes = {key: spec.arch[key] for key in SIZES if key in spec.arch}
    others = {key: value for key, value in spec.arch.items() if key not in sizes}
    where = f"under {found.wrapper!r}" if found.wrapper else "at the top level"
    stripped = ", prefix module. taken off" if found.stripped else ""
    maps = ", ".join(f"{info.channels} channels at stride {info.stride}" for info in found.maps)
    container = f"{found.container}, state dict {where}{stripped}" if found.path else "its own"
    rows = [
        ("sha256", spec.sha256 or "none"),
        ("container", container),
        ("format", f"{report.format}: {report.reason}"),
        ("family", f"{spec.family}, objective {spec.objective}"),
        ("licence", f"{spec.licence}, pre-trained on: {spec.data}"),
        ("input", f"{height}x{width} px, mean {spec.mean}, std {spec.std}"),
        ("sizes", _listed(sizes)),
        ("also", _listed(others)),
        ("maps", maps),
        ("parameters", f"{found.parameters:,}"),
        ("beside", ", ".join(report.beside) or "nothing"),
        *[("assumed", note) for note in spec.notes],
    ]
    lines = [str(found.path or spec.name), aligned(rows), "", f"{report.total} tensors in the file"]
    for count, fate, names in _groups(report):
        lines.append(f"  {count:>4}  {fate}")
        if names:
            lines.append(wrapped(_some(names), " " * 8, " " * 8))
    return "\n".join(lines)


def _groups(report: KeyReport) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Number, fate and names of each group of tensors; the created ones are in no file."""
    yield str(len(report.used)), "used as they are", ()
    for fate, rules in (("converted", report.converted), ("dropped", report.dropped)):
        for rule, names in rules.items():
            yield str(len(names)), f"{fate}: {rule}", names
    if report.created:
        yield f"+{len(report.created)}", "created, since the file has none", report.created


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
