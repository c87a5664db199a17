"""Which layer a parameter belongs to and whether its weights decay, publication by publication.

The rows are equal to those of the reference code's own optimisers: microsoft/SimMIM optimizer.py,
facebookresearch/mae util/lr_decay.py, ViTPose's layer decay constructor, detectron2
projects/ViTDet.
"""

from __future__ import annotations

from collections.abc import Iterable

RULES: dict[str, str] = {
    "simmim": "SimMIM and BEiT fine-tuning: layer-wise; class token and position table not decayed",
    "mae": "MAE fine-tuning: as simmim",
    "vitpose": "ViTPose: as simmim",
    "mim_depth": "MIM-Depth-Estimation: as simmim; merging of patches is a layer of its own",
    "vitdet": "ViTDet: layer-wise; the encoder's norms and position table not decayed, biases are",
    "swin_detection": "Swin's detection code: norms and tables of positions not decayed, biases "
    "are; its one rate for all layers is a layer decay of 1",
    "simmim_pretrain": "SimMIM pre-training: one rate for all layers; mask token decayed",
    "mae_pretrain": "MAE pre-training: one rate for all layers; all but vectors and biases decayed",
}

_TOKENS = ("cls_token", "reg_token", "dist_token", "pos_embed")
_OF_ENCODER = ("encoder.", "fc_norm.")
_SPARED_IN_DETECTION = ("norm", "pos_embed", "relative_position_bias_table")


def check_rule(rule: str | None) -> str:
    """Return the rule's name; None and "vit" stand for the rule of plain ViT fine-tuning.

    Raises:
        ValueError: no such rule.
    """
    if rule in (None, "vit"):
        return "simmim"
    if rule not in RULES:
        raise ValueError(f"expected a layer rule out of {', '.join(RULES)}; got {rule!r}")
    return str(rule)


def vit_layer(name: str, depth: int, rule: str | None = None) -> int:
    """Return the layer number of a ViT's parameter: 0 for tokens, position table, patch embedding
    and the norm after these (open_clip's `lock` has it with them too), i+1 for block i, depth+1 for
    the rest, the shared bias table among it.

    Under a pre-training rule everything is layer depth+1, since nothing is scaled there.
    """
    if check_rule(rule).endswith("pretrain"):
        return depth + 1
    parts = name.split(".")
    if parts[0] != "encoder":
        return depth + 1
    if parts[1] in (*_TOKENS, "patch_embed", "norm_pre"):
        return 0
    if parts[1] == "blocks":
        return int(parts[2]) + 1
    return depth + 1


def decays(name: str, ndim: int, rule: str | None = None) -> bool:
    """Tell whether weight decay is applied to a parameter, of the encoder or of a task's head.

    Vectors and biases never decay. Tokens and position tables do not in fine-tuning and in
    SimMIM's pre-training; a mask token and a ViT's table of relative positions do everywhere.

    The rules of detection go by names alone. Under vitdet all but the encoder's norms and its
    position table decay: the norms of its neck and heads are of another class, which detectron2
    does not spare. Under swin_detection all norms and tables are spared, wherever they are.

    Args:
        name: as in the encoder or, after `backbone.`, in a task's model.
        ndim: dimensions of the parameter.
        rule: a name in RULES; None for the usual fine-tuning.
    """
    rule = check_rule(rule)
    if rule == "vitdet":
        own = name.removeprefix("backbone.").startswith(_OF_ENCODER)
        return not (own and ("norm" in name or name.endswith(".pos_embed")))
    if rule == "swin_detection":
        return not any(word in name for word in _SPARED_IN_DETECTION)
    if ndim <= 1 or name.endswith(".bias"):
        return False
    return rule == "mae_pretrain" or name.rsplit(".", 1)[-1] not in _TOKENS


def no_decay_names(named_ndim: Iterable[tuple[str, int]], rule: str | None = None) -> set[str]:
    """Return the names that `decays` says no to."""
    return {name for name, ndim in named_ndim if not decays(name, ndim, rule)}
