"""The real command for detection: it over-fits, its published recipes run, real data go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import backbones
from harness.recipes import load_resolved
from results.predictions import read_rows
from tasks.detection.data import DetectionDataset
from tasks.detection.task import Detection
from tasks.microworld import Microworld
from tests.slow.command import record, sets, write_folder
from tests.tasks.detection import miniature

TASK = "detection"
DATA = Path(__file__).parents[3] / "shared/data"


def test_eight_images_are_over_fitted(tmp_path: Path) -> None:
    """Of microworld's training range, as all splits of a folder."""
    still = {
        "augmentation.flip": 0,
        "optimizer.lr": 4e-3,
        "optimizer.layer_decay": 0.9,
        "schedule.warmup": 10,
        "train.batch_size": 8,
        "train.steps": 240,
    }
    world = Microworld("training", 8, "scene", (128, 128), 0)
    write_folder(tmp_path / "data", "instances", world, world.to_coco_instances())
    words = ["--scale", "smoke", "--dataset", "folder", "--data-root", "data"]
    found = record(tmp_path, TASK, "runs", *words, "--backbone", "simmim", *sets(still))
    assert found["metrics"]["AP"]["value"] > 0.8


SWIN: dict[str, Any] = {
    "backbone.input_size": [224, 224],
    "augmentation.short_sides": [96, 128, 160],
    "augmentation.max_long_side": 224,
    "augmentation.first_short_sides": [80, 100],
    "augmentation.crop_range": [60, 100],
    "evaluation.short_side": 160,
    "evaluation.max_long_side": 224,
}
NARROW_SWIN = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1, "window_size": 7}
NARROW_VIT = {"embed_dim": 12, "depth": 8, "num_heads": 1, "patch_size": 16}
PAPER: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "paper": ("swin", NARROW_SWIN, SWIN),
    "paper-swin-3x": ("swin", NARROW_SWIN, SWIN),
    "paper-vitdet": ("vit", NARROW_VIT, {"backbone.input_size": [256, 256]}),
}


@pytest.mark.parametrize("name", list(PAPER))
def test_published_recipes_run_on_the_official_layout(name: str, tmp_path: Path) -> None:
    """Overridden: the encoder (narrow, new, read from its file, in its windows), the canvas and
    with it the sizes that images are brought to, batch size, length, the regions an image (an
    eighth of the published), and on a processor without half precision its `precision`. Swin's 224
    pixels are what windows of 7 fill at stride 32; in ViTDet's 256 windows of 14 are padded."""
    family, arch, sizes = PAPER[name]
    root = miniature.coco(tmp_path / "data")
    path = tmp_path / f"{family}.safetensors"
    backbones.save(backbones.create(family, arch, (224, 224), seed=0), path, {"name": family})
    fewer = {"train.batch_size": 2, "roi.sampled": 64, "rpn.proposals_after": 125}
    found = record(
        tmp_path,
        TASK,
        "runs",
        *("--config", name, "--data-root", str(root), "--backbone", str(path)),
        *("--precision", "32", "--max-steps", "3", *sets(sizes | fewer)),
    )
    assert (found["status"], found["step"]) == ("finished", 3)
    assert found["encoder_at_step0"]["equals_file"]
    recipe = found["recipe"]
    assert recipe["backbone"]["window_size"] == {"swin": 7, "vit": 14}[family]
    assert recipe["neck"]["type"] == {"swin": "fpn", "vit": "simple"}[family]
    assert recipe["neck"]["strides"] == [4, 8, 16, 32]
    assert "mask_AP" in found["metrics"]


REAL = {"kangaroo_raccoon": "folder", "coco_mini": "coco"}


@pytest.mark.parametrize("name", list(REAL))
def test_real_images_give_pycocotools_figures(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the run itself, and of better predictions put in their place, whose AP is above 0."""
    root = DATA / name
    if not root.is_dir():
        pytest.skip("the data beside the repository are not there")
    words = ["--scale", "smoke", "--dataset", REAL[name], "--data-root", str(root)]
    words += ["--set", "test.min_score=0", "--set", "test.detections=20"]
    found = record(tmp_path, TASK, "runs", "--backbone", "simmim", *words)
    dataset = Detection().dataset(load_resolved(TASK, found["recipe"]), "test")
    kept = read_rows(next(tmp_path.glob("runs/detection/*/*/predictions.parquet")))
    better = near_the_truth(kept, dataset)
    ours = {n: m.value for n, m in Detection().evaluate(better, dataset).metrics.items()}
    assert ours["AP"] > 0.3
    run = {n: metric["value"] for n, metric in found["metrics"].items()}
    kinds = ["bbox", "segm"] if dataset.info.model["masks"] else ["bbox"]
    for rows, figures in ((kept, run), (better, ours)):
        for kind in kinds:
            expected = pycocotools_figures(rows, dataset, kind)
            capsys.readouterr()
            prefix = "mask_" if kind == "segm" else ""
            for figure, value in zip(FIGURES, expected, strict=True):
                assert figures[f"{prefix}{figure}"] == pytest.approx(value, abs=1e-9), figure


FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def near_the_truth(rows: list[dict[str, Any]], dataset: DetectionDataset) -> list[dict[str, Any]]:
    """Every object as annotated but for its place, then what the run found there."""
    rng = np.random.default_rng(0)
    objects = dataset.annotations.objects
    better = []
    for row in rows:
        mine = objects.take(objects.image == row["sample"])
        boxes = mine.boxes + np.pad(rng.normal(0, 1, (len(mine), 2)), ((0, 0), (0, 2)))
        masks = [mask["counts"].decode() for mask in mine.masks if mask is not None]
        better.append(
            row
            | {
                "boxes": [*boxes.ravel().tolist(), *row["boxes"]],
                "scores": [*rng.uniform(0.5, 1, len(mine)).tolist(), *row["scores"]],
                "categories": [*mine.category.tolist(), *row["categories"]],
                "masks": [*masks, *row["masks"]],
            }
        )
    return better


def pycocotools_figures(
    rows: list[dict[str, Any]], dataset: DetectionDataset, kind: str
) -> list[float]:
    """The annotations are read by pycocotools from the file itself."""
    ids = dataset.annotations.category_ids.tolist()
    detections = [
        {
            "image_id": row["image_id"],
            "category_id": ids[row["categories"][k]],
            "score": row["scores"][k],
            # loadRes takes the box's area where both are there.
            **(
                {"segmentation": {"size": [row["height"], row["width"]], "counts": row["masks"][k]}}
                if kind == "segm"
                else {"bbox": row["boxes"][4 * k : 4 * k + 4]}
            ),
        }
        for row in rows
        for k in range(len(row["scores"]))
    ]
    data = dataset.recipe.data
    assert data.root is not None and data.annotations is not None
    truth = COCO(str(data.root / data.annotations.test))
    reference = COCOeval(truth, truth.loadRes(detections), kind)
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    return [float(value) for value in reference.stats]
