"""Does an encoder still hold what its evidence says?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import results
from harness import recipes
from harness.console import totals
from harness.errors import UserError
from harness.pretraining import ENCODER, OBJECTIVES, PROVENANCE, RECIPE, encoder_task, read_json

if TYPE_CHECKING:
    from backbones import Backbone
    from harness.console import Console
    from tasks.pretraining.contract import EncoderTask
    from tasks.pretraining.evidence import Evidence

EVIDENCE = "evidence.json"

TOLERANCE = 2e-3
"""Relative: another processor's kernels move the figures by less than 1e-4, and a world rendered by
other library versions may differ by single grey levels; a worse encoder differs by far more."""


@dataclass(frozen=True)
class Verdict:
    """What verifying an encoder found.

    Attributes:
        evidence: as recomputed.
        path: of `evidence.json`.
        written: whether it was written just now.
        differences: from the evidence that lies beside the file, one line each.
    """

    evidence: Evidence
    path: Path
    written: bool
    differences: list[str]

    @property
    def holds(self) -> bool:
        """Whether all gates are passed and the recorded evidence is confirmed."""
        return self.evidence.passed and not self.differences


def verify(
    name_or_path: str, scenes: int, config: Path | None, update: bool, console: Console
) -> Verdict:
    """Recompute the evidence of an encoder from its file and the images of the test split, which
    no choice of the recipe has looked at.

    Args:
        name_or_path: of the encoder; `recipe.yaml` lies beside its file.
        scenes: number of unseen images, where the data set is the embedded world.
        config: the recipe, where none lies beside the file.
        update: whether `evidence.json` is written anew; it is where there is none.
        console: told what happens.

    Raises:
        UserError, RecipeError, DataError, LoadError: what the user can mend.
    """
    path = _file(name_or_path)
    recipe = _recipe_of(path, scenes, config)
    task = encoder_task(recipe.task)
    backbone = _load(path, recipe, task)
    with console.phase("prepare", None, "images") as advance:
        task.prepare(recipe, totals(advance))
    seen, unseen = (task.dataset(recipe, split).info for split in ("training", "test"))
    with console.phase("verify", unseen.count, "images") as advance:
        evidence = task.evidence(backbone, recipe, _seed(path), advance)
    found = evidence.as_dict() | {
        "sha256": backbone.spec.sha256,
        "split": unseen.split,
        "data": unseen.sha256,
        "trained_on": seen.sha256,
    }
    beside = path.with_name(EVIDENCE)
    if update or not beside.exists():
        results.write_text(beside, json.dumps(found, indent=2) + "\n")
        return Verdict(evidence, beside, True, [])
    return Verdict(evidence, beside, False, differences(read_json(beside), found))


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What in `found` is not as recorded: figures beyond `TOLERANCE`, and the file's hash."""
    lines = []
    if recorded.get("sha256") != found["sha256"]:
        lines.append(f"the file's sha256 is {found['sha256']}, recorded {recorded.get('sha256')}")
    old, new = _figures(recorded), _figures(found)
    if not old:
        raise UserError("`evidence.json` is not of this version: write it with --update")
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            lines.append(f"{name}: recorded {old.get(name)}, found {new.get(name)}")
        elif abs(new[name] - old[name]) > TOLERANCE * abs(old[name]):
            lines.append(f"{name}: recorded {old[name]:.6g}, found {new[name]:.6g}")
    return lines


def _file(name_or_path: str) -> Path:
    """The file of an encoder that is shipped or lies somewhere."""
    import backbones

    entry = backbones.catalogue().get(name_or_path)
    if entry is not None and not entry.shipped:
        raise UserError(f"`{name_or_path}` was not pre-trained here: there is nothing to verify")
    path = entry.shipped_path if entry is not None else Path(name_or_path)
    if path.is_dir():
        path = path / ENCODER
    if not path.is_file():
        shipped = ", ".join(n for n, e in backbones.catalogue().items() if e.shipped)
        raise UserError(f"there is no encoder `{name_or_path}`: give a file, or one of {shipped}")
    return path


def _recipe_of(path: Path, scenes: int, config: Path | None) -> Any:
    from harness.options import RunOptions

    source = config or path.with_name(RECIPE)
    if not source.is_file():
        raise UserError(f"`{source}` is missing: give the encoder's recipe with --config")
    task = recipes.task_of(source)
    if task not in OBJECTIVES.values():
        raise UserError(
            f"`{source}` is for the task `{task}`: give the encoder's own with --config"
        )
    options = RunOptions(task=task, config=source, sets=(f"data.test={scenes}",))
    return recipes.resolve(options)


def _seed(path: Path) -> int | None:
    """The seed that the encoder of a file was trained from, where its provenance lies beside it."""
    beside = path.with_name(PROVENANCE)
    return int(read_json(beside)["seed"]) if beside.is_file() else None


def _load(path: Path, recipe: Any, task: EncoderTask) -> Backbone:
    import backbones

    arch = {"num_heads": recipe.encoder.num_heads}
    if recipe.encoder.decoder_num_heads is not None:
        arch["decoder_num_heads"] = recipe.encoder.decoder_num_heads
    return backbones.load(
        str(path), input_size=recipe.backbone.input_size, arch=arch, keep=task.keep
    )


def _figures(evidence: dict[str, Any]) -> dict[str, float]:
    """Every figure of the evidence by its path; standard errors, and gates, which repeat figures,
    are none."""
    flat: dict[str, float] = {}
    for name, value in evidence.items():
        if isinstance(value, dict):
            flat |= {f"{name} {key}": each for key, each in _figures(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "error":
            flat[name] = float(value)
    return flat
