"""The real command with tracking's published recipes, on miniatures of the official layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

import backbones
from tests.slow.command import record, sets
from tests.tasks.tracking.sources import miniature

SIZES = {"paper": (224, 7), "paper-base": (224, 7), "paper-base-384": (384, 12)}
NARROW = {"model.dim": 32, "model.encoder_blocks": 2, "train.batch_size": 2, "data.partial": True}


@pytest.mark.parametrize(
    ("name", "kind"), [("paper", ""), ("paper-base", "-lasot"), ("paper-base-384", "-lasot")]
)
def test_published_recipes_run_on_the_official_layouts(
    name: str, kind: str, tmp_path: Path
) -> None:
    """Each size, and each selection of data sets; the settings of all six are looked at elsewhere.
    Overridden: the encoder (narrow, new, read from its file, in its windows), width and depth of
    the fusion, batch size, length, and that there are fewer sequences than were published. Sizes
    and windows are the published ones."""
    side, window = SIZES[name]
    arch = {"embed_dim": 8, "depths": (1, 1, 2, 1), "num_heads": 1, "window_size": window}
    path = tmp_path / "narrow.safetensors"
    backbones.save(backbones.create("swin", arch, (side, side), seed=0), path, {"name": "narrow"})
    miniature.write_got10k(tmp_path / "got10k")
    if kind:
        miniature.write_lasot(tmp_path / "lasot")
        miniature.write_trackingnet(tmp_path / "trackingnet")
        miniature.write_coco(tmp_path / "coco")
    found = record(
        tmp_path,
        "tracking",
        "runs",
        *("--config", f"{name}{kind}", "--data-root", kind.removeprefix("-") or "got10k"),
        *("--backbone", str(path), "--max-steps", "3", "--workers", "0", *sets(NARROW)),
    )
    assert (found["status"], found["step"]) == ("finished", 3)
    assert found["encoder_at_step0"]["equals_file"]
    recipe = found["recipe"]
    assert recipe["backbone"]["input_size"] == [side, side]
    assert [one["name"] for one in recipe["data"]["sets"]] == (
        ["got10k", "lasot", "trackingnet", "coco"] if kind else []
    )
