"""`harness claims`: what the study claims, held against a pair of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import Offline, Results, Runs, WeightsDir, apply

if TYPE_CHECKING:
    from harness.analysis.claims.model import Role


def claims(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A file of claims; studies/claims.yaml by default."),
    ] = None,
    mim: Annotated[
        str, typer.Option(metavar="NAME", help="Encoder of masked image modelling.")
    ] = "simmim",
    supervised: Annotated[
        str, typer.Option(metavar="NAME", help="Supervised encoder.")
    ] = "supervised",
    contrastive: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Contrastive encoder, where a claim speaks of one; with the small encoders "
            "`contrastive`.",
        ),
    ] = None,
    images: Annotated[
        str, typer.Option(metavar="microworld|DIR", help="What they are looked at with.")
    ] = "microworld",
    n: Annotated[int | None, typer.Option(help="Number of images; 256 by default.")] = None,
    input_size: Annotated[
        int | None, typer.Option(min=1, help="Side in pixels; each encoder's own by default.")
    ] = None,
    scale: Annotated[
        Literal["smoke", "tiny", "paper"] | None, typer.Option(help="Of the runs.")
    ] = None,
    protocol: Annotated[
        Literal["finetune", "frozen"] | None,
        typer.Option(help="Of the runs, where a test leaves it open."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only runs with this in the recipe; repeatable."),
    ] = None,
    output: Runs = Path("runs"),
    results: Results = None,
    weights_dir: WeightsDir = None,
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold the study's claims against a pair of encoders: what was found with its 95 % interval,
    the threshold that was written down beforehand, and a verdict.

    Looks into the encoders, reads finished runs from the results table, trains nothing: where
    evidence is missing, it says what to run.
    """
    from harness.analysis.claims.gathering import Asked, gather
    from harness.analysis.claims.judging import judge
    from harness.analysis.claims.reading import read, shipped
    from harness.cli import claim_text
    from harness.cli.output import reserved_stdout
    from harness.comparing import Filters
    from harness.console import Console

    apply(weights_dir, offline)
    content = read(file or shipped())
    named: dict[Role, str | None] = {"mim": mim, "supervised": supervised}
    small = (mim, supervised) == ("simmim", "supervised")
    named["contrastive"] = contrastive or ("contrastive" if small else None)
    asked = Asked(
        {role: name for role in content.roles if (name := named[role]) is not None},
        images,
        n,
        input_size,
        Filters(scale=scale, protocol=protocol, where=tuple(where or ())),
        output,
        results,
    )
    with reserved_stdout() as stdout:
        evidence, looks = gather(asked, Console())
        found = judge(content, evidence)
        looks.check()
        told = claim_text.as_json if json else claim_text.text
        print(told(content, evidence.names, found), file=stdout)
