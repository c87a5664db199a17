"""Index ranges, their contents, and that a scene depends on nothing but its arguments."""

import hashlib

import numpy as np
import pytest

from tasks.microworld import KINDS, SPLITS, describe, labels_of, render
from tasks.microworld.objects import COVERED
from tasks.microworld.ranges import OBJECT_KINDS, RANGE_SIZE, first_index, split_of


def test_ranges_are_disjoint_and_named():
    for split in SPLITS:
        assert split_of(first_index(split)) == split
        assert split_of(first_index(split) + RANGE_SIZE - 1) == split
    for outside in (-1, len(SPLITS) * RANGE_SIZE):
        with pytest.raises(ValueError, match="outside"):
            describe(0, outside, "scene")


@pytest.mark.parametrize("kind", ["scene", "covered", "fine", "video", "mixed"])
def test_the_four_ranges_share_no_scene(kind):
    """By their pixels, not by their numbers; `mixed` takes its scenes from the same range."""
    digests = [
        hashlib.sha256(render(describe(0, first_index(split) + n, kind), (32, 32)).image).digest()
        for split in SPLITS
        for n in range(12)
    ]
    assert len(set(digests)) == len(digests)


def test_pre_training_holds_no_novel_class():
    for kind in KINDS:
        if kind.startswith("novel"):
            with pytest.raises(ValueError, match="no novel class"):
                describe(0, first_index("pretraining"), kind)
            continue
        for number in range(50):
            scene = describe(0, first_index("pretraining") + number, kind)
            assert all(thing.category in COVERED for thing in scene.objects)


def test_novel_classes_are_disjoint_from_covered_and_from_one_another():
    names = [name for kind in OBJECT_KINDS for name in labels_of(kind)]
    assert len(set(names)) == len(names)


def test_scenes_do_not_depend_on_what_was_described_before():
    index = first_index("selection") + 5
    once = [describe(3, index, kind) for kind in KINDS]
    np.random.default_rng(0).random()
    again = [describe(3, index, kind) for kind in reversed(KINDS)][::-1]
    assert once == again
    assert describe(4, index, "scene") != once[0]


@pytest.mark.parametrize("kind", OBJECT_KINDS)
def test_labels_are_balanced_and_shuffled(kind):
    count = len(labels_of(kind))
    start = first_index("training") - first_index("training") % count + count
    blocks = [
        [describe(0, start + block * count + n, kind).label for n in range(count)]
        for block in range(6)
    ]
    assert all(sorted(block) == list(range(count)) for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
