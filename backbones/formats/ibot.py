"""Checkpoints of bytedance/ibot with a ViT: DINO's layout, with a mask token in the student and a
second projection for patches."""

from __future__ import annotations

from backbones.formats.dino import DinoFormat


class IbotFormat(DinoFormat):
    """See the module."""

    name = "ibot"
    objective = "ibot"


class IbotStudentFormat(IbotFormat):
    """The student of a training file, which has to be asked for by this name."""

    name = "ibot_student"
    network = "student"
