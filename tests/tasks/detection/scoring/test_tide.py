"""Six kinds of errors against the paper's definitions, written out one detection at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tasks.detection.annotations import Annotations, Detections
from tasks.detection.scoring.matching import match
from tasks.detection.scoring.tide import errors, losses
from tasks.scoring.resampling import draws

from .files import annotations, crowded, detections, with_masks

SIX = ("class", "location", "both", "duplicate", "background", "missed")
RECALLS = np.linspace(0, 1, 101)


def measured(truth: Annotations, found: Detections, kind: Any = "box") -> tuple[Any, Any]:
    matching = match(truth, found, kind)
    wrong = errors(truth, found, kind, matching)
    return wrong, losses(truth, found, matching, wrong)


class Slow:
    """Bolya et al. 2020, section 3, on the assignment of COCO's evaluator at 0.5."""

    def __init__(self, truth: Annotations, found: Detections, kind: str) -> None:
        from pycocotools import mask

        self.truth, self.found = truth, found
        o = truth.objects
        place = {int(row): n for n, row in enumerate(np.argsort(truth.images.ids))}
        # Falling score, image by image, in the order of the list.
        self.order = sorted(
            range(len(found)), key=lambda d: (-found.scores[d], place[int(found.image[d])], d)
        )
        per: dict[Any, int] = {}
        kept = []
        for d in self.order:
            key = (int(found.image[d]), int(found.category[d]))
            per[key] = per.get(key, 0) + 1
            if per[key] <= 100:
                kept.append(d)
        self.order = kept
        self.position = {d: n for n, d in enumerate(kept)}
        one = list(found.masks) if kind == "mask" else found.boxes.tolist()
        two = list(o.masks) if kind == "mask" else o.boxes.tolist()
        self.iou = {
            (d, g): float(mask.iou([one[d]], [two[g]], [int(o.crowd[g])])[0, 0])
            for d in kept
            for g in range(len(o))
            if found.image[d] == o.image[g]
        }
        self.assign()

    def assign(self) -> None:
        o = self.truth.objects
        self.holder: dict[int, int] = {}
        self.hit: dict[int, int] = {}
        self.wrong: list[int] = []
        for d in self.order:
            mine = [g for g in range(len(o)) if (d, g) in self.iou and self.same(d, g)]
            free = [g for g in mine if not o.crowd[g] and g not in self.holder]
            best = [g for g in free if self.iou[d, g] >= 0.5]
            if best:
                g = max(best, key=lambda g: (self.iou[d, g], g))
                self.holder[g] = d
                self.hit[d] = g
            elif not any(o.crowd[g] and self.iou[d, g] >= 0.5 for g in mine):
                self.wrong.append(d)

    def same(self, d: int, g: int) -> bool:
        return bool(self.found.category[d] == self.truth.objects.category[g])

    def kinds(self) -> dict[str, Any]:
        o = self.truth.objects
        kinds: dict[str, Any] = {name: [] for name in SIX}
        self.aim: dict[int, int] = {}
        for d in self.wrong:
            near = [g for g in range(len(o)) if (d, g) in self.iou and not o.crowd[g]]
            own = max(
                (g for g in near if self.same(d, g)),
                key=lambda g: (self.iou[d, g], -g),
                default=None,
            )
            other = max(
                (g for g in near if not self.same(d, g)),
                key=lambda g: (self.iou[d, g], -g),
                default=None,
            )
            a = 0.0 if own is None else self.iou[d, own]
            b = 0.0 if other is None else self.iou[d, other]
            if 0.1 <= a < 0.5:
                name, self.aim[d] = "location", own
            elif b >= 0.5:
                name, self.aim[d] = "class", other
            elif a >= 0.5:
                name = "duplicate"
            elif max(a, b) < 0.1:
                name = "background"
            else:
                name = "both"
            kinds[name].append(d)
        unfound = [g for g in range(len(o)) if not o.crowd[g] and g not in self.holder]
        kinds["missed"] = [g for g in unfound if g not in self.aim.values()]
        self.unfound = unfound
        return kinds

    def ap(self, listed: dict[int, tuple[int, bool]], gone: Sequence[int] = ()) -> float:
        """listed: detection -> class and whether it is right; gone: objects not wanted."""
        o = self.truth.objects
        values = []
        for k in range(len(self.truth.categories)):
            here = [g for g in range(len(o)) if o.category[g] == k and not o.crowd[g]]
            if not here:
                continue
            wanted = len([g for g in here if g not in gone])
            flags = [listed[d][1] for d in self.order if d in listed and listed[d][0] == k]
            if not wanted or not flags:
                values.append(0.0)
                continue
            hits = np.cumsum(flags)
            precision = hits / np.arange(1, len(flags) + 1)
            recall = hits / wanted
            values.append(np.mean([max(precision[recall >= r], default=0.0) for r in RECALLS]))
        return float(np.mean(values))

    def deltas(self) -> dict[str, float]:
        kinds = self.kinds()
        plain = {d: (int(self.found.category[d]), True) for d in self.hit}
        plain |= {d: (int(self.found.category[d]), False) for d in self.wrong}
        base = self.ap(plain)
        result = {}
        for name in ("class", "location"):
            changed = dict(plain)
            claims: dict[int, list[int]] = {g: [d] for d, g in self.hit.items()}
            for d in kinds[name]:
                g = self.aim[d]
                changed[d] = (int(self.truth.objects.category[g]), True)
                claims.setdefault(g, []).append(d)
            for claim in claims.values():
                for d in sorted(claim, key=self.position.__getitem__)[1:]:
                    del changed[d]
            result[name] = self.ap(changed) - base
        for name in ("both", "duplicate", "background"):
            result[name] = self.ap({d: v for d, v in plain.items() if d not in kinds[name]}) - base
        result["missed"] = self.ap(plain, kinds["missed"]) - base
        result["false_positive"] = self.ap({d: v for d, v in plain.items() if v[1]}) - base
        result["false_negative"] = self.ap(plain, self.unfound) - base
        return result


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("seed", range(3))
def test_random_data(seed: int, kind: str) -> None:
    content, found = crowded(seed)
    if kind == "mask":
        content, found = with_masks(content, found, seed)
    truth = annotations(content)
    guessed = detections(found, truth)
    wrong, lost = measured(truth, guessed, kind)
    slow = Slow(truth, guessed, kind)
    expected = {name: len(members) for name, members in slow.kinds().items()}
    expected["false_positive"] = len(slow.wrong)
    expected["false_negative"] = len(slow.unfound)
    assert wrong.counts() == expected
    assert min(expected.values()) > 0
    here = lost.at(np.ones(len(truth.images), int))
    there = slow.deltas()
    assert set(here) == set(there)
    for name, value in there.items():
        assert here[name] == pytest.approx(value, abs=1e-12), name


def test_weights_are_repeated_images() -> None:
    content, found = crowded(2)
    for number, detection in enumerate(found):
        detection["score"] += number * 1e-5
    truth = annotations(content)
    _, lost = measured(truth, detections(found, truth))
    weights = draws(len(truth.images))[0].astype(int)
    rows = np.repeat(np.arange(len(truth.images)), weights)
    ids = truth.images.ids[rows].tolist()
    copies = list(enumerate(ids))
    again = {
        **content,
        "images": [{"id": new, "width": 170, "height": 170} for new, _ in copies],
        "annotations": [
            {**o, "image_id": new, "id": 1 + new * 1000 + k}
            for new, old in copies
            for k, o in enumerate(content["annotations"])
            if o["image_id"] == old
        ],
    }
    results = [{**d, "image_id": new} for new, old in copies for d in found if d["image_id"] == old]
    repeated = annotations(again)
    _, expected = measured(repeated, detections(results, repeated))
    there = expected.at(np.ones(len(copies), int))
    for name, value in lost.at(weights).items():
        assert value == pytest.approx(there[name], abs=1e-12), name


BOX, FAR = [10.0, 10.0, 20.0, 20.0], [60.0, 60.0, 20.0, 20.0]
HALF, BESIDE = [20.0, 10.0, 20.0, 20.0], [11.0, 10.0, 20.0, 20.0]
"""Overlaps with BOX by a third; by more than 0.9."""


def scene(objects: list[tuple[int, list[float]]], guesses: list[Any]) -> tuple[Any, Any]:
    """One image of classes 0 and 1; guesses are class, box, score."""
    content = {
        "images": [{"id": 1, "width": 99, "height": 99}],
        "annotations": [
            {
                "id": n,
                "image_id": 1,
                "category_id": category,
                "bbox": box,
                "area": 400.0,
                "iscrowd": 0,
            }
            for n, (category, box) in enumerate(objects, 1)
        ],
        "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
    }
    truth = annotations(content)
    found = [
        {"image_id": 1, "category_id": category, "bbox": box, "score": score}
        for category, box, score in guesses
    ]
    wrong, lost = measured(truth, detections(found, truth))
    return wrong.counts(), lost.at(np.ones(1, int))


ALONE: dict[str, tuple[list[Any], float]] = {
    "class": ([(1, BOX, 0.9)], 1.0),
    "location": ([(0, HALF, 0.9)], 1.0),
    "both": ([(1, HALF, 0.9)], 0.0),
    "background": ([(0, FAR, 0.9)], 0.0),
    "duplicate": ([(0, BOX, 0.9), (0, BESIDE, 0.8)], 0.0),
    "missed": ([], 0.0),
}


@pytest.mark.parametrize("name", ALONE)
def test_one_kind_alone(name: str) -> None:
    """One object of class 0."""
    guesses, gain = ALONE[name]
    counts, deltas = scene([(0, BOX)], guesses)
    # An object at which no error of class or location aims is missed too.
    also = {"missed"} if name in ("both", "background") else set()
    assert {kind for kind in SIX if counts[kind]} == {name} | also
    assert deltas[name] == pytest.approx(gain)
    assert all(deltas[kind] == 0 for kind in SIX if kind != name)


@pytest.mark.parametrize(
    ("name", "guess"),
    [("background", (0, [40.0, 0.0, 20.0, 20.0])), ("both", (0, [70.0, 60.0, 20.0, 20.0]))],
)
def test_what_is_taken_away_was_in_the_way(name: str, guess: Any) -> None:
    """A false positive above the only object of one of two classes halves its AP50."""
    right = [(0, BOX, 0.5), (1, FAR, 0.5)]
    counts, deltas = scene([(0, BOX), (1, FAR)], [(*guess, 0.9), *right])
    assert {kind for kind in SIX if counts[kind]} == {name}
    assert deltas[name] == deltas["false_positive"] == pytest.approx(0.25)
    assert all(deltas[kind] == 0 for kind in SIX if kind != name)


def test_missed_objects_stretch_the_curve() -> None:
    counts, deltas = scene([(0, BOX), (0, FAR)], [(0, BOX, 0.5)])
    assert {kind for kind in SIX if counts[kind]} == {"missed"}
    # Found up to recall 0.5: at 51 of 101 recalls.
    assert deltas["missed"] == deltas["false_negative"] == pytest.approx(50 / 101)
    # A class of which nothing is left keeps its place in the mean.
    _, deltas = scene([(0, BOX), (1, FAR)], [(0, BOX, 0.5)])
    assert deltas["missed"] == 0


def test_of_two_detections_the_better_stays() -> None:
    """A badly placed one with a higher score, mended, takes the object from the one that had it."""
    counts, deltas = scene([(0, BOX)], [(0, HALF, 0.9), (0, BOX, 0.8)])
    assert counts["location"] == 1
    assert deltas["location"] == pytest.approx(0.5)
    # One of another class too; it leaves the list of its own.
    counts, deltas = scene([(0, BOX), (1, FAR)], [(1, BOX, 0.9), (0, BOX, 0.8), (1, FAR, 0.7)])
    assert counts["class"] == 1
    assert deltas["class"] == pytest.approx(0.25)
