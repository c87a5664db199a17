"""What a detector loses AP by, in six kinds of errors (TIDE, Bolya et al. 2020, arXiv:2008.08115,
section 3), so that errors of class and of location can be told apart.

A false positive (at an overlap of 0.5, as COCO's evaluator assigns) is of the first kind that
fits; its overlap with objects of its own class is `own`, with those of others `other`:

- location: 0.1 <= own < 0.5
- class: other >= 0.5
- duplicate: own >= 0.5, so a better detection has the object
- background: own, other < 0.1
- both: 0.1 <= other < 0.5

and `missed` is an object without a detection at which no error of class or location aims.

`dAP` of a kind is AP50 with this kind mended, minus AP50. An error of class or location is mended
into a detection of the object it overlaps most; of several detections of the object then, the one
with the highest score stays. Others are taken away: false positives from the list, missed objects
from those that are wanted. `false_positive` takes away all false positives, `false_negative` all
objects that were not found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.detection.annotations import Annotations, Detections
from tasks.detection.scoring.matching import Matching
from tasks.detection.scoring.overlaps import Kind, near
from tasks.scoring.assignment import Pairs
from tasks.scoring.curves import Curves, Ranking, curves, mean_defined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KINDS = ("location", "class", "duplicate", "background", "both")
FOREGROUND, BACKGROUND = 0.5, 0.1


@dataclass(frozen=True)
class Errors:
    """What is wrong with which detection.

    Attributes:
        kind: (D,) of each ranked detection its number among `KINDS`, -1 where it is no error.
        target: (D,) the object that an error of class or location aims at, else -1.
        missed: (G,). unfound: (G,) missed or aimed at.
    """

    kind: Ints
    target: Ints
    missed: Bools
    unfound: Bools

    def counts(self) -> dict[str, int]:
        """How many errors there are of each kind, of the first five together, and how many
        objects were not found."""
        found = {name: int((self.kind == number).sum()) for number, name in enumerate(KINDS)}
        return found | {
            "missed": int(self.missed.sum()),
            "false_positive": int((self.kind >= 0).sum()),
            "false_negative": int(self.unfound.sum()),
        }


@dataclass(frozen=True)
class Losses:
    """What each kind costs, at any weights of the images."""

    base: Curves
    mended: dict[str, Curves]

    def at(self, weights: Ints) -> dict[str, float]:
        """dAP of each kind, in units of AP.

        The mean is over the classes with an object that counts, also where mending leaves none;
        such a class then has AP 0, as in the authors' toolbox.

        weights: (I,) how often each image is there.
        """
        precision = self.base.precision(weights)
        classes = precision[0, 0, :, 0] > -1

        def average(values: Floats) -> float:
            return mean_defined(np.maximum(values[:, :, classes], 0.0))

        base = average(precision)
        return {name: average(c.precision(weights)) - base for name, c in self.mended.items()}


def errors(truth: Annotations, found: Detections, kind: Kind, matching: Matching) -> Errors:
    """Name each false positive's kind; `matching` is that of `found`."""
    ranking, objects = matching.ranking, truth.objects
    wrong = np.flatnonzero(ranking.wrong & np.uint64(1))
    wrong = wrong[np.argsort(ranking.image[wrong], kind="stable")]
    counting = np.flatnonzero(ranking.wanted[0])
    pairs = near(
        kind,
        found,
        matching.rows[wrong],
        ranking.image[wrong],
        objects.take(counting),
        objects.image[counting],
        BACKGROUND,
    )
    same = ranking.category[wrong][pairs.detected] == objects.category[counting][pairs.objects]
    own, own_object = _most(pairs.take(same), len(wrong))
    other, other_object = _most(pairs.take(~same), len(wrong))
    fits = [
        (own >= BACKGROUND) & (own < FOREGROUND),
        other >= FOREGROUND,
        own >= FOREGROUND,
        np.maximum(own, other) < BACKGROUND,
    ]
    number = np.select(fits, np.arange(4), 4)
    aim = np.select([number == 0, number == 1], [own_object, other_object], -1)
    which, target = np.full(len(ranking.image), -1), np.full(len(ranking.image), -1)
    which[wrong] = number
    target[wrong] = np.append(counting, -1)[aim]
    unfound = ranking.wanted[0] & ((matching.finder < 0) | (objects.ids == 0))
    missed = unfound.copy()
    missed[target[target >= 0]] = False
    return Errors(which, target, missed, unfound)


def _most(pairs: Pairs, count: int) -> tuple[Floats, Ints]:
    """(count,) the highest value of each detection and the first object that has it; 0 and -1
    where it has none."""
    value, best = np.zeros(count), np.full(count, -1)
    if len(pairs.detected):
        start = np.flatnonzero(np.diff(pairs.detected, prepend=-1))
        top = np.maximum.reduceat(pairs.value, start)
        value[pairs.detected[start]] = top
        at = np.flatnonzero(pairs.value == value[pairs.detected])[::-1]
        # The first is written last.
        best[pairs.detected[at]] = pairs.objects[at]
    return value, best


def losses(truth: Annotations, found: Detections, matching: Matching, wrong: Errors) -> Losses:
    """Prepare what each kind costs."""
    one = np.uint64(1)
    base = replace(
        matching.ranking,
        found=matching.ranking.found & one,
        wrong=matching.ranking.wrong & one,
        wanted=matching.ranking.wanted[:1],
        thresholds=1,
    )
    order = _by_score(truth, found, matching)
    mended = {
        "class": _mended(base, wrong, 1, truth, order, matching.finder),
        "location": _mended(base, wrong, 0, truth, order, matching.finder),
    }
    for name in ("both", "duplicate", "background"):
        mended[name] = _without(base, wrong.kind == KINDS.index(name))
    mended["missed"] = replace(base, wanted=base.wanted & ~wrong.missed)
    mended["false_positive"] = _without(base, base.wrong != 0)
    mended["false_negative"] = replace(base, wanted=base.wanted & ~wrong.unfound)
    return Losses(curves(base), {name: curves(ranking) for name, ranking in mended.items()})


def _by_score(truth: Annotations, found: Detections, matching: Matching) -> Ints:
    """(D,) each ranked detection's place among all by falling score, as `match` orders them."""
    place = np.argsort(np.argsort(truth.images.ids, kind="stable"), kind="stable")
    rows = matching.rows
    order = np.lexsort((rows, place[matching.ranking.image], -found.scores[rows]))
    place_of = np.empty_like(order)
    place_of[order] = np.arange(len(order))
    return place_of


def _without(ranking: Ranking, gone: Bools) -> Ranking:
    zero = np.uint64(0)
    return replace(
        ranking,
        found=np.where(gone, zero, ranking.found),
        wrong=np.where(gone, zero, ranking.wrong),
    )


def _mended(
    base: Ranking, wrong: Errors, number: int, truth: Annotations, order: Ints, finder: Ints
) -> Ranking:
    """Errors of one kind turned into detections of what they aim at, under its class; of all
    detections of an object the best stays."""
    mine = np.flatnonzero(wrong.kind == number)
    target = wrong.target[mine]
    holding = np.flatnonzero(finder >= 0)
    holding = holding[base.found[finder[holding]] != 0]
    detected = np.concatenate((mine, finder[holding]))
    objects = np.concatenate((target, holding))
    by_object = np.lexsort((order[detected], objects))
    later = np.diff(objects[by_object], prepend=-1) == 0
    gone = np.zeros(len(order), bool)
    gone[detected[by_object[later]]] = True
    category, right, false = base.category.copy(), base.found.copy(), base.wrong.copy()
    category[mine] = truth.objects.category[target]
    right[mine], false[mine] = 1, 0
    ranking = replace(base, category=category, found=right, wrong=false)
    ranking = _without(ranking, gone)
    return ranking.take(np.lexsort((order, category))) if number else ranking
