"""Every head learns: eight images are over-fitted by a new encoder in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.depth.losses import silog
from tasks.depth.model import DepthModel
from tasks.depth.recipe import LossRecipe
from tests.tasks.depth.networks import HEADS, INFO, hierarchical, plain, recipe

SIDE, STEPS = 64, 100


def rooms(count: int = 8) -> tuple[Tensor, Tensor]:
    """Boxes in front of a receding floor, brighter where they are near: uint8 images (B,3,h,w) and
    depth (B,h,w) in metres, a tenth of it unknown."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pictures, depths = [], []
    for _ in range(count):
        depth = 8.0 - 6.0 * rows / SIDE
        colour = np.full((3, SIDE, SIDE), 90.0) * random.uniform(0.5, 1.5, (3, 1, 1))
        for _ in range(4):
            top, left = random.integers(0, SIDE - 16, 2)
            box = (rows >= top) & (rows < top + 20) & (columns >= left) & (columns < left + 16)
            near = random.uniform(1, 6)
            depth = np.where(box & (near < depth), near, depth)
            colour = np.where(box, random.uniform(20, 235, (3, 1, 1)), colour)
        depth[random.random(depth.shape) < 0.1] = 0
        pictures.append((colour + random.normal(0, 6, colour.shape)).clip(0, 255))
        depths.append(depth)
    images = torch.from_numpy(np.stack(pictures).astype(np.uint8))
    return images, torch.from_numpy(np.stack(depths).astype(np.float32))


CASES = [(kind, plain) for kind in HEADS] + [(kind, hierarchical) for kind in HEADS[:1]]


@pytest.mark.parametrize(("kind", "make"), CASES)
def test_eight_images_are_over_fitted(kind: str, make: Any) -> None:
    """The loss falls to less than half, and without looking at the images nobody gets as low as the
    trained model does in evaluation mode."""
    head = {"type": kind, "filters": (16, 16, 16), "channels": 16, "bins": 64}
    built = DepthModel(make((SIDE, SIDE)), recipe((SIDE, SIDE), head=head), INFO)
    built.initialise(0)
    images, truth = rooms()
    batch = {"image": images, "depth": truth}
    trained = [p for p in built.parameters() if p.requires_grad]
    steps = torch.optim.AdamW(trained, 3e-3)
    built.train()
    curve = []
    for _ in range(STEPS):
        loss = built.loss(batch)["silog"].value
        steps.zero_grad()
        torch.autograd.backward(loss)
        steps.step()
        curve.append(loss.item())
    assert max(curve[-10:]) < curve[0] / 2
    with torch.no_grad():
        found = built.eval().loss(batch)["silog"].value.item()
    assert found < 0.8 * blind(truth)


def blind(truth: Tensor) -> float:
    """The loss of the best map for all images: in each place the mean of the logarithm."""
    known = truth > 0
    logarithms = torch.where(known, truth, 1).log()
    mean = (logarithms.sum(0) / known.sum(0).clamp(min=1)).exp()
    best = mean.expand(len(truth), 1, *mean.shape)
    return silog(best, truth, LossRecipe.model_validate({})).value.item()
