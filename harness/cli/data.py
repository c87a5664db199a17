"""`harness data`: the data sets that are made here, and the published ones that users bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tasks.classification.datasets.contract import Publication

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(help="The data set: microworld, or a published one such as cub200.")
]
Root = Annotated[
    Path | None,
    typer.Option(help="Folder to keep microworld in, HARNESS_CACHE or the usual cache by default."),
]
DataRoot = Annotated[
    Path | None, typer.Option(help="Folder of a published data set, unpacked or not.")
]
SHOWN = 10
"""So many images that cannot be decoded are named."""


@app.command()
def prepare(
    dataset: Name,
    scale: Annotated[
        Literal["smoke", "tiny", "paper"],
        typer.Option(help="For runs of microworld at this scale."),
    ] = "tiny",
    root: Root = None,
    data_root: DataRoot = None,
) -> None:
    """Render microworld into the cache, or unpack the official archives of a published data set.

    Nothing is downloaded. Of a published data set it says what there is: archives are compared
    with their published md5 and unpacked beside themselves; then the images of each split are
    counted.
    """
    if dataset != "microworld":
        _unpack(_published(dataset), _folder(dataset, data_root))
        return
    from harness.console import Console, totals
    from tasks import microworld

    console = Console()
    with console.phase(f"prepare {dataset}", None, "samples") as advance:
        microworld.prepare_all(scale, totals(advance), root)
    console.note(f"{dataset} is prepared for scale {scale}")


@app.command()
def check(dataset: Name, root: Root = None, data_root: DataRoot = None) -> None:
    """Compare microworld's files with their checksums, or look through a published data set.

    Of a published data set all counts are compared with the published ones, every image is
    decoded, and images that are the same bytes in two splits are named.
    """
    if dataset != "microworld":
        _look_through(_published(dataset), _folder(dataset, data_root))
        return
    from tasks import microworld

    typer.echo(microworld.check(root))


@app.command()
def preview(
    dataset: Annotated[str, typer.Argument(help="The data set: microworld.")],
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("preview.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the world.")] = 0,
) -> None:
    """Draw a sheet of samples with every annotation."""
    if dataset != "microworld":
        from harness.errors import UserError

        raise UserError(f"`{dataset}` cannot be previewed, only `microworld` can")
    from tasks import microworld

    microworld.preview(out, seed)
    typer.echo(f"{out}")


def _unpack(publication: Publication, root: Path) -> None:
    from harness.console import Console, totals
    from tasks.classification.datasets import archives
    from tasks.classification.datasets.checking import counts
    from tasks.classification.datasets.layout import MissingError
    from tasks.classification.datasets.reading import home, read

    console = Console()
    place = home(publication, root)
    try:
        official = read(publication.name, root)
    except MissingError:
        # One archive may hold the next.
        unpacked = False
        while found := archives.packed(publication, place):
            unpacked = True
            with console.phase(f"unpack {found[0].name}", None, "bytes") as advance:
                console.note(archives.unpack(found[0], place, totals(advance)))
        if not unpacked:
            raise
        official = read(publication.name, root)
    lines = [f"{publication.title}: whole, in {root}", f"licence: {publication.licence}"]
    typer.echo("\n".join([*lines, *counts(official)]))


def _look_through(publication: Publication, root: Path) -> None:
    from harness.console import Console, totals
    from harness.errors import UserError
    from tasks.classification.datasets.checking import counts, look_through
    from tasks.classification.datasets.reading import parts, read

    official = read(publication.name, root)
    typer.echo("\n".join([publication.title, *counts(official)]))
    total = sum(len(part.images) for part in parts(official).values())
    with Console().phase("decode", total, "images") as advance:
        findings = look_through(official, totals(advance))
    for line in findings.lines:
        typer.echo(line)
    if findings.broken:
        for said in findings.broken[:SHOWN]:
            typer.echo(said)
        raise UserError(
            f"{publication.title}: {len(findings.broken)} images cannot be decoded; get them again"
        )
    typer.echo("every image can be decoded")


def _published(dataset: str) -> Publication:
    from harness.plugins import unknown
    from tasks.classification.datasets.catalogue import PUBLICATIONS

    if dataset not in PUBLICATIONS:
        known = ["microworld", *PUBLICATIONS]
        raise unknown("data set", dataset, known, "harness list datasets")
    return PUBLICATIONS[dataset]


def _folder(dataset: str, data_root: Path | None) -> Path:
    from harness.errors import UserError

    if data_root is None:
        raise UserError(
            f"`{dataset}` is not made here: give the folder that holds it with --data-root DIR"
        )
    return data_root
