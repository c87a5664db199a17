"""One encoder at two input sizes: the same parameters, tables by the rule, gradients of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import backbones
from backbones.resizing import at_size
from tests.harness.engine.families import CASES

B = (64, 96)
STEP = 1e-7
"""Small, since Hiera takes maxima, whose slope jumps."""


def file(name: str, folder: Path) -> tuple[Path, int]:
    """A file with random values in all its tables, and the size that it is of."""
    family, arch, stride, _ = CASES[name]
    side = 112 if stride == 14 else 128
    backbone = backbones.create(family, arch, side, seed=0)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    backbones.save(backbone, folder / "file.safetensors", {"name": name})
    return folder / "file.safetensors", side


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_file_gives_at_that_size(name: str, tmp_path: Path) -> None:
    path, side = file(name, tmp_path)
    there, images = backbones.load(path, input_size=B), torch.rand(2, 3, *B)
    found = at_size(backbones.load(path, input_size=side), B)
    assert found.feature_info == there.feature_info and found.input_size == B
    pairs = zip(
        (*found(images), found.encode(images)), (*there(images), there.encode(images)), strict=True
    )
    for a, b in pairs:
        # Where a bias table is resized with its gradient, the order of sums is another.
        assert torch.allclose(a, b, atol=2e-6 * float(b.abs().max()))


@pytest.mark.parametrize("name", CASES)
@torch.enable_grad()
def test_gradients_reach_the_one_set_of_parameters(name: str, tmp_path: Path) -> None:
    """Against differences: moving a parameter moves the output at both sizes."""
    path, side = file(name, tmp_path)
    backbone = backbones.load(path, input_size=side).double()
    other = at_size(backbone, B)
    names = [n for n, _ in backbone.named_parameters()]
    random = torch.Generator().manual_seed(2)
    images = torch.rand(1, 3, *B, generator=random, dtype=torch.float64)
    found = other.encode(images)
    weights = torch.rand(found.shape, generator=random, dtype=torch.float64)

    def figure() -> torch.Tensor:
        return (other.encode(images) * weights).sum()

    figure().backward()
    used = [n for n, p in backbone.named_parameters() if p.grad is not None]
    assert set(names) - set(used) == backbone.unused_names("encode") & set(names)
    tables = [n for n in used if "pos" in n or "bias_table" in n]
    for name_ in [*tables[:3], used[0], used[-1]]:
        parameter = backbone.get_parameter(name_)
        assert parameter.grad is not None
        direction = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
        slope = float((parameter.grad * direction).sum())
        with torch.no_grad():
            values = []
            for sign in (1, -1):
                parameter += sign * STEP * direction
                values.append(float(figure()))
                parameter -= sign * STEP * direction
        assert slope == pytest.approx((values[0] - values[1]) / (2 * STEP), rel=1e-3, abs=1e-4), (
            name_
        )


def test_what_becomes_of_the_first_becomes_of_the_second(tmp_path: Path) -> None:
    path, side = file("swin", tmp_path)
    backbone, images = backbones.load(path, input_size=side), torch.rand(2, 3, *B)
    other, before = at_size(backbone, B), list(backbone.state_dict())
    first = other.encode(images)
    backbone.initialise(3)
    assert not torch.allclose(first, other.encode(images))
    assert list(backbone.state_dict()) == before
    again = backbones.load(path, input_size=side)
    backbone.load_state_dict(again.state_dict())
    assert torch.equal(first, other.encode(images))


def test_drop_path_belongs_to_samples(tmp_path: Path) -> None:
    path, side = file("vit16", tmp_path)
    backbone, images = backbones.load(path, input_size=side, drop_path=0.9), torch.rand(1, 3, *B)
    other = at_size(backbone, B)
    still = other.encode(images)
    backbone.train()
    seen = []
    for key in range(8):
        backbone.set_sample_keys(torch.tensor([key]))
        seen.append(other.encode(images))
    assert any(not torch.equal(still, x) for x in seen)
    backbone.set_sample_keys(torch.tensor([3]))
    assert torch.equal(other.encode(images), seen[3])
    backbone.eval()
    assert torch.equal(other.encode(images), still)


def test_a_wrong_size_of_images_is_refused(tmp_path: Path) -> None:
    path, side = file("vit16", tmp_path)
    other = at_size(backbones.load(path, input_size=side), B)
    with pytest.raises(ValueError, match=r"expected images of shape \(B, 3, 64, 96\)"):
        other.encode(torch.rand(1, 3, side, side))
