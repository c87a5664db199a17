"""What pictures know of a sequence."""

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.tracking.followed import followed, named
from tests.tasks.tracking.following import Followable, moving, prediction, sequence


def by_pixels(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of boxes with whole numbers, by counting."""

    def inside(box: np.ndarray) -> set[tuple[int, int]]:
        x, y, w, h = box.astype(int)
        return {(i, j) for i in range(x, x + w) for j in range(y, y + h)}

    return len(inside(a) & inside(b)) / len(inside(a) | inside(b))


def test_overlaps_are_those_of_counted_pixels() -> None:
    random = np.random.default_rng(0)
    truth = random.integers([0, 0, 1, 1], [20, 20, 15, 15], (40, 4)).astype(float)
    one = sequence("a", 40, boxes=truth)
    row = prediction(0, one)
    boxes = random.integers([0, 0, 1, 1], [20, 20, 15, 15], (40, 4)).astype(float)
    found = followed(row | {"boxes": boxes.ravel().tolist()}, Followable([one]))
    expected = [by_pixels(a, b) for a, b in zip(boxes, truth, strict=True)]
    np.testing.assert_allclose(found.overlaps, expected, rtol=1e-12)
    assert found.mean == pytest.approx(np.mean(expected[1:]), rel=1e-12)
    assert found.counted == 39


def test_what_is_not_known_is_no_miss_and_what_is_not_found_is() -> None:
    truth = moving(6)
    truth[2] = np.nan
    one = sequence("a", 6, boxes=truth, absent=np.arange(6) == 3)
    row = prediction(0, sequence("a", 6))
    boxes = moving(6)
    boxes[4] = np.nan
    boxes[5, 2:] = 0
    found = followed(row | {"boxes": boxes.ravel().tolist()}, Followable([one]))
    np.testing.assert_array_equal(found.overlaps, [1, 1, np.nan, np.nan, 0, 0])
    assert found.counted == 3 and found.mean == pytest.approx(1 / 3)
    unlabelled = followed(row, Followable([sequence("a", 6, labelled=False)]))
    assert unlabelled.counted == 0 and np.isnan(unlabelled.mean)


def test_refusals_name_the_sequence() -> None:
    data = Followable([sequence("car_1"), sequence("car_2"), sequence("person")])
    rows = [prediction(k, each) for k, each in enumerate(data.sequences)]
    assert named(rows, data, "car_2").sample == 1
    with pytest.raises(DataError, match=r"no sequence `car2` among 3; the nearest are `car_2`, "):
        named(rows, data, "car2")
    with pytest.raises(DataError, match="no prediction for the sequence `person`"):
        named(rows[:2], data, "person")
    with pytest.raises(DataError, match="sample 7, which the data set lacks"):
        followed(rows[0] | {"sample": 7}, data)


@pytest.mark.parametrize("count", [6, 10, 14])
def test_boxes_of_another_number_are_cut_or_missing(count: int) -> None:
    found = followed(prediction(0, sequence("a", count)), Followable([sequence("a", 10)]))
    assert len(found) == len(found.scores) == len(found.centres) == 10
    assert found.counted == 9 and (found.overlaps[1 : min(count, 10)] > 0).all()
    assert (found.overlaps[count:] == 0).all(), "what is missing is a miss"
