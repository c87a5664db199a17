"""People in boxes as a map-style data set."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from tasks.contract import DataInfo, Split, TaskDataset
from tasks.pose.annotations import Images, Ints, People
from tasks.pose.appearance import disturb
from tasks.pose.crop import Region, augment, matrix, mirror, region, with_shape
from tasks.pose.recipe import PoseRecipe
from tasks.pose.samples import Samples, annotated, detected
from tasks.pose.skeleton import Skeleton, skeleton
from tasks.pose.sources import LICENCES, Source, open_source
from tasks.subsets import subset


class PoseDataset(TaskDataset):
    """One sample a person's box.

    Attributes:
        skeleton: the joints.
        samples: the boxes, and the poses in them.
        truth: the people that predictions are measured against, those that do not count included.
        images: the images of the split.
    """

    def __init__(self, recipe: PoseRecipe, split: Split) -> None:
        data = recipe.data
        self.recipe, self.split = recipe, split
        self.source: Source = open_source(data, split)
        found = self.source.annotations
        self.skeleton: Skeleton = skeleton(found.joints, data.sigmas, data.flip_pairs)
        parts = []
        if split == "test" and data.detections is not None:
            samples, skipped, digest = detected(data.detections, found)
            parts.append(digest)
        else:
            samples, skipped = annotated(found)
        people = found.people
        if data.skip_unreadable:
            readable = self._readable(np.union1d(samples.image, people.image))
            kept = np.isin(samples.image, readable)
            skipped |= {} if kept.all() else {"unreadable image": int((~kept).sum())}
            samples, people = samples.take(kept), people.take(np.isin(people.image, readable))
        taken = samples.take(slice(data.limit))
        self.samples: Samples = taken
        self.images: Images = found.images
        self.truth: People = _truth(people, samples, taken)
        used = np.unique(taken.image)
        parts += [split, str(len(taken)), str(data.held_out_seed), self.source.digest(used)]
        self.info = DataInfo(
            name=data.name,
            split=split,
            count=len(taken),
            sha256=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
            licence=LICENCES[data.name],
            skipped=skipped,
            model={
                "joints": list(self.skeleton.names),
                "flip": list(self.skeleton.flip),
                "sigmas": list(self.skeleton.sigmas),
            },
        )

    def __len__(self) -> int:
        return len(self.samples)

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        """The crop of a box and where the joints are in it.

        Beside `image` (3, H, W): `keypoints` (K, 2) in crop pixels, `visible` (K,) 1 where
        labelled, `center` and `scale` (2,) of the crop in image pixels, `box` (4,), `box_score`,
        `image_id` and `annotation` (-1 for a detector's box).
        """
        samples, row = self.samples, int(self.samples.image[index])
        image = self.source.image(row)
        width = image.shape[1]
        size = self.recipe.backbone.input_size
        points, visible = samples.keypoints[index], samples.visible[index]
        area = region(samples.boxes[index], self.recipe.padding)
        if rng is not None:
            area = augment(
                area, points, visible, self.skeleton, width, self.recipe.augmentation, rng
            )
        area = Region(area.center, with_shape(area.scale, size), area.rotation, area.mirrored)
        affine = matrix(area, size, self.recipe.codec.type)
        if area.mirrored:
            affine = mirror(affine, width)
            points, visible = points[self._flip], visible[self._flip]
        crop = cv2.warpAffine(image, affine, (size[1], size[0]), flags=cv2.INTER_LINEAR)
        if rng is not None:
            crop = disturb(np.asarray(crop, np.uint8), self.recipe.augmentation, rng)
        return {
            "image": np.ascontiguousarray(crop.transpose(2, 0, 1)),
            "keypoints": (points @ affine[:, :2].T + affine[:, 2]).astype(np.float32),
            "visible": visible.astype(np.float32),
            "center": area.center.astype(np.float32),
            "scale": area.scale.astype(np.float32),
            "box": samples.boxes[index].astype(np.float32),
            "box_score": np.float32(samples.scores[index]),
            "image_id": int(self.images.ids[row]),
            "annotation": int(samples.annotation[index]),
        }

    def permuted(self, seed: int) -> PoseDataset:
        """Poses exchanged among samples, in box coordinates, with what is labelled in them."""
        count = len(self)
        other = np.random.default_rng(seed).permutation(count)
        extent = np.maximum(self.samples.boxes[:, 2:], 1e-6)
        relative = (self.samples.keypoints - self.samples.boxes[:, None, :2]) / extent[:, None]
        moved = relative[other] * extent[:, None] + self.samples.boxes[:, None, :2]
        copy = object.__new__(PoseDataset)
        copy.__dict__.update(self.__dict__)
        copy.samples = replace(self.samples, keypoints=moved, visible=self.samples.visible[other])
        return copy

    def fraction(self, share: float, seed: int) -> PoseDataset:
        """The people of `share` of the images."""
        rows = np.unique(self.samples.image)
        names = [str(self.images.ids[row]) for row in rows]
        kept = np.isin(self.samples.image, rows[subset(None, names, share, seed)])
        copy = object.__new__(PoseDataset)
        copy.__dict__.update(self.__dict__)
        copy.samples = self.samples.take(kept)
        parts = [self.info.sha256, *map(str, np.flatnonzero(kept).tolist())]
        sha256 = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        copy.info = self.info.part(len(copy.samples), sha256)
        return copy

    @property
    def fixed(self) -> bool:
        return not self.recipe.augmentation.moves

    @property
    def view(self) -> dict[str, Any]:
        recipe = self.recipe
        size = list(recipe.backbone.input_size)
        return {"input_size": size, "padding": recipe.padding, "codec": recipe.codec.type}

    def mean_pose(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(K, 2) mean of the labelled joints in box coordinates, the corners at 0 and 1."""
        samples = self.samples
        relative = (samples.keypoints - samples.boxes[:, None, :2]) / samples.boxes[:, None, 2:]
        weights = samples.visible[..., None].astype(float)
        seen = weights.sum(0)
        # A joint that is labelled nowhere is put into the middle.
        total = (relative * weights).sum(0)
        return np.where(seen > 0, total / np.maximum(seen, 1), 0.5)

    @cached_property
    def _flip(self) -> list[int]:
        return list(self.skeleton.flip)

    def _readable(self, rows: Ints) -> Ints:
        return rows[[self.source.readable(int(row)) for row in rows]]


def _truth(people: People, samples: Samples, taken: Samples) -> People:
    """Everybody; where a limit takes the first samples, nobody who is a later one or in a later
    image. People whom a detector missed stay: they are missed."""
    if len(taken) == len(samples):
        return people
    later = np.setdiff1d(samples.annotation, taken.annotation)
    out = np.isin(people.ids, later) | (people.image > taken.image[-1])
    return people.take(~out)
