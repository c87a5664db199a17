"""Samples depend on nothing but their arguments; recipes and data refuse what does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

import backbones
from harness import recipes
from harness.options import RunOptions
from tasks.contract import DataError, RecipeError
from tasks.pretraining.data import MaskedImages
from tasks.pretraining.recipe import PretrainingRecipe
from tasks.pretraining.task import Pretraining
from tests.tasks.pretraining.small import recipe


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("train/cat/a.png", "train/dog/deep/b.png", "val/c.png", "val/d.png", "val/e.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)).save(path)
    return tmp_path


def images(root: Path | None) -> PretrainingRecipe:
    return recipe(data={"name": "images", "root": None if root is None else str(root)})


def test_items_are_a_function_of_index_and_generator(root: Path) -> None:
    data, again = (MaskedImages(images(root), "training") for _ in range(2))
    for rng in (None, 5):
        one, two = (
            d.item(1, None if rng is None else np.random.default_rng(rng)) for d in (data, again)
        )
        assert one["image"].shape == (3, 64, 64) and one["image"].dtype == np.uint8
        assert one["mask"].shape == (8, 8) and one["mask"].dtype == np.bool_
        assert one["mask"].sum() == 4 * 10
        assert all(np.array_equal(one[key], two[key]) for key in one)
    other = data.item(1, np.random.default_rng(6))
    seen = data.item(1, np.random.default_rng(5))
    assert not np.array_equal(other["image"], seen["image"])


def test_evaluation_sees_the_middle_unchanged(root: Path) -> None:
    data = MaskedImages(images(root), "training")
    whole = np.asarray(
        Image.open(root / "train/cat/a.png").crop((10, 0, 80, 70)).resize((64, 64), 2)
    )
    assert np.array_equal(data.item(0, None)["image"].transpose(1, 2, 0), whole)


def test_splits_share_no_image(root: Path) -> None:
    found = {
        split: {p.as_posix() for p in MaskedImages(images(root), split).images.files}  # type: ignore[attr-defined]
        for split in ("training", "selection", "test")
    }
    assert found["training"] == {"train/cat/a.png", "train/dog/deep/b.png"}
    assert found["selection"] == {"val/c.png", "val/e.png"}
    assert found["test"] == {"val/d.png"}


def test_missing_and_broken_data_is_named(root: Path) -> None:
    with pytest.raises(DataError, match="--data-root ROOT with ROOT/train"):
        MaskedImages(images(None), "training")
    with pytest.raises(DataError, match="no folder `train`; expected ROOT/train"):
        MaskedImages(images(root / "train"), "training")
    (root / "train/cat/a.png").write_bytes((root / "train/cat/a.png").read_bytes()[:600])
    with pytest.raises(DataError, match=r"train/cat/a\.png"):
        MaskedImages(images(root), "training").item(0, None)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"mask": {"unit": 12}}, "multiple of the patch size 8"),
        ({"backbone": {"input_size": [64, 72]}}, "multiple of `mask.unit` 16"),
        ({"mask": {"ratio": 1.0}}, "less than 1"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(
    sections: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**sections)


@pytest.mark.parametrize("path", sorted(Pretraining.recipes.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    found = recipes.resolve(RunOptions(task="pretraining", config=path))
    assert isinstance(found, PretrainingRecipe)
    assert found.scale == path.stem.split("-")[0]


def test_pretraining_goes_on_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    task = Pretraining()
    first = task.encoder(recipe(), 3)
    backbones.save(first, path, {"name": "first"}, dtype=torch.float32)
    second = task.encoder(recipe(encoder={"start": str(path)}), 4)
    assert second.parameters_sha256() == first.parameters_sha256()
    assert second.spec.sha256 is not None
    with pytest.raises(RecipeError, match="has depth 2, not the recipe's"):
        task.encoder(recipe(encoder={"start": str(path), "depth": 3}), 4)
