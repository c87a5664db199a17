"""Which layer a parameter of a ConvNeXt belongs to.

Equal to optim_factory.py of facebookresearch/ConvNeXt and ConvNeXt-V2: with many blocks in the
third stage groups of three ("group"), else each block by itself ("single").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backbones.layer_rules import check_rule

GROUP = 3
_MOST_SINGLE = 9
"""Of the published encoders those with 27 blocks in their third stage are grouped, those with 9 or
fewer are not."""

_STAGE = re.compile(r"encoder\.stages\.(\d+)\.(?:blocks\.(\d+)\.)?")


def layer_of(name: str, depths: Sequence[int], rule: str | None = None) -> int:
    """Return the layer number of a parameter.

    In groups: 0 for the stem, then a layer for each stage, but one for each three blocks of the
    stage before the last. Single: block after block from 1, the stem with the first. What leads to
    a stage belongs to the stage's first layer. The last is for norm and head; under a pre-training
    rule for everything, since nothing is scaled there.
    """
    last = last_layer(depths)
    stem = name.startswith("encoder.stem.")
    found = _STAGE.match(name)
    if check_rule(rule).endswith("pretrain") or not (stem or found):
        return last
    stage = int(found[1]) if found else 0
    block = int(found[2] or 0) if found else 0
    if not _is_grouped(depths):
        return sum(depths[:stage]) + block + 1
    if stem:
        return 0
    middle = len(depths) - 2
    if stage == middle:
        return stage + 1 + block // GROUP
    return stage + 1 if stage < middle else last - 1


def last_layer(depths: Sequence[int]) -> int:
    """Return the number of what comes after the blocks."""
    if not _is_grouped(depths):
        return sum(depths) + 1
    return len(depths) + -(-depths[-2] // GROUP)


def _is_grouped(depths: Sequence[int]) -> bool:
    return len(depths) > 1 and depths[-2] > _MOST_SINGLE
