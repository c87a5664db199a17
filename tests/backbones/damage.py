"""A file that lacks a tensor, or has it under another name, is refused or gives what it gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import backbones


def outputs(path: Path, options: dict[str, Any]) -> Tensor:
    """All that an encoder gives of one image, in one row."""
    backbone = backbones.load(path, **options)
    images = torch.linspace(0, 1, 3).view(1, 3, 1, 1).expand(1, 3, *backbone.input_size)
    maps = [*backbone(images), backbone.encode(images), backbone.pooled(images)]
    return torch.cat([found.flatten() for found in maps])


def refused_or_the_same(
    path: Path, state: dict[str, Tensor], every: int = 3, **options: Any
) -> int:
    """Check every so many tensors outside the second block; return how many files were refused.

    Args:
        path: where the files are written.
        state: of a whole file.
        every: how many tensors on is the next that is tried.
        options: to load it with.
    """
    torch.save({"model": state}, path)
    whole, count = outputs(path, options), 0
    for name in [name for name in state if not name.startswith("blocks.1.")][::every]:
        rest = {n: value for n, value in state.items() if n != name}
        for mutant in (rest, rest | {f"{name}_": state[name]}):
            torch.save({"model": mutant}, path)
            try:
                found = outputs(path, options)
            except backbones.LoadError as error:
                assert "\n" not in str(error)
                count += 1
                continue
            assert torch.equal(found, whole), name
    return count
