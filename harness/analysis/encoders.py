"""The encoders that are looked at: named ones, files, and those of finished runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import evaluating, plugins, recipes, reopening
from harness.errors import UserError
from harness.fetching import download_shown

if TYPE_CHECKING:
    from backbones import Backbone
    from harness.console import Console

RANDOM = "random"


@dataclass(frozen=True)
class Subject:
    """An encoder, and what it is called.

    Attributes:
        name: as figures and tables call it.
        backbone: in evaluation mode.
        identity: what tells it from others, JSON-able.
        control: "random" for one that was not trained.
    """

    name: str
    backbone: Backbone
    identity: dict[str, Any]
    control: str | None = None


def open_subject(name: str, input_size: int | None, console: Console) -> Subject:
    """Load an encoder.

    Args:
        name: of the catalogue, an objective, `random` (the network of `simmim`, initialised from
            seed 0), a checkpoint file, or the folder or record of a finished run: its encoder as
            the run left it.
        input_size: side in pixels; the encoder's own by default.

    Raises:
        UserError, LoadError, ResultsError: what the user can mend.
    """
    path = Path(name)
    if path.name == evaluating.RECORD or (path / evaluating.RECORD).is_file():
        subject = _of_run(path, input_size)
    else:
        subject = _of_file(name, input_size, console)
    subject.backbone.eval()
    return subject


def _of_file(name: str, input_size: int | None, console: Console) -> Subject:
    import backbones

    control = RANDOM if name == RANDOM else None
    resolved = backbones.resolve("simmim" if control else name, "tiny")
    with download_shown(resolved, console) as progress:
        backbone = backbones.load(resolved, input_size=input_size, progress=progress)
    label = backbone.spec.name
    if control:
        backbone.initialise(0)
        label = f"{label}@{RANDOM}"
    identity = {
        "name": label,
        "sha256": None if control else backbone.spec.sha256,
        "parameters": backbone.parameters_sha256(),
    }
    return Subject(label, backbone, identity, control)


def _of_run(path: Path, input_size: int | None) -> Subject:
    """The encoder of a finished run, with the parameters that the run left."""
    from harness.engine import state

    folder = path.parent if path.name == evaluating.RECORD else path
    record = reopening.finished(folder / evaluating.RECORD)
    task = plugins.task(record.task)
    recipe = recipes.load_resolved(task.name, record.recipe)
    backbone = evaluating.encoder_of(task, record, recipe, input_size=input_size)
    saved = state.read(folder, record.cell)
    if saved is None:
        raise UserError(f"`{folder}` has no {state.NAME}: the trained encoder is gone")
    average = saved["average"]
    values = saved["model"] if average is None else average["values"]
    prefix = "backbone."
    own = {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
    known = backbone.state_dict()
    tables = sorted(n for n in known if n not in own or own[n].shape != known[n].shape)
    if tables:
        raise UserError(
            f"the run in `{folder}` has another input size or layout than asked for ({tables[0]}): "
            "leave --input-size out"
        )
    backbone.load_state_dict({name: own[name] for name in known})
    backbone.seal()
    label = f"{record.backbone['name']}@{record.task}-{record.cell[:12]}"
    digest = hashlib.sha256(f"{record.cell} {backbone.loaded_sha256}".encode()).hexdigest()
    identity = {"name": label, "sha256": digest, "parameters": backbone.loaded_sha256}
    return Subject(label, backbone, identity)
