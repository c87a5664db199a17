"""The embedded world's videos as sequences."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tasks.contract import Split
from tasks.tracking.recipe import TrackingData
from tasks.tracking.sources.microworld import level, videos
from tasks.tracking.sources.opening import open_source, open_training_sets


@pytest.fixture(scope="module")
def data() -> TrackingData:
    counts = {"training": 2, "selection": 1, "test": 2}
    return TrackingData.model_validate({"count": counts, "size": (64, 64), "workers": 0})


def test_levels_are_got10ks() -> None:
    shares = {0.01: 1, 0.15: 1, 0.16: 2, 0.3: 2, 0.31: 3, 0.45: 3, 0.46: 4, 0.6: 4}
    shares |= {0.61: 5, 0.75: 5, 0.76: 6, 0.9: 6, 0.91: 7, 0.999: 7, 1.0: 8}
    assert {share: level(share) for share in shares} == shares


def test_boxes_and_visibility(data: TrackingData) -> None:
    world = videos(data, "test")
    source = open_source(data, "test")
    assert [one.name for one in source.sequences] == ["test-0000", "test-0001"]
    assert source.digest == world.manifest["sha256"]
    for video, one in enumerate(source.sequences):
        assert len(one) == 24 and one.labelled and one.visible is None
        assert one.cover is not None and one.absent is not None
        assert not one.absent[0] and (one.absent == (one.cover == 0)).all()
        np.testing.assert_array_equal(np.isnan(one.boxes).all(1), one.absent)
        for frame in (0, 11, 23):
            target = world.annotations(video, frame).target_item
            if target is not None:
                assert one.boxes[frame].tolist() == list(target.full_box)
                seen = target.visible
                assert (one.cover[frame] == 8) == (seen == 1)
            np.testing.assert_array_equal(one.frames.read(frame), world.image(video, frame))
        low = (one.cover > 0) & (one.cover < 4)
        assert ("occlusion" in one.attributes) == low.any()
        assert ("absence" in one.attributes) == one.absent.any()


def test_splits_differ_and_training_is_its_own(data: TrackingData) -> None:
    splits: tuple[Split, ...] = ("training", "selection", "test")
    assert len({open_source(data, split).digest for split in splits}) == 3
    ((source, weight),) = open_training_sets(data)
    assert weight == 1 and len(source.sequences) == 2


def test_frames_may_be_pickled(data: TrackingData) -> None:
    frames = open_source(data, "training").sequences[1].frames
    copy = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(copy.read(3), frames.read(3))
    assert copy.name(3) == "training-0001/3"
