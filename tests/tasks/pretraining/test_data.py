"""Samples depend on nothing but their arguments; recipes and data refuse what does not fit."""

import zlib
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
from tasks.pretraining import folder, masks
from tasks.pretraining.data import MaskedImages
from tasks.pretraining.recipe import MaskRecipe, PretrainingRecipe
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


@pytest.mark.parametrize("kind", ["bomb", "text", "chunk", "folder"])
def test_every_image_that_cannot_be_decoded_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = root / "train/cat/a.png"
    content = path.read_bytes()
    if kind == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    elif kind == "text":
        # More text behind one keyword than Pillow unpacks: a ValueError.
        content = content[:33] + _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))
        path.write_bytes(content + path.read_bytes()[33:])
    elif kind == "chunk":
        # A chunk whose name is none, in front of the pixels: a SyntaxError.
        path.write_bytes(content[:41] + b"\0\0\0\0" + content[45:])
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(DataError, match=r"cannot read the image `.*train/cat/a\.png`: .*mend"):
        MaskedImages(images(root), "training").item(0, None)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        len(content).to_bytes(4, "big")
        + kind
        + content
        + zlib.crc32(kind + content).to_bytes(4, "big")
    )


def test_a_broken_link_is_named(root: Path) -> None:
    (root / "train/lost.png").symlink_to(root / "nowhere.png")
    with pytest.raises(DataError, match=r"train/lost\.png` is a broken link: .*mend or remove it"):
        MaskedImages(images(root), "training")


def test_sixteen_bits_of_grey_become_eight(root: Path) -> None:
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(levels).save(root / "train/cat/a.png")
    found = folder.scan(root, "training", None).read(0)
    assert found.shape == (64, 64, 3) and found.dtype == np.uint8
    assert np.array_equal(found, np.rint(levels / 257).astype(np.uint8)[..., None].repeat(3, 2))
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"mask": {"unit": 12}}, "multiple of the patch size 8"),
        ({"backbone": {"input_size": [64, 72]}}, "multiple of `mask.unit` 16"),
        ({"mask": {"ratio": 1.0}}, "less than 1"),
        ({"mask": {"ratio": 0.95}}, "0.95 hides all 16 units of 64x64 pixels"),
        ({"mask": {"ratio": 0.1, "unit": 64}}, "0.1 hides all 1 units of 64x64 pixels"),
        ({"mask": {"name": "mae", "ratio": 0.95}}, "0.95 hides all 16 units of 64x64 pixels"),
        ({"mask": {"name": "mae", "ratio": 1e-17}}, "1e-17 hides none of 16 units of 64x64 pix"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(
    sections: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**sections)


@pytest.mark.parametrize("name", ["simmim", "mae"])
@pytest.mark.parametrize("ratio", [0.03, 0.25, 0.6, 0.75, 0.93])
def test_the_recipe_counts_hidden_units_as_the_masks_have_them(name: str, ratio: float) -> None:
    mask = MaskRecipe.model_validate({"name": name, "ratio": ratio, "unit": 16})
    for side in (16, 48, 64, 112):
        drawn = masks.draw(mask, (side, 64), 16, np.random.default_rng(0))
        assert drawn.sum() == mask.hidden(drawn.size)


def test_the_largest_ratio_that_leaves_a_unit_is_taken() -> None:
    assert recipe(mask={"ratio": 15 / 16}).mask.hidden(16) == 15
    assert recipe(mask={"name": "mae", "ratio": 15 / 16}).mask.hidden(16) == 15


@pytest.mark.parametrize("path", sorted(Pretraining.recipes.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    found = recipes.resolve(RunOptions(task="pretraining", config=path))
    assert isinstance(found, PretrainingRecipe)
    assert found.scale == path.stem.split("-")[0]


def test_pretraining_does_not_go_on_without_a_decoder_of_pixels() -> None:
    start = Path(__file__).parents[2] / "fixtures/checkpoints/beit_pretrain/checkpoint.pth"
    with pytest.raises(RecipeError, match="no decoder of pixels, not the recipe's"):
        Pretraining().encoder(recipe(encoder={"start": str(start)}), 4)


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
    for key, other in (("mean", [0.5, 0.5, 0.5]), ("std", [0.5, 0.25, 0.25])):
        with pytest.raises(RecipeError, match=rf"has {key} \(0\..*, not the recipe's; give `enc"):
            task.encoder(recipe(encoder={"start": str(path), key: other}), 4)
