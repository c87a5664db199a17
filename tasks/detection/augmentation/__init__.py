"""Images and their objects, brought onto a canvas of one size: at random in training."""

from tasks.detection.augmentation.draw import check
from tasks.detection.augmentation.place import augment, place
from tasks.detection.augmentation.view import Placed, View

__all__ = ["Placed", "View", "augment", "check", "place"]
