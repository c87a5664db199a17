"""Checkpoints of microsoft/unilm's beit: pre-trained ones and fine-tuned ones."""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats.contract import IMAGENET_MEAN, IMAGENET_STD, Format, Parsed, Renaming
from backbones.formats.timm import in_backbone, is_index_buffer

_DECODER = {
    "mask_token": "decoder.mask_token",
    "lm_head.weight": "decoder.lm_head.weight",
    "lm_head.bias": "decoder.lm_head.bias",
}
_HALF = (0.5, 0.5, 0.5)
_SECOND = "cls_pt_layers."


class BeitFormat(Format):
    """See the module."""

    name = "beit"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if "blocks.0.attn.qkv.weight" not in names:
            return None
        if "lm_head.weight" in names and "mask_token" in names:
            return "lm_head and mask_token, as pre-trained BEiT has them"
        tables = "blocks.0.attn.relative_position_bias_table" in names
        if tables and checkpoint.wrapper in ("model", "module") and not _is_simmim(checkpoint):
            return "a relative position table for each block, as fine-tuned BEiT has it"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        names = checkpoint.tensors
        for name, value in names.items():
            if is_index_buffer(name):
                renaming.drop(name, "index buffer")
            elif name.startswith(_SECOND):
                renaming.drop(name, "layers of BEiT v2's head for the class token")
            else:
                renaming.take(name, _DECODER.get(name, in_backbone(name)), value)
        # Fine-tuning puts a fresh fc_norm in the place of the pre-trained norm.
        averaged = "fc_norm.weight" in names or "lm_head.weight" in names
        second = any(name.startswith(_SECOND) for name in names)
        return Parsed(
            family="beit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"pool": "mean_fc_norm" if averaged else "class_token"},
            objective="beit" if "lm_head.weight" in names else "supervised",
            mean=IMAGENET_MEAN if second else _HALF,
            std=IMAGENET_STD if second else _HALF,
            colour_note="mean and std of ImageNet, as BEiT v2 is run"
            if second
            else "mean and std 0.5, the default of BEiT's data code; for BEiT v2, which takes "
            "ImageNet's, give them: arch={'mean': [...], 'std': [...]}",
        )


def _is_simmim(checkpoint: Checkpoint) -> bool:
    """Whether SimMIM's fine-tuning wrote it: the same names, but mean and std of ImageNet."""
    return "lr_scheduler" in checkpoint.beside or "max_accuracy" in checkpoint.beside
