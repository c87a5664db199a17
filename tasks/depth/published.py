"""The depth models that MIM-Depth-Estimation's authors publish: encoder and head in one file.

`backbones.load(path, keep=("depth",))` gives the encoder, and the head's tensors as `kept`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backbones.errors import LoadError
from backbones.keys import assign

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.depth.model import DepthModel
    from tasks.depth.recipe import DepthRecipe

_DECONVOLUTION = re.compile(r"decoder\.deconv_layers\.(\d+)\.weight")
_FIRST_CONVOLUTION = "decoder.conv_layers.0.weight"


def recipe_of(recipe: DepthRecipe, tensors: Mapping[str, Tensor]) -> DepthRecipe:
    """The recipe with the sizes of a file's head. The largest depth is in no tensor: it stays
    `measure.max_depth`.

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
