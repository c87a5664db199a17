"""The state for continuing: one file, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from harness.errors import UserError

State = dict[str, Any]

NAME = "state.ckpt"


def write(folder: Path, state: State) -> None:
    """Write the state beside its place and rename it: a kill leaves the one before. What could
    not be written whole is removed, so that a full disk has room for the record."""
    beside = folder / f"{NAME}.part"
    try:
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / NAME)
    finally:
        beside.unlink(missing_ok=True)


def read(folder: Path, cell: str) -> State | None:
    """The state of `cell` in `folder`, or None where none was written.

    Raises:
        UserError: a file that is broken or of another cell.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"the state `{path}` cannot be read ({type(error).__name__}): "
            "remove it to start this cell anew"
        ) from None
    if state.get("cell") != cell:
        raise UserError(f"the state `{path}` belongs to another cell: remove it to start anew")
    return state
