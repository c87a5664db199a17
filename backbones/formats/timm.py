"""State dicts under timm's names for VisionTransformer and Beit, which fine-tuned SimMIM files and
the encoders that DINO and iBOT publish have too, and for ConvNeXt."""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats import timm_convnext
from backbones.formats.contract import Format, Parsed, Renaming

_BUFFERS = ("relative_position_index", "relative_coords_table", "attn_mask")


def is_index_buffer(name: str) -> bool:
    """Whether it is a function of image and window size that lies in a file all the same."""
    return name.rsplit(".", 1)[-1] in _BUFFERS


def in_backbone(name: str) -> str:
    """Return the name in our Backbone of a tensor that timm's models have under `name`."""
    if name.startswith("head_dist."):
        return name.replace("head_dist", "head.distilled", 1)
    return name if name.startswith(("head.", "fc_norm.")) else f"encoder.{name}"


class TimmFormat(Format):
    """See the module."""

    name = "timm"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if "patch_embed.proj.weight" in names and "blocks.0.attn.qkv.weight" in names:
            return f"patch_embed.proj and blocks.*.attn.qkv, timm's names for {_family(checkpoint)}"
        return timm_convnext.recognise(checkpoint)

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        if timm_convnext.recognise(checkpoint):
            return timm_convnext.parse(checkpoint)
        renaming = Renaming()
        names = checkpoint.tensors
        for name, value in names.items():
            if is_index_buffer(name):
                renaming.drop(name, "index buffer")
            else:
                renaming.take(name, in_backbone(name), value)
        if "fc_norm.weight" in names:
            pool = "mean_fc_norm"
        else:
            pool = "class_token" if "cls_token" in names else "mean"
        family = _family(checkpoint)
        notes = [f"pooled features: {pool}, by the file's fc_norm and class token"]
        arch: dict[str, str | None] = {"pool": pool}
        if family == "vit" and not _is_of_timm(checkpoint):
            arch["position_resize"] = None
            notes.append("nothing tells by whose rule the position table goes to another size")
        return Parsed(
            family=family,
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch=arch,
            objective="unknown",
            colour_note="mean and std of ImageNet, since the file does not tell; others by "
            "arch={'mean': [...], 'std': [...]}",
            notes=tuple(notes),
        )


def _is_of_timm(checkpoint: Checkpoint) -> bool:
    """Whether timm's rule for position tables holds.

    DINO and iBOT write encoders without a classifier under the same names, and have a rule of their
    own. Files of training codes lie under a key; those that timm distributes do not. Registers are
    resized by timm's rule in DINOv2 too.
    """
    names = checkpoint.tensors
    return "reg_token" in names or ("head.weight" in names and checkpoint.wrapper is None)


def _family(checkpoint: Checkpoint) -> str:
    names = checkpoint.tensors
    relative = any(name.endswith("relative_position_bias_table") for name in names)
    return (
        "beit"
        if relative or "blocks.0.attn.q_bias" in names or "blocks.0.gamma_1" in names
        else "vit"
    )
