"""The model's loss, features and reconstruction against the published implementations'.

Tolerance: 1e-4 of the largest value; rounding alone is at most 2e-5, every known mistake gives
2.7e-3 or more.
"""

import math
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import backbones
from tasks.pretraining import losses
from tasks.pretraining.filling import measure
from tasks.pretraining.model import MaskedModel, PositionMean, Scale
from tasks.pretraining.task import Pretraining
from tests.tasks.pretraining.small import FIXTURES, recipe

SIMMIM = {"encoder": {"patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}}
MAE = {
    "encoder": {
        "family": "vit",
        "patch_size": 8,
        "embed_dim": 48,
        "depth": 3,
        "num_heads": 3,
        "decoder_embed_dim": 32,
        "decoder_depth": 2,
        "decoder_num_heads": 4,
    },
    "mask": {"name": "mae", "ratio": 0.75, "unit": 8},
}


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def batch(tensors: dict[str, Tensor], mask: Tensor, backbone: backbones.Backbone) -> dict[str, Any]:
    """The fixture's normalised image as the pixels that the encoder normalises."""
    images = (tensors["image"] * backbone.std + backbone.mean) * 255
    return {"image": images, "mask": mask, "index": torch.arange(len(images))}


def value(model: MaskedModel, data: dict[str, Any]) -> float:
    (term,) = model.loss(data).values()
    return float((term.total / term.count).detach())


def test_simmim_loss_features_and_reconstruction_are_the_published_ones() -> None:
    folder = FIXTURES / "checkpoints/simmim_vit"
    tensors = load_file(folder / "tensors.safetensors")
    backbone = backbones.load(folder / "checkpoint.pth", keep=("decoder",))
    data = batch(tensors, tensors["mask"].bool(), backbone)
    model = MaskedModel(backbone, recipe(backbone={"input_size": [48, 48]}, **SIMMIM))
    assert value(model, data) == pytest.approx(float(tensors["loss"]), rel=1e-4)
    with torch.no_grad():
        features, reconstruction = backbone.masked(model.pixels(data), data["mask"])
        rows = model.predict(data)
    assert relative(features, tensors["masked_feature_map"]) < 1e-4
    assert relative(reconstruction, tensors["reconstruction"]) < 1e-4
    # The loss of a batch counts pixels, so a sample counts as much as it has hidden ones.
    counts = data["mask"].sum(dim=(1, 2)).tolist()
    pairs = zip(rows, counts, strict=True)
    mean = sum(row["l1"] * count for row, count in pairs) / sum(counts)
    assert mean == pytest.approx(float(tensors["loss"]), rel=1e-4)


@pytest.mark.parametrize(("target", "name"), [("raw", "loss"), ("norm_pix", "loss_norm_pix")])
def test_mae_loss_is_the_published_one(target: str, name: str) -> None:
    folder = FIXTURES / "checkpoints/mae_vit"
    tensors = load_file(folder / "tensors.safetensors")
    heads = {"num_heads": 3, "decoder_num_heads": 4}
    backbone = backbones.load(folder / "checkpoint.pth", arch=heads, keep=("decoder",))
    data = batch(tensors, tensors["mask75"].bool().reshape(-1, 6, 6), backbone)
    settings = recipe(
        backbone={"input_size": [48, 48]}, objective={"target": target, "loss": "mse"}, **MAE
    )
    assert value(MaskedModel(backbone, settings), data) == pytest.approx(
        float(tensors[name]), rel=1e-4
    )


@pytest.mark.parametrize("target", ["raw", "norm47", "norm_pix"])
def test_scale_goes_to_the_target_and_back(target: str) -> None:
    settings = recipe(objective={"target": target})
    images = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).double()
    scale = Scale(settings)(images)
    encoder = settings.encoder
    mean = torch.tensor(encoder.mean, dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor(encoder.std, dtype=torch.float64).view(3, 1, 1)
    normalised = (images - mean) / std
    shift, width = losses.statistics(normalised, settings.objective.target, encoder.patch_size)
    assert torch.allclose(scale.of(images), (normalised - shift) / width, rtol=0, atol=1e-10)
    assert torch.allclose(scale.back(scale.of(images)), images, rtol=0, atol=1e-12)


HIDDEN = torch.zeros((4, 4), dtype=torch.bool)
HIDDEN[1:3] = True


class Fixed:
    """Images that stand for a data set."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def item(self, index: int, rng: None) -> dict[str, Any]:
        return {"image": self.images[index].numpy(), "mask": HIDDEN.numpy()}

    def mean_image(self) -> Any:
        return self.images.double().mean(dim=0).numpy() / 255


def test_evidence_compares_on_the_hidden_pixels_in_one_space() -> None:
    """Two grey levels, one of them hidden: every figure has a closed form."""
    settings = recipe(
        backbone={"input_size": [32, 32]}, encoder=SIMMIM["encoder"], mask={"unit": 8}
    )
    backbone = Pretraining().encoder(settings, 0)
    for parameter in backbone.parameters():
        # The decoder then gives 0 everywhere: the mean colour of the normalisation.
        parameter.data.zero_()
    seen = torch.full((3, 3, 32, 32), 50, dtype=torch.uint8)
    unseen = torch.full((6, 3, 32, 32), 90, dtype=torch.uint8)
    unseen[:, :, 8:24] = 100
    found = measure(backbone, settings, Fixed(seen), Fixed(unseen), batch_size=4)  # type: ignore[arg-type]
    mean, std = settings.encoder.mean, settings.encoder.std
    expected = sum(abs(100 / 255 - m) / s for m, s in zip(mean, std, strict=True)) / 3
    assert found.masked_l1.value == pytest.approx(expected, rel=1e-5)
    position = sum(50 / 255 / s for s in std) / 3
    assert found.fillers["position_mean"] == pytest.approx(position, rel=1e-5)
    step = sum(10 / 255 / s for s in std) / 3
    assert found.fillers["visible_mean"] == pytest.approx(step, rel=1e-5)
    assert found.fillers["interpolation"] == pytest.approx(step, rel=1e-5)
    assert found.better_filler == "interpolation"
    assert not found.passed
    assert [gate.passed for gate in found.gates] == [False, False, False]


def test_the_constant_looks_at_nothing_of_the_image() -> None:
    settings = recipe()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean = images.double().mean(dim=0).numpy() / 255
    model = PositionMean(mean, settings).eval()
    data = {
        "image": images,
        "mask": torch.ones((2, 8, 8), dtype=torch.bool),
        "index": torch.arange(2),
    }
    data["mask"][:, 0] = False
    first, second = model.predict(data)
    pictures = [torch.tensor(row["picture"]).reshape(3, 64, 64) for row in (first, second)]
    assert torch.equal(pictures[0][:, 8:], pictures[1][:, 8:])
    assert all(math.isfinite(row["l1"]) for row in (first, second))
    assert list(model.parameters()) == []


def test_maes_position_tables_are_fixed() -> None:
    """As models_mae.py has them; the gradient reaches everything else that is used."""
    given = recipe(**MAE)
    model = MaskedModel(Pretraining().encoder(given, 0), given)
    side = given.backbone.input_size[0]
    grid = side // 8
    mask = torch.rand(2, grid * grid).argsort(dim=1).view(2, grid, grid) < grid * grid * 3 // 4
    data = {
        "image": torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8),
        "mask": mask,
        "index": torch.arange(2),
    }
    (term,) = model.loss(data).values()
    term.total.backward()
    still = {n for n, p in model.named_parameters() if p.grad is None}
    assert still >= {"backbone.encoder.pos_embed", "backbone.decoder.pos_embed"}
    assert still == {n for n, p in model.named_parameters() if not p.requires_grad}
