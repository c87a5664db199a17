"""Features by name are what they say, of encoders with and without a class token."""

from __future__ import annotations

import pytest
import torch

import backbones
from tasks.classification.features import check, extract
from tasks.contract import RecipeError

WINDOWED = {"patch_size": 4, "embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1}
ENCODERS = {
    "vit": {"embed_dim": 12, "depth": 3, "num_heads": 1, "patch_size": 16},
    "swin": {**WINDOWED, "window_size": 2},
}


@pytest.mark.parametrize("family", list(ENCODERS))
def test_features_are_those_of_the_encoder(family: str) -> None:
    encoder = backbones.create(family, ENCODERS[family], (64, 64), seed=0).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = extract(encoder, images, ("pooled", "mean", "mean@-1", "mean@-2"))
        blocks = encoder.blocks(images)
        torch.testing.assert_close(found["pooled"], encoder.pooled(images), rtol=0, atol=0)
        torch.testing.assert_close(found["mean"], encoder.encode(images).mean((2, 3)))
        for back in (1, 2):
            tokens = blocks[-back]
            # A map, or a class token and sixteen patches.
            plain = tokens.mean((2, 3)) if tokens.ndim == 4 else tokens[:, 1:].mean(1)
            torch.testing.assert_close(found[f"mean@-{back}"], plain)
        if family == "vit":
            token = extract(encoder, images, ("cls@-1",))["cls@-1"]
            torch.testing.assert_close(token, blocks[-1][:, 0], rtol=0, atol=0)
        else:
            with pytest.raises(RecipeError, match="no class token"):
                extract(encoder, images, ("cls@-1",))
        with pytest.raises(RecipeError, match="blocks"):
            extract(encoder, images, ("mean@-9",))


@pytest.mark.parametrize("name", ["cls", "mean@2", "mean@-0", "token", "pooled@-1"])
def test_names_that_stand_for_nothing_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="stands for nothing"):
        check([name])
