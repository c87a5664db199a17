"""Parts of a training set: nested, balanced, the same wherever it lies."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from tasks.subsets import held_out, subset

NAMES = [f"train/{number:03}.jpg" for number in range(230)]
LABELS = np.repeat([0, 1, 2, 5], [100, 99, 30, 1])
FRACTIONS = (0.001, 0.01, 0.1, 0.2, 0.25, 0.5, 0.9, 1.0)


def chosen(fraction: float, seed: int = 0) -> set[str]:
    return set(np.array(NAMES)[subset(LABELS, NAMES, fraction, seed)])


def test_parts_are_nested() -> None:
    parts = [chosen(fraction) for fraction in FRACTIONS]
    for smaller, larger in pairwise(parts):
        assert smaller < larger or len(smaller) == 4
    assert parts[-1] == set(NAMES)


@pytest.mark.parametrize(
    ("fraction", "counts"),
    [(0.001, [1, 1, 1, 1]), (0.1, [10, 10, 3, 1]), (0.25, [25, 25, 8, 1]), (0.5, [50, 50, 15, 1])],
)
def test_each_class_has_its_share(fraction: float, counts: list[int]) -> None:
    kept = LABELS[subset(LABELS, NAMES, fraction, 0)]
    assert [int((kept == label).sum()) for label in (0, 1, 2, 5)] == counts


def test_rounding_is_that_of_the_decimal_number() -> None:
    """0.7 of 45 is 31.5 and rounds up, although the product is a little less."""
    assert subset(None, NAMES[:45], 0.7, 0).sum() == 32


def test_the_order_of_the_set_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(NAMES))
    mixed = [NAMES[place] for place in order]
    kept = subset(LABELS[order], mixed, 0.3, 7)
    assert set(np.array(mixed)[kept]) == chosen(0.3, 7)


def test_seeds_choose_differently_and_evenly() -> None:
    times = sum(subset(LABELS, NAMES, 0.25, seed).astype(int) for seed in range(400))
    assert chosen(0.25, 0) != chosen(0.25, 1)
    # 400 draws of probability 1/4: five standard deviations are 43.
    assert np.abs(times[:100] - 100).max() < 44


def test_without_labels_or_with_several_it_is_one_class() -> None:
    plain = subset(None, NAMES, 0.1, 0)
    assert plain.sum() == 23
    assert (subset(np.ones((230, 4), np.int64), NAMES, 0.1, 0) == plain).all()
    assert subset(None, NAMES, 1e-9, 0).sum() == 1
    assert subset(None, [], 0.5, 0).shape == (0,)


def test_what_cannot_be_is_refused() -> None:
    for fraction in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
            subset(LABELS, NAMES, fraction, 0)
    with pytest.raises(ValueError, match="same name"):
        subset(None, ["a", "b", "a"], 0.5, 0)


def test_images_are_held_out_in_the_order_of_a_hash() -> None:
    """SHA-256 of seed and id; the share is rounded up."""
    ids = np.arange(70, 0, -1) ** 2
    keys = {n: hashlib.sha256(f"3/{n}".encode()).hexdigest() for n in ids.tolist()}
    for share, count in ((0.01, 1), (0.3, 21), (0.51, 36)):
        first = sorted(keys, key=lambda n: keys[n])[:count]
        assert sorted(ids[held_out(ids, share, 3)].tolist()) == sorted(first)
    assert set(ids[held_out(ids, 0.3, 4)].tolist()) != set(ids[held_out(ids, 0.3, 3)].tolist())
