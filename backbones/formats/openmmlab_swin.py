"""Checkpoints of OpenMMLab (mmdet, mmpose, mmpretrain) with a Swin: `stages.*.blocks.*.attn.w_msa`.

Its merging reads the four cells row by row and the channels of each first; the Swin of its authors
reads them column by column and cell by cell. Weights and norm of merging are put in that order.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from backbones.files import Checkpoint
from backbones.formats import stages
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.timm import is_index_buffer

MERGING = "merging of patches in the order of Swin's authors"
MAP_NORMS = "norms of the finer maps"
_PREFIX = "backbone."
_MARKS = ("patch_embed.projection.weight", "stages.0.blocks.0.attn.w_msa.qkv.weight")
_CLASSIFIER = "head.fc."
_MERGED = re.compile(r"^layers\.\d+\.downsample\.(?:norm|reduction)\.")
_MAP_NORM = re.compile(r"^norm(\d+)\.")
_STAGE = re.compile(r"^stages\.(\d+)\.")
_PARTS = ("head.", "neck.", "rpn_head.", "roi_head.", "bbox_head.", "mask_head.", "panoptic_head.",
          "decode_head.", "auxiliary_head.", "data_preprocessor.")  # fmt: skip
_DROPPED = "heads and necks of OpenMMLab"
_RENAMED = (
    (re.compile(r"^stages\."), "layers."),
    (re.compile(r"^patch_embed\.projection\."), "patch_embed.proj."),
    (re.compile(r"\.attn\.w_msa\."), ".attn."),
    (re.compile(r"\.ffn\.layers\.0\.0\."), ".mlp.fc1."),
    (re.compile(r"\.ffn\.layers\.1\."), ".mlp.fc2."),
)


class OpenmmlabSwinFormat(Format):
    """See the module."""

    name = "openmmlab_swin"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        for prefix in (_PREFIX, ""):
            if all(prefix + mark in checkpoint.tensors for mark in _MARKS):
                return f"{prefix}stages.*.blocks.*.attn.w_msa, as Swin of OpenMMLab has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        names = checkpoint.tensors
        renaming = Renaming()
        bare = {name.removeprefix(_PREFIX) for name in names}
        last = max((int(m[1]) for m in map(_STAGE.match, bare) if m), default=0)
        for name, value in names.items():
            own = name.removeprefix(_PREFIX)
            norm = _MAP_NORM.match(own)
            if name.startswith(_CLASSIFIER):
                renaming.take(name, name.replace(_CLASSIFIER, "head.", 1), value)
            elif name.startswith(_PARTS):
                renaming.drop(name, _DROPPED)
            elif is_index_buffer(name):
                renaming.drop(name, "index buffer")
            elif norm and int(norm[1]) < last:
                renaming.drop(name, MAP_NORMS)
            else:
                _take(renaming, name, _own(own, last), value)
        pads, why = _pads(bare, last)
        return Parsed(
            family="swin",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            laid_out=renaming.laid_out,
            arch={"pad_small_maps": pads},
            objective="supervised" if f"{_CLASSIFIER}weight" in names else "unknown",
            colour_note="mean and std of ImageNet, the default of OpenMMLab's data",
            notes=(f"pad_small_maps={pads}: {why}",),
        )


def _pads(names: set[str], last: int) -> tuple[bool, str]:
    """Return whether small maps are padded to whole windows, and by what that was told."""
    if any(f"norm{i}.weight" in names for i in range(last)):
        return True, "norms of all maps, as detectors have them"
    if any(name.startswith(_PARTS) for name in names) and f"{_CLASSIFIER}weight" not in names:
        return True, "a head that is no classifier"
    return False, "an encoder of mmpretrain, by its classifier or as no head tells otherwise"


def _own(name: str, last: int) -> str:
    """Return the name as Swin's authors have it."""
    if name.startswith(f"norm{last}."):
        return name.replace(f"norm{last}", "norm", 1)
    for pattern, new in _RENAMED:
        name = pattern.sub(new, name, count=1)
    return name


def _take(renaming: Renaming, old: str, own: str, value: Tensor) -> None:
    new = f"encoder.{stages.ours(own)}"
    if _MERGED.match(own) and value.ndim and value.shape[-1] % 4 == 0:
        renaming.lay_out(old, new, cell_by_cell(value), MERGING)
    else:
        renaming.take(old, new, value)


def cell_by_cell(value: Tensor) -> Tensor:
    """Put the last axis (4C) of merging, channel by channel and row by row, in the authors' order.

    Theirs is that of the cells (0,0), (1,0), (0,1) and (1,1) as (row, column), each with all its
    channels (Swin-Transformer, models/swin_transformer.py; mmdet's swin_converter is the inverse).
    """
    cells = value.reshape(*value.shape[:-1], -1, 4).movedim(-1, -2)
    return cells.index_select(-2, torch.tensor([0, 2, 1, 3])).flatten(-2).contiguous()
