"""A small ray-cast world with every annotation that the tasks need; no file, no GPU, no torch."""

from tasks.microworld.annotate import Annotation, SceneAnnotations
from tasks.microworld.coco import DETECTION_CLASSES
from tasks.microworld.commands import COUNTS, check, prepare_all, preview
from tasks.microworld.describe import VIDEO_FRAMES, describe, labels_of
from tasks.microworld.figures import JOINTS
from tasks.microworld.ranges import KINDS, SPLITS, Kind, Split
from tasks.microworld.render import Rendered, render
from tasks.microworld.scene import Scene
from tasks.microworld.world import WORLD_VERSION, Microworld

__all__ = [
    "COUNTS",
    "DETECTION_CLASSES",
    "JOINTS",
    "KINDS",
    "SPLITS",
    "VIDEO_FRAMES",
    "WORLD_VERSION",
    "Annotation",
    "Kind",
    "Microworld",
    "Rendered",
    "Scene",
    "SceneAnnotations",
    "Split",
    "check",
    "describe",
    "labels_of",
    "prepare_all",
    "preview",
    "render",
]
