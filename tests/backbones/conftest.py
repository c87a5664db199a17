"""Reference outputs, and checkpoints made for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import backbones

FIXTURES = Path(__file__).parents[1] / "fixtures" / "checkpoints"

MAE_HEADS = {"num_heads": 3, "decoder_num_heads": 4}


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture(scope="session")
def published() -> Callable[[str], tuple[Path, dict[str, Tensor]]]:
    """Return a layout's checkpoint, and what the reference implementation gives with it."""

    def find(name: str) -> tuple[Path, dict[str, Tensor]]:
        folder = FIXTURES / name
        return folder / "checkpoint.pth", load_file(folder / "tensors.safetensors")

    return find


@pytest.fixture(scope="session")
def simmim_file() -> Path:
    return FIXTURES / "simmim_vit" / "checkpoint.pth"


@pytest.fixture(scope="session")
def mae_file() -> Path:
    return FIXTURES / "mae_vit" / "checkpoint.pth"


@pytest.fixture(scope="session")
def simmim_outputs() -> dict[str, Tensor]:
    return load_file(FIXTURES / "simmim_vit" / "tensors.safetensors")


@pytest.fixture(scope="session")
def mae_outputs() -> dict[str, Tensor]:
    return load_file(FIXTURES / "mae_vit" / "tensors.safetensors")


@pytest.fixture(scope="session")
def mae_heads() -> dict[str, int]:
    return dict(MAE_HEADS)


@pytest.fixture
def tiny() -> Callable[..., backbones.Backbone]:
    """Build a small new encoder of a family.

    `noise` is added to all parameters: as initialised, SimMIM's blocks hardly change their input.
    """

    def build(
        family: str = "beit", size: Any = 32, seed: int = 0, noise: float = 0.0, **options: Any
    ) -> Any:
        arch = {"embed_dim": 24, "depth": 3, "num_heads": 3, "patch_size": 8}
        arch |= options.pop("arch", {})
        if family == "vit" and "decoder" in options.get("keep", ()):
            arch |= {"decoder_embed_dim": 16, "decoder_depth": 2, "decoder_num_heads": 2}
        backbone = backbones.create(family, arch, size, seed, **options)
        random = torch.Generator().manual_seed(seed)
        for parameter in backbone.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=random)
        return backbone

    return build


@pytest.fixture
def close() -> Callable[[Tensor, Tensor], bool]:
    """Whether max|a-b| / max|b| is under 1e-4.

    Rounding alone is at most 2e-5 on these fixtures, every known mistake at least 2.7e-3.
    """

    def compare(ours: Tensor, reference: Tensor) -> bool:
        if ours.shape != reference.shape:
            return False
        return bool((ours - reference).abs().max() / reference.abs().max() < 1e-4)

    return compare


@pytest.fixture
def refused() -> Callable[..., None]:
    """Check that `load` refuses something in one line that matches a pattern."""

    def check(path: Any, match: str, **options: Any) -> None:
        with pytest.raises(backbones.LoadError, match=match) as caught:
            backbones.load(path, **options)
        assert "\n" not in str(caught.value)

    return check


@pytest.fixture
def pixels() -> Callable[[backbones.Backbone, Tensor], Tensor]:
    """Undo the normalisation: the fixtures' images are what the reference networks were given."""

    def undo(backbone: backbones.Backbone, images: Tensor) -> Tensor:
        return images * backbone.std + backbone.mean

    return undo


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Any, Path]]:
    """Return a function that writes a network with random weights as timm's file of that name."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()

    import timm
    from safetensors.torch import save_file

    def write(name: str) -> tuple[Any, Path]:
        torch.manual_seed(0)
        model = timm.create_model(name).eval()
        with torch.no_grad():
            for value in model.state_dict().values():  # running means and variances too
                if value.is_floating_point():
                    value += 0.1 * torch.rand_like(value)
                else:
                    value += 100_000  # beyond half precision
        path = tmp_path / "checkpoints" / f"{name}.safetensors"
        save_file(model.state_dict(), path)
        return model, path

    return write
