"""Which layer a parameter of a Swin belongs to, and which are spared weight decay.

Equal to the optimisers of microsoft/SimMIM, microsoft/Swin-Transformer (SwinV2) and
SwinTransformer/MIM-Depth-Estimation. Merging of patches stands at the end of a stage there; ours is
named at the beginning of the next.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from backbones.layer_rules import check_rule

MIM_DEPTH = "mim_depth"
_TABLES = ("relative_position_bias_table", "logit_scale")
_NAME = re.compile(r"encoder\.layers\.(\d+)\.(downsample|blocks\.(\d+))\.")


def layer_ids(
    names: Iterable[str], depths: Sequence[int], rule: str | None = None
) -> dict[str, int]:
    """Return the layer number of each parameter.

    0 for the patch embedding, then block after block; the last for norm and head. Merging belongs
    to the block before it; by the rule mim_depth it is a layer of its own. Under a pre-training
    rule everything is in the last layer, since nothing is scaled there.
    """
    return {name: _layer(name, depths, check_rule(rule)) for name in names}


def last_layer(depths: Sequence[int], rule: str | None = None) -> int:
    """Return the number of what comes after the blocks."""
    return sum(depths) + 1 + (len(depths) - 1) * (check_rule(rule) == MIM_DEPTH)


def spared(named: Collection[tuple[str, int]], rule: str | None = None) -> set[str]:
    """Return the parameters that are not decayed though they are matrices.

    In fine-tuning the tables of relative positions, what makes them, and the logit scales; in
    pre-training the mask token (of a Swin alone, in SimMIM's code).
    """
    if check_rule(rule).endswith("pretrain"):
        return {name for name, _ in named if name.endswith("mask_token")}
    return {name for name, _ in named if name.endswith(_TABLES) or ".cpb_mlp." in name}


def _layer(name: str, depths: Sequence[int], rule: str) -> int:
    if rule.endswith("pretrain"):
        return last_layer(depths, rule)
    if name.startswith("encoder.patch_embed."):
        return 0
    found = _NAME.match(name)
    if found is None:
        return last_layer(depths, rule)
    stage = int(found[1])
    own = stage * (rule == MIM_DEPTH)
    return sum(depths[:stage]) + own + (0 if found[3] is None else int(found[3]) + 1)
