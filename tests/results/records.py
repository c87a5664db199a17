"""Records as a run would leave them, for tests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from results import Record


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make(
    backbone: str = "simmim",
    seed: int = 0,
    value: float = 0.3,
    error: float | None = 0.01,
    *,
    task: str = "pose",
    control: str | None = None,
    status: str = "finished",
    steps: int = 100,
    better: str = "higher",
    n: int = 200,
    **fields: Any,
) -> Record:
    """A record; its cell is the hash of its identity, as in the engine."""
    recipe = {"data": {"name": "microworld"}, "train": {"steps": steps, "lr": 1e-3}}
    identity = {
        "task": task,
        "task_version": 1,
        "backbone": sha(backbone),
        "data": {"test": sha("data")},
        "recipe": recipe,
        "seed": seed,
        "control": control,
    }
    figure = {"value": value, "error": error, "n": n, "better": better}
    return Record.model_validate(
        {
            "status": status,
            "step": steps,
            "primary": "AP",
            "metrics": {"AP": figure} if status == "finished" else {},
            "cell": sha(json.dumps(identity, sort_keys=True)),
            "identity": identity,
            "task": task,
            "backbone": {"name": backbone, "sha256": sha(backbone), "objective": "mim"},
            "dataset": "microworld",
            "protocol": "finetune",
            "scale": "tiny",
            "control": control,
            "seed": seed,
            "recipe": recipe,
            "created": "2026-01-01T00:00:00+00:00",
            "updated": "2026-01-01T00:10:00+00:00",
        }
        | fields
    )
