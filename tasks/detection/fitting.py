"""What in a detection recipe follows from the encoder: the neck and its strides.

Encoders of several maps get an FPN on them, those of one ViTDet's simple pyramid. That one scales
by powers of two, so of an encoder whose stride is none the recipe's strides are multiplied by
stride / nearest power of two: with patches of 14 pixels 3.5, 7, 14, 28 in place of 4, 8, 16, 32.
"""

from __future__ import annotations

from itertools import pairwise
from math import log2
from typing import TYPE_CHECKING

from tasks.contract import RecipeError
from tasks.detection.parts.pyramid import levels

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.detection.recipe import DetectionRecipe

Strides = tuple[float, ...]


def fit(recipe: DetectionRecipe, backbone: Backbone) -> tuple[DetectionRecipe, tuple[str, ...]]:
    """The recipe with the neck and strides that the encoder's maps ask for, and what that is in
    words. Fitting it again changes nothing.

    Raises:
        RecipeError: strides that do not double, or that lie no power of two from the encoder's.
    """
    strides = recipe.neck.strides
    _require_doubling(strides, "neck.strides")
    infos = backbone.feature_info
    kind = "fpn" if len(infos) > 1 else "simple"
    found: Strides
    if kind == "fpn":
        found = tuple(float(stride) for stride in levels(infos, strides[0]))
        _require_doubling(found, f"the strides of {backbone.spec.name}'s maps")
    else:
        found = _scaled(strides, infos[-1].stride, backbone.spec.name)
    neck = recipe.neck.model_copy(update={"type": kind, "strides": found})
    notes = []
    if kind != recipe.neck.type:
        number = f"{len(infos)} maps" if len(infos) > 1 else "one map"
        notes.append(f"neck: {kind} in place of {recipe.neck.type}, since the encoder has {number}")
    if found != strides:
        notes.append(f"neck: strides {_shown(found)} in place of {_shown(strides)}")
    return recipe.model_copy(update={"neck": neck}), tuple(notes)


def _scaled(strides: Strides, stride: int, name: str) -> Strides:
    """The strides, or the ones next to them that lie powers of two from an encoder's."""
    if all(log2(stride / wanted).is_integer() for wanted in strides):
        return strides
    factor = stride / 2 ** round(log2(stride))
    found = tuple(wanted * factor for wanted in strides)
    if not all(log2(stride / wanted).is_integer() for wanted in found):
        raise RecipeError(
            f"neck.strides is {_shown(strides)}: the simple pyramid scales by powers of two, and "
            f"{name} has stride {stride}; give powers of two times {stride}"
        )
    return found


def _require_doubling(strides: Strides, name: str) -> None:
    if any(b != 2 * a for a, b in pairwise(strides)) or not strides:
        raise RecipeError(f"{name} should double from map to map, got {_shown(strides)}")


def _shown(strides: Strides) -> str:
    return ", ".join(f"{stride:g}" for stride in strides)
