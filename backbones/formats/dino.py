"""Checkpoints of facebookresearch/dino with a ViT.

A training file has a teacher and a student, each with a projection head; the teacher is what the
project evaluates. The published encoder alone is written under timm's names, from which nothing
tells it: it comes here by name.
"""

from __future__ import annotations

import re

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.timm import in_backbone

_NAME = re.compile(
    r"(?:(teacher|student)\.)?(?:module\.)?(?:backbone\.(.+)|head\.((?:mlp|last_layer)2?)\..+)"
)
"""Whose tensor it is, its name in the encoder, or the part of the projection head."""


class DinoFormat(Format):
    """See the module."""

    name = "dino"
    objective = "dino"
    network = "teacher"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        if self.network == "teacher" and trained_as(checkpoint) == self.objective:
            return (
                f"backbone.* and head.last_layer, as training files of {self.objective} have them"
            )
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            found = _NAME.fullmatch(name)
            if found is None:
                renaming.take(name, in_backbone(name), value)
            elif found[1] not in (self.network, None):
                renaming.drop(name, f"{found[1]}, not asked for")
            elif found[3]:
                renaming.drop(name, "projection head")
            elif found[2] == "masked_embed":
                renaming.take(name, "decoder.mask_token", value)
            else:
                renaming.take(name, f"encoder.{found[2]}", value)
        if not renaming.tensors:
            raise LoadError(f"{checkpoint.path} has no {self.network}")
        both = checkpoint.wrapper == "teacher and student"
        other = "student" if self.network == "teacher" else "teacher"
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"pool": "class_token", "position_resize": "bicubic_offset"},
            objective=self.objective,
            colour_note=f"mean and std of ImageNet, as the data code of {self.objective} has them",
            notes=(f"the {self.network}; the file has a {other} too",) if both else (),
        )


class DinoStudentFormat(DinoFormat):
    """The student of a training file, which has to be asked for by this name."""

    name = "dino_student"
    network = "student"


def trained_as(checkpoint: Checkpoint) -> str | None:
    """Tell whose training wrote a file: "dino", "ibot" or, for any other, None."""
    found = [match for match in map(_NAME.fullmatch, checkpoint.tensors) if match]
    encoder, heads = ({match[group] for match in found} for group in (2, 3))
    if "patch_embed.proj.weight" not in encoder or "last_layer" not in heads:
        return None
    return "ibot" if "masked_embed" in encoder or "last_layer2" in heads else "dino"
