"""Box and mask AP against pycocotools' own figures and arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.detection.scoring.precision import evaluate
from tasks.scoring.curves import curves

from .files import NAMES, annotations, detections

FOLDER = Path(__file__).parents[3] / "fixtures/metrics/coco_boxes_masks"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
ARRAYS = np.load(FOLDER / "expected.npz")
TRUTH = json.loads((FOLDER / "truth.json").read_text())
CASES: dict[str, tuple[str, Any]] = {
    "boxes": ("detections_boxes", "box"),
    "masks": ("detections_masks", "mask"),
    "masks_with_boxes": ("detections_masks_with_boxes", "mask"),
    "masks_as_boxes": ("detections_masks_with_boxes", "box"),
}
STORED = "AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large"


def measured(case: str, **options: Any) -> Any:
    name, kind = CASES[case]
    truth = annotations(TRUTH)
    found = detections(json.loads((FOLDER / f"{name}.json").read_text()), truth)
    if case == "masks_with_boxes":
        # As loadRes: a box beside the mask gives the area.
        options["areas"] = found.boxes[:, 2] * found.boxes[:, 3]
    return evaluate(truth, found, kind, **options)


@pytest.mark.parametrize("case", CASES)
def test_stored_figures(case: str) -> None:
    expected = EXPECTED[case]
    result = measured(case)
    figures = result.once.figures()
    assert list(figures) == NAMES
    np.testing.assert_allclose(
        list(figures.values()), [expected["stats"][n] for n in STORED.split()], rtol=0, atol=1e-9
    )
    classes = [expected["per_class"][str(id)]["AP"] for id in EXPECTED["categories"]]
    np.testing.assert_allclose(result.once.of_classes(), classes, rtol=0, atol=1e-9)
    for area, name in enumerate(("small", "medium", "large"), 1):
        classes = [expected["per_class"][str(id)][f"AP_{name}"] for id in EXPECTED["categories"]]
        np.testing.assert_allclose(result.once.of_classes(area), classes, rtol=0, atol=1e-9)
    together = measured(case, by_class=False).once.figures()
    stored = [expected["class_agnostic"][name] for name in STORED.split()]
    np.testing.assert_allclose(list(together.values()), stored, rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_stored_arrays_and_counts(case: str) -> None:
    result = measured(case)
    once = np.ones(len(TRUTH["images"]), int)
    for number, limit in enumerate((1, 10, 100)):
        part = curves(result.matching.ranking.best(limit))
        there = ARRAYS[f"{case}/precision"][..., number]
        np.testing.assert_allclose(part.precision(once), there, rtol=0, atol=1e-12)
        there = ARRAYS[f"{case}/recall"][..., number]
        np.testing.assert_allclose(part.hits.recall(once), there, rtol=0, atol=1e-12)
    ranking = result.matching.ranking
    for a, name in enumerate(("all", "small", "medium", "large")):
        counts = EXPECTED[case]["counts"][name]
        assert ranking.wanted[a].sum() == counts["truth"]
        for bits, key in ((ranking.found, "matched"), (ranking.wrong, "unmatched")):
            shifted = bits[:, None] >> np.arange(a * 10, a * 10 + 10, dtype=np.uint64)
            assert (shifted & np.uint64(1)).sum(axis=0).tolist() == counts[key]


def test_three_hundred_detections() -> None:
    stored = EXPECTED["boxes_max_300"]["stats"]
    figures = measured("boxes", limits=(1, 10, 300)).once.figures()
    # pycocotools looks for 100 by name, and says -1; ours is the mean of the same array.
    assert stored.pop("AP") == -1.0 and 0 < figures.pop("AP") < 1
    np.testing.assert_allclose(list(figures.values()), list(stored.values()), rtol=0, atol=1e-9)
