"""The depth models that MIM-Depth-Estimation's authors publish: encoder and head in one file.

`backbones.load(path, keep=("depth",))` gives the encoder, and the head's tensors as `kept`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backbones.errors import LoadError
from backbones.keys import assign
from tasks.contract import DataInfo, Published
from tasks.depth.protocol import name

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from tasks.depth.model import DepthModel
    from tasks.depth.recipe import DepthRecipe

SIZES = {128: "base", 192: "large"}
"""Channels of the first stage -> size of SwinV2."""

_NYU = ("d1", "d2", "d3", "AbsRel", "RMSE", "RMSElog", "log10")
_KITTI = ("d1", "d2", "d3", "AbsRel", "RMSE", "RMSElog", "SqRel")
# The column that the README calls abs_rel on NYUv2 has the size of log10: it stands beside both.
FIGURES = {
    ("nyuv2", "base"): dict(
        zip(_NYU, (0.935, 0.991, 0.998, 0.044, 0.304, 0.109, 0.044), strict=True)
    ),
    ("nyuv2", "large"): dict(
        zip(_NYU, (0.949, 0.994, 0.999, 0.036, 0.287, 0.102, 0.036), strict=True)
    ),
    ("kitti", "base"): dict(
        zip(_KITTI, (0.976, 0.998, 0.999, 0.052, 2.050, 0.078, 0.148), strict=True)
    ),
    ("kitti", "large"): dict(
        zip(_KITTI, (0.977, 0.998, 1.000, 0.050, 1.966, 0.075, 0.139), strict=True)
    ),
}
"""Data set and size -> the table in the README of SwinTransformer/MIM-Depth-Estimation."""

PROTOCOLS = {
    "nyuv2": "654 images, crop nyu_eigen, 0.001-10 m",
    "kitti": "652 images, crop kitti_garg, 0.001-80 m",
}
"""Data set -> the protocol of its figures, as `protocol.name` has it."""

NOTES = {
    "nyuv2": (
        "published: README of SwinTransformer/MIM-Depth-Estimation; its column abs_rel looks like "
        "log10, so it stands beside both",
    ),
    "kitti": ("published: README of SwinTransformer/MIM-Depth-Estimation",),
}

_DECONVOLUTION = re.compile(r"decoder\.deconv_layers\.(\d+)\.weight")
_FIRST_CONVOLUTION = "decoder.conv_layers.0.weight"


def recipe_of(recipe: DepthRecipe, tensors: Mapping[str, Tensor]) -> DepthRecipe:
    """The recipe with the sizes of a file's head. The largest depth is in no tensor: it stays that
    of `head.reach`.

    Args:
        recipe: of the data set that the model was trained for.
        tensors: of the head, by their names in the file.

    Raises:
        LoadError: they are not those of the published head.
    """
    found = {int(m[1]): tensors[m[0]] for m in map(_DECONVOLUTION.fullmatch, tensors) if m}
    filters = tuple(found[k].shape[1] for k in sorted(found) if found[k].ndim == 4)
    convolution = tensors.get(_FIRST_CONVOLUTION)
    if not filters or convolution is None or convolution.ndim != 4:
        raise LoadError(
            "the file's depth head is not that of MIM-Depth-Estimation: expected "
            f"decoder.deconv_layers.*.weight and {_FIRST_CONVOLUTION} with 4 dimensions, got "
            f"{', '.join(sorted(tensors)) or 'nothing'}"
        )
    head = {"type": "deconvolution", "filters": filters, "channels": convolution.shape[0]}
    return recipe.model_copy(update={"head": recipe.head.model_copy(update=head)})


def load_head(model: DepthModel, tensors: Mapping[str, Tensor]) -> None:
    """Copy a file's head into a model's, whole or not at all.

    Args:
        model: made under the recipe that `recipe_of` gives.
        tensors: of the head, by their names in the file.

    Raises:
        LoadError: a tensor that the head lacks, a parameter that the file lacks, another shape;
            each is named.
    """
    own = {name.removeprefix("decoder."): value for name, value in tensors.items()}
    where = f"the depth head of {model.backbone.spec.name}"
    assign(model.head, own, frozenset(), where)


def open_model(checkpoint: Path, recipe: DepthRecipe) -> Published:
    """A published model, and what its authors say of it on the recipe's data.

    Args:
        checkpoint: the file.
        recipe: of the data set that the model was trained for, of scale `paper`.

    Raises:
        LoadError: no encoder, or no head of MIM-Depth-Estimation, in the file.
    """
    import backbones
    from tasks.depth.model import DepthModel

    backbone = backbones.load(
        checkpoint,
        input_size=recipe.backbone.input_size,
        arch=recipe.backbone.arch(),
        keep=("depth",),
    )
    recipe = recipe_of(recipe, backbone.kept)
    # What is known of training data is of no use to this network.
    info = DataInfo(recipe.data.name, "training", 0, "", "")
    model = DepthModel(backbone, recipe, info)
    load_head(model, backbone.kept)
    size = SIZES.get(backbone.feature_info[0].channels, "")
    figures = FIGURES.get((recipe.data.name, size), {})
    if not figures:
        return Published(model, recipe, {})
    if other := _otherwise(recipe):
        return Published(model, recipe, {}, (f"no published figures beside ours: {other}",))
    return Published(model, recipe, figures, NOTES[recipe.data.name])


def _otherwise(recipe: DepthRecipe) -> str:
    """What is measured otherwise than the published figures were; empty if nothing is known."""
    data, measured = recipe.data, name(recipe.measure)
    if measured != PROTOCOLS[data.name]:
        return f"they are of `{PROTOCOLS[data.name]}`, not of `{measured}`"
    if data.partial or data.limit is not None:
        return "they are of all the published images"
    return ""
