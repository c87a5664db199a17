"""What is taken out of an encoder for a probe, by name.

`pooled`: what the authors' fine-tuning code gives its classifier. `mean`: the mean of the last map
after the final norm. `cls@-K` and `mean@-K`: class token, or mean of the other tokens, after the
K-th block from the end, without the final norm.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.contract import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from backbones import Backbone

_NAME = re.compile(r"(pooled|mean)|(cls|mean)@-([1-9]\d*)")


def check(names: Sequence[str]) -> None:
    """Refuse names that stand for nothing.

    Raises:
        RecipeError: with what there is.
    """
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise RecipeError(
                f"`probe.features`: `{name}` stands for nothing; there is pooled, mean, and of a "
                "block cls@-K or mean@-K, K = 1 the last"
            )


def extract(backbone: Backbone, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """The named features (B,D) of images (B,3,H,W) in [0,1], as float32.

    Raises:
        RecipeError: a block that the encoder lacks, or a class token that it has none of.
    """
    blocks = backbone.blocks(images) if any("@" in name for name in names) else []
    found = {}
    for name in names:
        if name == "pooled":
            found[name] = backbone.pooled(images)
        elif name == "mean":
            found[name] = backbone.encode(images).mean((2, 3))
        else:
            found[name] = _of_block(backbone, blocks, name)
    return {name: feature.float() for name, feature in found.items()}


def _of_block(backbone: Backbone, blocks: list[Tensor], name: str) -> Tensor:
    kind, _, back = name.partition("@-")
    if int(back) > len(blocks):
        raise RecipeError(f"`{name}`: {backbone.spec.name} has {len(blocks)} blocks")
    tokens = blocks[-int(back)]
    if tokens.ndim == 4:
        if kind == "cls":
            raise RecipeError(f"`{name}`: {backbone.spec.name} has no class token; take mean@-K")
        return tokens.mean((2, 3))
    stride = backbone.feature_info[-1].stride
    places = -(-backbone.input_size[0] // stride) * -(-backbone.input_size[1] // stride)
    prefix = tokens.shape[1] - places
    if kind == "cls" and prefix < 1:
        raise RecipeError(f"`{name}`: {backbone.spec.name} has no class token; take mean@-K")
    return tokens[:, 0] if kind == "cls" else tokens[:, prefix:].mean(1)
