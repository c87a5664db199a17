"""The ray-caster against a slow one in float64, and against the frozen pictures of version 1."""

from pathlib import Path

import numpy as np
import pytest

from tasks.microworld import KINDS, WORLD_VERSION, describe, render
from tasks.microworld.ranges import first_index
from tests.tasks.microworld.slow_caster import cast

SIZE = (48, 64)
# Depth is rounded to 1 mm, so 0.5 mm; the rest is float32 on grazing rays.
DEPTH_TOLERANCE = 0.001
FROZEN = Path(__file__).parent / "version_1.npz"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 7])
def test_agrees_with_a_slow_float64_caster_pixel_by_pixel(kind, number):
    """Edge pixels are those whose part changes when the ray moves by a fiftieth of a pixel: there
    float32 may see the other part. On all others the depth agrees, and so does the part, unless two
    parts lie at that same depth (crossing or coincident surfaces)."""
    scene = describe(
        0, first_index("training" if kind != "mixed" else "pretraining") + number, kind
    )
    rendered = render(scene, SIZE)
    depth, parts = cast(scene, SIZE)
    edge = np.zeros(SIZE, dtype=bool)
    for offset in ((0.02, 0.0), (-0.02, 0.0), (0.0, 0.02), (0.0, -0.02)):
        edge |= cast(scene, SIZE, offset)[1] != parts
    assert edge.mean() < 0.1, "too few pixels are left to compare"
    assert np.abs(depth - rendered.depth)[~edge].max() < DEPTH_TOLERANCE
    other = (parts != rendered.parts) & ~edge
    for row, column in np.argwhere(other):
        alone = cast(scene, SIZE, only=int(rendered.parts[row, column]))[0]
        assert abs(alone[row, column] - depth[row, column]) < DEPTH_TOLERANCE


def test_extents_are_what_each_instance_covers_alone():
    scene = describe(0, first_index("training") + 4, "scene")
    rendered = render(scene, SIZE)
    alone = {}
    number = 0
    for instance, one in enumerate(scene.instances, 1):
        parts = range(number, number + len(one.parts))
        number += len(one.parts)
        alone[instance] = np.any([np.isfinite(cast(scene, SIZE, only=p)[0]) for p in parts], axis=0)
    for instance, mask in alone.items():
        # Silhouette pixels may fall either way in float32.
        assert np.count_nonzero(mask != rendered.extents[instance]) <= 2


def test_size_changes_the_sampling_only():
    scene = describe(0, first_index("test"), "scene")
    small, large = render(scene, (64, 64)), render(scene, (192, 192))
    # The centre of each small pixel is the centre of the middle one of nine large pixels.
    same = small.parts == large.parts[1::3, 1::3]
    assert same.mean() > 0.995
    assert np.abs(small.depth - large.depth[1::3, 1::3])[same].max() < DEPTH_TOLERANCE


def test_the_world_is_still_version_1():
    """Other builds of numpy may round a few colours otherwise; a changed world differs widely."""
    assert WORLD_VERSION == "1", "freeze new pictures for a new version"
    frozen = np.load(FROZEN)
    for kind in KINDS:
        split = "pretraining" if kind == "mixed" else "selection"
        for number in range(2):
            image = render(describe(0, first_index(split) + number, kind), (32, 48)).image
            difference = np.abs(image.astype(int) - frozen[f"{kind}-{number}"].astype(int))
            assert (difference <= 2).mean() > 0.995
