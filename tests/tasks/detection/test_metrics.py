"""From stored rows to an evaluation."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.detection import metrics
from tasks.detection.annotations import Annotations
from tasks.detection.metrics import evaluate
from tasks.detection.scoring.precision import evaluate as measure
from tasks.scoring.curves import mean_defined
from tasks.scoring.resampling import RESAMPLES, draws

from .scoring.files import NAMES, annotations, coco, crowded, detections, reference, with_masks

DATA = Path(__file__).parents[4] / "shared/data/coco_mini"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four resamples, where the test is of something else."""
    monkeypatch.setattr(metrics, "draws", lambda images: draws(images)[:4])


@dataclass
class Data:
    annotations: Annotations


def rows(found: list[dict[str, Any]], truth: Annotations) -> list[dict[str, Any]]:
    """As predictions are stored, masks as text."""
    given = detections(found, truth)
    result = []
    for number, (width, height) in enumerate(truth.images.sizes.tolist()):
        mine = np.flatnonzero(given.image == number)
        masks = [given.masks[k]["counts"] for k in mine] if given.masks else []
        result.append(
            {
                "sample": number,
                "image_id": int(truth.images.ids[number]),
                "height": height,
                "width": width,
                "boxes": given.boxes[mine].ravel().tolist(),
                "scores": given.scores[mine].tolist(),
                "categories": given.category[mine].tolist(),
                "masks": [m.decode() if isinstance(m, bytes) else m for m in masks],
            }
        )
    return result


def both(seed: int) -> tuple[Any, list[Any], list[Any]]:
    """The same detections as boxes, and with masks and boxes."""
    content, found = crowded(seed)
    content, masked = with_masks(content, found, seed)
    full = [{**m, "bbox": d["bbox"]} for m, d in zip(masked, found, strict=True)]
    return content, masked, full


@pytest.mark.usefixtures("few")
def test_figures_are_those_of_pycocotools() -> None:
    content, masked, full = both(0)
    truth = annotations(content)
    found = evaluate(rows(full, truth)[::-1], Data(truth))
    assert found.primary == "AP" and "pycocotools 2.0.11" in found.evaluator
    boxes = reference(content, full, "box").stats
    masks = reference(content, masked, "mask").stats
    for name, box, mask in zip(NAMES, boxes, masks, strict=True):
        assert found.metrics[name].value == pytest.approx(box, abs=1e-9), name
        assert found.metrics[f"mask_{name}"].value == pytest.approx(mask, abs=1e-9), name
    for category, name in zip(truth.category_ids.tolist(), truth.categories, strict=True):
        alone = reference(content, full, "box", catIds=[category]).stats[0]
        assert found.metrics[f"AP/{name}"].value == pytest.approx(alone, abs=1e-9)
        assert (found.metrics[f"AP/{name}"].n == 0) == (alone == -1)
    kinds = {name for name in found.metrics if name.startswith("dAP_")}
    six = {"class", "location", "both", "duplicate", "background", "missed"}
    assert kinds == {f"dAP_{kind}" for kind in six | {"false_positive", "false_negative"}}
    assert all(found.metrics[name].better == "lower" for name in kinds)
    assert found.metrics["AP"].n == sum(not o["iscrowd"] for o in content["annotations"])


@pytest.mark.usefixtures("few")
def test_each_image_by_itself() -> None:
    content, _, full = both(1)
    truth = annotations(content)
    own = evaluate(rows(full, truth), Data(truth)).per_sample
    assert own["sample"] == list(range(len(truth.images)))
    some = 0
    for number, id in enumerate(truth.images.ids.tolist()):
        expected = reference(content, full, "box", imgIds=[id]).stats[0]
        if expected == -1:
            assert np.isnan(own["AP"][number])
        else:
            assert own["AP"][number] == pytest.approx(expected, abs=1e-9)
            some += 1
    assert 10 < some < len(truth.images)


def test_sampling_error_is_the_spread_of_other_images() -> None:
    values, errors = [], []
    for seed in range(16):
        content, found = crowded(seed)
        truth = annotations(content)
        curves = measure(truth, detections(found, truth), "box").curves
        drawn = draws(len(truth.images)).astype(int)
        errors.append(np.std([mean_defined(curves.precision(w)) for w in drawn[:60]], ddof=1))
        values.append(mean_defined(curves.precision(np.ones(len(truth.images), int))))
    assert 0.6 < np.mean(errors) / np.std(values, ddof=1) < 1.6


def test_the_same_draws_for_everybody() -> None:
    content, found = crowded(0)
    truth = annotations(content)
    result = evaluate(rows(found, truth), Data(truth))
    assert result.resampled is not None and len(result.resampled) == RESAMPLES
    assert result.metrics["AP"].error == np.std(result.resampled, ddof=1)
    measured = measure(truth, detections(found, truth), "box")
    drawn = draws(len(truth.images)).astype(int)
    for number in (0, 7):
        assert result.resampled[number] == measured.scores(drawn[number]).figures()["AP"]


@pytest.mark.usefixtures("few")
def test_without_masks() -> None:
    content, _, full = both(0)
    truth = annotations(content)
    given = [{**row, "masks": []} for row in rows(full, truth)]
    assert not any(name.startswith("mask_") for name in evaluate(given, Data(truth)).metrics)
    bare = annotations(crowded(0)[0])
    found = evaluate(rows(full, bare), Data(bare))
    assert not any(name.startswith("mask_") for name in found.metrics)
    # Without any detection the masks are found as little as the boxes.
    nothing = evaluate(rows([], truth), Data(truth)).metrics
    assert nothing["AP"].value == nothing["mask_AP"].value == 0.0


def change(key: str, value: Any) -> Any:
    def changed(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = next(n for n, row in enumerate(given) if len(row["scores"]) > 1)
        old = given[first][key]
        new = value(old) if callable(value) else value
        return [*given[:first], {**given[first], key: new}, *given[first + 1 :]]

    return changed


BROKEN: dict[str, tuple[Any, str]] = {
    "missing": (lambda rows: rows[1:], "1 of 40 samples have no prediction"),
    "doubled": (lambda rows: [*rows, rows[3]], "1 of 41 predictions are doubled"),
    "alien": (lambda rows: [*rows, {**rows[0], "sample": 40}], "of samples that do not exist"),
    "image": (change("image_id", 999), "is of image 999, expected"),
    "flat": (change("boxes", lambda old: old[:-1]), "numbers of boxes, expected four a box"),
    "scores": (change("scores", lambda old: old[:-1]), "expected as many of each"),
    "categories": (change("categories", lambda old: old[:-1]), "expected as many of each"),
    "nan": (change("scores", lambda old: [float("nan"), *old[1:]]), "no finite numbers"),
    "infinite": (change("boxes", lambda old: [float("inf"), *old[1:]]), "no finite numbers"),
    "unknown": (change("categories", lambda old: [6, *old[1:]]), "has category 6, expected 0 to 5"),
    "negative": (change("categories", lambda old: [-1, *old[1:]]), "has category -1"),
    "half": (change("categories", lambda old: [0.5, *old[1:]]), "has category 0.5"),
    "masks": (change("masks", lambda old: old[1:]), "masks for"),
    "some masks": (change("masks", []), "expected all or none"),
    "size": (change("height", 171), "has masks of 170x171 pixels, its image has 170x170"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rows(name: str) -> None:
    content, _, full = both(0)
    truth = annotations(content)
    broken, message = BROKEN[name]
    with pytest.raises(DataError, match=message) as raised:
        evaluate(broken(rows(full, truth)), Data(truth))
    assert "\n" not in str(raised.value)


def disturbed(content: Any, index: Any, seed: int) -> list[dict[str, Any]]:
    """Detections made from the annotations: moved, renamed, doubled, with masks."""
    from pycocotools import mask

    rng = np.random.default_rng(seed)
    kinds = [c["id"] for c in content["categories"]]
    found = []
    for o in content["annotations"]:
        for _ in range(rng.integers(0, 4)):
            picture = index.annToMask(o)
            shift = rng.integers(-6, 7, 2)
            moved = np.roll(picture, shift, (0, 1))
            box = np.array(o["bbox"]) * rng.uniform(0.9, 1.1, 4) + [shift[1], shift[0], 0, 0]
            found.append(
                {
                    "image_id": o["image_id"],
                    "category_id": o["category_id"]
                    if rng.random() < 0.8
                    else int(rng.choice(kinds)),
                    "bbox": box.tolist(),
                    "score": float(rng.random()),
                    "segmentation": mask.encode(np.asfortranarray(moved)),
                }
            )
    return found


@pytest.mark.skipif(not DATA.exists(), reason="the folder shared/data/coco_mini is not there")
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("file", ["exact/coco/test_coco", "annotations/instances_val2017"])
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_photographs(file: str) -> None:
    content = json.loads((DATA / f"{file}.json").read_text())
    found = disturbed(content, coco(content), 0)
    truth = annotations(content)
    result = evaluate(rows(found, truth), Data(truth)).metrics
    boxes = reference(content, found, "box").stats
    bare = [{k: v for k, v in d.items() if k != "bbox"} for d in found]
    masks = reference(content, bare, "mask").stats
    assert boxes[0] > 0.1 and masks[0] > 0.1
    for name, box, mask in zip(NAMES, boxes, masks, strict=True):
        assert result[name].value == pytest.approx(box, abs=1e-9), name
        assert result[f"mask_{name}"].value == pytest.approx(mask, abs=1e-9), name


@pytest.mark.usefixtures("few")
def test_nothing_to_find() -> None:
    content, _, full = both(0)
    truth = annotations({**content, "annotations": []})
    bare = replace(truth, objects=replace(truth.objects, masks=()))
    found = evaluate([{**r, "masks": []} for r in rows(full, bare)], Data(bare))
    assert found.metrics["AP"].value == -1.0 and found.metrics["AP"].error is None
    assert np.isnan(found.per_sample["AP"]).all()
