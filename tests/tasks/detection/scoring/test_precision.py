"""Box and mask AP against pycocotools' own figures and arrays."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.detection.scoring.precision import evaluate
from tasks.scoring.curves import curves
from tasks.scoring.resampling import draws

from .files import NAMES, annotations, crowded, detections, reference, with_masks

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
        assert ranking.count(ranking.found)[a].tolist() == counts["matched"]
        assert ranking.count(ranking.wrong)[a].tolist() == counts["unmatched"]


def test_three_hundred_detections() -> None:
    stored = EXPECTED["boxes_max_300"]["stats"]
    figures = measured("boxes", limits=(1, 10, 300)).once.figures()
    # pycocotools looks for 100 by name, and says -1; ours is the mean of the same array.
    assert stored.pop("AP") == -1.0 and 0 < figures.pop("AP") < 1
    np.testing.assert_allclose(list(figures.values()), list(stored.values()), rtol=0, atol=1e-9)


def assert_same(content: Any, found: Any, kind: Any, **params: Any) -> None:
    """Figures and arrays equal those of pycocotools to the last bit."""
    truth = annotations(content)
    there = reference(content, found, kind, **params)
    by_class = bool(params.get("useCats", 1))
    here = evaluate(truth, detections(found, truth), kind, by_class=by_class)
    assert list(here.once.figures().values()) == there.stats.tolist()
    once = np.ones(len(truth.images), int)
    for number, limit in enumerate((1, 10, 100)):
        part = curves(here.matching.ranking.best(limit))
        assert (part.precision(once) == there.eval["precision"][..., number]).all()
        assert (part.hits.recall(once) == there.eval["recall"][..., number]).all()
        assert (here.once.recall[limit] == there.eval["recall"][..., number]).all()


@pytest.mark.parametrize("use_categories", [1, 0])
@pytest.mark.parametrize("seed", range(4))
def test_random_boxes_as_pycocotools(seed: int, use_categories: int) -> None:
    content, found = crowded(seed)
    if seed == 3:
        # An object of id 0 is taken and never found.
        content["annotations"][0]["id"] = 0
    assert_same(content, found, "box", useCats=use_categories)


@pytest.mark.parametrize("use_categories", [1, 0])
@pytest.mark.parametrize("seed", range(2))
def test_random_masks_as_pycocotools(seed: int, use_categories: int) -> None:
    content, found = with_masks(*crowded(seed), seed)
    assert_same(content, found, "mask", useCats=use_categories)


def test_nothing_there() -> None:
    content, found = crowded(0)
    truth = annotations(content)
    nothing = detections([], truth)
    figures = evaluate(truth, nothing, "box").once.figures()
    assert set(figures.values()) == {0.0}
    assert_same({**content, "annotations": []}, found, "box")
    empty = annotations({**content, "annotations": []})
    assert set(evaluate(empty, nothing, "box").once.figures().values()) == {-1.0}


def test_id_zero_is_never_found() -> None:
    content, _ = crowded(0)
    content["annotations"] = [{**o, "iscrowd": 0} for o in content["annotations"][:1]]
    one = content["annotations"][0]
    found = [{key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0}]
    for id, expected in ((1, 1.0), (0, 0.0)):
        one["id"] = id
        truth = annotations(content)
        assert evaluate(truth, detections(found, truth), "box").once.figures()[
            "AP"
        ] == pytest.approx(expected)


def test_of_two_that_overlap_alike_the_later_is_taken() -> None:
    """And so the second detection, which lies on the later one, finds nothing."""
    boxes = [[0.0, 0.0, 10.0, 10.0], [4.0, 0.0, 10.0, 10.0]]
    content = {
        "images": [{"id": 1, "width": 99, "height": 99}],
        "annotations": numbered(
            {"image_id": 1, "category_id": 1, "bbox": box, "area": 100.0, "iscrowd": 0}
            for box in boxes
        ),
        "categories": [{"id": 1, "name": "a"}],
    }
    found = [
        {"image_id": 1, "category_id": 1, "bbox": box, "score": score}
        for box, score in (([2.0, 0.0, 10.0, 10.0], 0.9), (boxes[1], 0.8))
    ]
    assert_same(content, found, "box")
    truth = annotations(content)
    ranking = evaluate(truth, detections(found, truth), "box").matching.ranking
    assert ranking.count(ranking.found)[0, 0] == 1


def test_an_object_without_a_mask() -> None:
    content, found = with_masks(*crowded(0), 0)
    truth = annotations(content)
    masks = (None, *truth.objects.masks[1:])
    broken = replace(truth, objects=replace(truth.objects, masks=masks))
    with pytest.raises(DataError, match=rf"annotation {truth.objects.ids[0]} has no mask"):
        evaluate(broken, detections(found, truth), "mask")


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_weights_are_repeated_images(kind: Any) -> None:
    """What the bootstrap relies on: an image of weight 2 is the image twice, one of weight 0 is
    not there. Scores are equal across images; within one, the order of copies would decide."""
    content, found = crowded(1)
    rank: dict[Any, int] = {}
    for detection in found:
        key = (detection["image_id"], detection["category_id"])
        rank[key] = rank.get(key, 0) + 1
        detection["score"] = 1 - rank[key] / 256
    if kind == "mask":
        content, found = with_masks(content, found, 1)
    truth = annotations(content)
    result = evaluate(truth, detections(found, truth), kind)
    for weights in draws(len(truth.images))[:3].astype(int):
        ids = truth.images.ids.tolist()
        copies = [(100 * id + c, id) for id, n in zip(ids, weights, strict=True) for c in range(n)]
        again = {
            **content,
            "images": [{"id": new, "width": 170, "height": 170} for new, _ in sorted(copies)],
            "annotations": numbered(
                {**o, "image_id": new}
                for new, old in copies
                for o in content["annotations"]
                if o["image_id"] == old
            ),
        }
        results = [
            {**d, "image_id": new} for new, old in copies for d in found if d["image_id"] == old
        ]
        repeated = annotations(again)
        expected = evaluate(repeated, detections(results, repeated), kind).once
        weighted = result.scores(weights)
        assert (weighted.precision == expected.precision).all()
        assert all((weighted.recall[n] == expected.recall[n]).all() for n in expected.recall)
        assert list(weighted.figures().values()) == reference(again, results, kind).stats.tolist()


def numbered(objects: Any) -> list[Any]:
    return [{**o, "id": number} for number, o in enumerate(objects, 1)]
