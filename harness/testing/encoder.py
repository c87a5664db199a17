"""What an encoder that another package offers must do, beside what every encoder must."""

from __future__ import annotations

import random

import numpy as np
import torch

import backbones
from backbones.conformity import holds
from harness.testing.backbone import check_backbone


def check_encoder(name: str, sizes: tuple[tuple[int, int], ...] = ((64, 64), (96, 64))) -> None:
    """Check a named encoder as the command line loads it, at its own size and at others.

    Args:
        name: as given to `--backbone`.
        sizes: (height, width) of the other sizes.

    Raises:
        AssertionError: with the rule that is broken.
        LoadError: it cannot be loaded, or breaks a rule that loading checks.
    """
    backbone = backbones.load(name)
    check_backbone(backbone)
    for size in sizes:
        check_backbone(backbones.load(name, input_size=size))
    state = _generators()
    loaded = backbones.load(name).loaded_sha256
    holds(state == _generators(), "loading moves no global generator of random numbers")
    holds(loaded == backbone.loaded_sha256, "weights are the same each time it is loaded")
    state = _generators()
    # What was there before is another each time: a parameter left as it was would tell.
    drawn = [_initialised(name, seed, before) for seed, before in ((0, 0.5), (0, 1.5), (1, 0.5))]
    holds(state == _generators(), "initialise moves no global generator of random numbers")
    holds(drawn[0] == drawn[1], "initialise draws every parameter anew, from its seed")
    holds(drawn[0] != drawn[2], "another seed initialises otherwise")


def _initialised(name: str, seed: int, before: float) -> str:
    backbone = backbones.load(name)
    for parameter in backbone.parameters():
        parameter.data.fill_(before)
    backbone.initialise(seed)
    holds(
        backbone.loaded_sha256 == backbone.parameters_sha256(),
        "initialise ends with seal(): loaded_sha256 is the hash of the parameters",
    )
    return backbone.loaded_sha256


def _generators() -> tuple[bytes, str, str]:
    """The state of torch's, numpy's and Python's generators."""
    torchs = torch.get_rng_state().numpy().tobytes()
    return torchs, repr(np.random.get_state()), repr(random.getstate())  # noqa: NPY002
