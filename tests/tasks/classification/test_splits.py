"""What is held out, and images that are in a set twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.classification.datasets.contract import Images, Part
from tasks.classification.datasets.splits import Duplicates, duplicates, hold_out, judged
from tasks.contract import DataError

NAMES = [f"{number}.jpg" for number in range(137)]
LABELS = np.repeat(np.arange(5), [100, 30, 5, 1, 1])


def test_of_each_class_a_share_is_held_out() -> None:
    """Rounded up, but one image stays: of 5 it is 1, of 1 none. 0.07 of 100 is 7, although the
    product is a little more."""
    held = hold_out(LABELS, NAMES, 0.2, 0)
    assert np.bincount(LABELS[held], minlength=5).tolist() == [20, 6, 1, 0, 0]
    assert np.bincount(LABELS[hold_out(LABELS, NAMES, 0.07, 0)], minlength=5)[0] == 7
    most = hold_out(LABELS, NAMES, 0.999, 0)
    assert np.bincount(LABELS[~most]).tolist() == [1, 1, 1, 1, 1]


def test_the_choice_follows_names_and_seed() -> None:
    order = np.random.default_rng(0).permutation(len(NAMES))
    mixed = np.array(NAMES)[order]
    for seed in (0, 1):
        held = hold_out(LABELS, NAMES, 0.2, seed)
        again = hold_out(LABELS[order], mixed.tolist(), 0.2, seed)
        assert set(np.array(NAMES)[held]) == set(mixed[again])
    assert (hold_out(LABELS, NAMES, 0.2, 0) != hold_out(LABELS, NAMES, 0.2, 1)).any()


def test_with_several_labels_nothing_is_balanced() -> None:
    assert hold_out(np.ones((137, 3), np.int64), NAMES, 0.2, 0).sum() == 28


def test_shares_are_checked() -> None:
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="share must be between 0 and 1"):
            hold_out(LABELS, NAMES, share, 0)


@dataclass
class Memory(Images):
    """Images that count how much of them was read."""

    contents: list[bytes]
    where: str
    ends: int = 0
    wholes: int = 0

    def __len__(self) -> int:
        return len(self.contents)

    def read(self, row: int) -> NDArray[np.uint8]:
        raise NotImplementedError

    def name(self, row: int) -> str:
        return f"{self.where}/{row}"

    def size(self, row: int) -> int:
        return len(self.contents[row])

    def end(self, row: int, count: int) -> bytes:
        self.ends += 1
        return self.contents[row][-count:]

    def content(self, row: int) -> bytes:
        self.wholes += 1
        return self.contents[row]


def part(where: str, contents: list[bytes], labels: list[int] | None = None) -> Part:
    numbers = np.array(labels or [0] * len(contents))
    return Part(Memory(contents, where), numbers)


def test_duplicates_are_found() -> None:
    long = bytes(5000)
    parts = {
        "train": part("train", [b"a", b"b", b"a", long, b"cc", b"b"], [0, 1, 0, 1, 0, 2]),
        "test": part("test", [b"dd", b"a", b"\1" + long[1:], b"b", b"b"]),
    }
    found = duplicates(parts)
    assert found == Duplicates(
        across=(("train/0", "test/1"), ("train/1", "test/3")),
        within={"train": 2, "test": 1},
        contradicting=(("train/1", "train/5"),),
    )
    assert judged(found, "count") == (
        "in two splits: `train/0` and `test/1`, `train/1` and `test/3`",
        "repeated within `train`: 2 images",
        "repeated within `test`: 1 image",
        "one image under two labels: `train/1` and `train/5`",
    )
    with pytest.raises(DataError, match=r"two splits: `train/0` and `test/1` \(and 1 more\); rem"):
        judged(found, "refuse")


def test_no_more_is_read_than_it_takes() -> None:
    rng = np.random.default_rng(0)
    alike = rng.bytes(9000)
    train = Memory([rng.bytes(5000), rng.bytes(6000), alike, rng.bytes(7000)], "train")
    test = Memory([rng.bytes(5000), alike], "test")
    none = np.zeros(4, np.int64)
    told: list[tuple[int, int]] = []
    parts = {"train": Part(train, none), "test": Part(test, none[:2])}
    found = duplicates(parts, lambda done, total: told.append((done, total)))
    assert found.across == (("train/2", "test/1"),)
    assert (train.ends + test.ends, train.wholes + test.wholes) == (4, 2)
    assert told == [(n, 6) for n in range(1, 7)] + [(n, 4) for n in range(1, 5)] + [(1, 2), (2, 2)]


def test_three_splits_make_a_pair_each_two() -> None:
    parts = {name: part(name, [b"x"]) for name in ("train", "val", "test")}
    expected = (("train/0", "val/0"), ("train/0", "test/0"), ("val/0", "test/0"))
    assert duplicates(parts).across == expected


def test_labels_by_image_contradict_as_rows() -> None:
    labels = np.array([[1, -1], [1, -1], [1, 0]])
    found = duplicates({"train": Part(Memory([b"x"] * 3, "train"), labels)})
    assert found.contradicting == (("train/0", "train/2"),)
    assert judged(found, "refuse")[-1] == "one image under two labels: `train/0` and `train/2`"
