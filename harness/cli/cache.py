"""`harness cache`: what lies in the cache, and taking features out of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from harness.features.keeping import Kept

app = typer.Typer(rich_markup_mode=None)


@app.command()
def show(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with whole keys.")] = False,
) -> None:
    """List the features that are kept, a line a set, and what else lies in the cache.

    `complete` says that every shard was written; its content is checked when it is read.
    """
    from harness.cli.output import as_json, columns
    from harness.features.keeping import kept
    from harness.features.places import cache, features
    from harness.features.size import limit, shown

    found, others = kept(features()), _others(cache())
    total, allowed = sum(one.bytes for one in found), limit()
    if json:
        sets = [_whole(one) for one in found]
        said = {"features": sets, "bytes": total, "limit": allowed, "others": others}
        typer.echo(as_json({"folder": str(cache()), **said}))
        return
    if found:
        head = ("key", "encoder", "data set", "split", "outputs", "samples", "size", "made (UTC)")
        typer.echo(columns([(*head, "state"), *map(_line, found)]))
    sets_ = "set" if len(found) == 1 else "sets"
    typer.echo(f"{len(found)} {sets_} of features, {shown(total)} of at most {shown(allowed)}")
    typer.echo(f"in {cache()}" + (", beside them:" if others else ""))
    if others:
        typer.echo(columns((f"  {name}", shown(size)) for name, size in others.items()))


@app.command()
def clear(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY...", help="Sets, by the start of their key.")
    ] = None,
    features: Annotated[bool, typer.Option("--features", help="All sets of features.")] = False,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Only those that no run opened for DAYS days."),
    ] = None,
) -> None:
    """Remove features; what a running process uses stays, and is named.

    Nothing is asked. They are computed again when a run needs them. The rest of the cache is left
    alone: nothing there tells whether a run uses it.
    """
    from harness.errors import UserError
    from harness.features import places
    from harness.features.keeping import clear as take_away
    from harness.features.size import shown

    if not (keys or features or older_than is not None) or (keys and features):
        raise UserError(
            "say what to remove: KEYs (`harness cache show` lists them), or --features for all "
            "features, or --older-than DAYS for those that no run opened for so long"
        )
    done = take_away(places.features(), keys or None, older_than)
    for one in done.removed:
        typer.echo(f"removed {_called(one)}, {one.bytes:,} bytes")
    for one in done.in_use:
        typer.echo(f"in use by a running process, left: {_called(one)}")
    total = sum(one.bytes for one in done.removed)
    typer.echo(f"{shown(total)} removed" if done.removed else "nothing removed")


def _line(one: Kept) -> tuple[str, ...]:
    from harness.features.size import shown

    state = one.state + (", in use" if one.in_use else "")
    if one.manifest is None:
        return (one.name, "?", "?", "?", "?", "?", shown(one.bytes), "?", state)
    origin, made = one.manifest.origin, one.manifest.made[:16].replace("T", " ")
    return (
        *(one.name, origin.encoder, origin.dataset, origin.split, _outputs(one)),
        *(f"{one.manifest.count:,}", shown(one.bytes), made, state),
    )


def _outputs(one: Kept) -> str:
    """The outputs by name, or how many there are where they would fill the line."""
    if one.manifest is None:
        return "?"
    names = list(one.manifest.shapes)
    said = ", ".join(names)
    said = said if len(said) <= 40 else f"{names[0]} and {len(names) - 1} more"
    dtype = one.manifest.key.get("dtype")
    return said if dtype == "float32" else f"{said} ({dtype})"


def _whole(one: Kept) -> dict[str, Any]:
    from dataclasses import asdict

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.last_used))
    return {**asdict(one), "state": one.state, "last_used": stamp}


def _called(one: Kept) -> str:
    if one.manifest is None:
        return f"{one.name} (damaged)"
    origin = one.manifest.origin
    return f"{one.name} ({origin.encoder}, {origin.dataset} {origin.split})"


def _others(folder: Path) -> dict[str, int]:
    """Name -> bytes of what lies in the cache beside features, such as rendered data sets
    (`microworld`) and fetched encoders (`checkpoints`)."""
    from harness.features.places import features
    from harness.features.size import folder_bytes

    if not folder.is_dir():
        return {}
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and p != features())
    return {path.name: folder_bytes(path) for path in inside}
