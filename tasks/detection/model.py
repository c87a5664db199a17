"""A Mask R-CNN on any encoder, from mmdet's networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tasks.contract import DataInfo, Loss, Note, Row
from tasks.detection.fitting import fit
from tasks.detection.parts import detections, heads, pyramid, regions
from tasks.detection.parts.objects import Truth, truths
from tasks.detection.parts.pooling import pool
from tasks.detection.parts.proposals import Proposals, RegionProposals
from tasks.model import TaskModel

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.detection.recipe import DetectionRecipe


class Detector(TaskModel):
    """Mask R-CNN (He et al. 2017) on the maps of an encoder, under its recipe fitted to it; without
    masks, where the data have none, a Faster R-CNN.

    Batches hold images on a canvas of the encoder's input size, from its upper left corner:
    `image` (B, 3, H, W) uint8, `extent` (B, 2) height and width of the image on the canvas, and
    lists of the images' `boxes` (n, 4) x1, y1, x2, y2 on the canvas, `labels` (n,) and `masks`
    (n, H, W); for predictions `scale` (B, 2), canvas pixels an image pixel in x and y, and
    `image_size` (B, 2) height and width.

    Raises:
        RecipeError: strides that do not fit the encoder.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: DetectionRecipe, info: DataInfo) -> None:
        super().__init__(backbone)
        recipe, _ = fit(recipe, backbone)
        self.recipe = recipe
        self.classes = len(info.model["classes"])
        for name in backbone.unused_names("forward"):
            backbone.get_parameter(name).requires_grad_(False)
        self.neck = pyramid.build(recipe.neck, backbone.feature_info)
        self.rpn = RegionProposals(recipe)
        self.box_head: Any = heads.box_head(recipe, self.classes)
        self.mask_head: Any = None
        if info.model["masks"]:
            self.mask_head = heads.mask_head(recipe, self.classes)
        iou = recipe.roi.positive_iou
        self._assigner = heads.assigner(iou, iou, iou)

    def initialise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.neck.initialise(generator)
        self.rpn.initialise(generator)
        heads.initialise_box(self.box_head, generator)
        if self.mask_head is not None:
            heads.initialise_mask(self.mask_head, generator)

    def images(self, batch: dict[str, Any]) -> Tensor:
        """The canvases in [0, 1]; beside the image the encoder's mean colour, which its
        normalisation makes 0."""
        pixels = self.pixels(batch)
        rows, columns = (torch.arange(side, device=pixels.device) for side in pixels.shape[2:])
        extent = batch["extent"]
        inside = (rows < extent[:, :1])[:, :, None] & (columns < extent[:, 1:])[:, None]
        return torch.where(inside[:, None], pixels, self.backbone.mean)

    def features(self, batch: dict[str, Any], training: bool) -> dict[str, Tensor]:
        """The encoder's maps as `map0`, `map1` ..., finest first."""
        maps = self.backbone(self.images(batch))
        return {f"map{i}": each for i, each in enumerate(maps)}

    def maps(self, batch: dict[str, Any]) -> list[Tensor]:
        """The pyramid, finest first."""
        encoded = batch.get("features") or self.features(batch, self.training)
        found: list[Tensor] = self.neck(tuple(encoded[f"map{i}"] for i in range(len(encoded))))
        return found

    def loss(self, batch: dict[str, Any]) -> Loss:
        maps = self.maps(batch)
        truth = truths(batch, self.training)
        scored = self.rpn(maps)
        terms: dict[str, Any] = self.rpn.loss(scored, truth)
        proposals = self.rpn.propose(scored, batch["extent"])
        return terms | self._region_losses(maps, proposals, truth)

    def _region_losses(
        self, maps: list[Tensor], proposals: list[Proposals], truth: list[Truth]
    ) -> dict[str, Any]:
        roi = self.recipe.roi
        sampled = [
            regions.sample(roi, self._assigner, *pair)
            for pair in zip(proposals, truth, strict=True)
        ]
        side = roi.mask_size * regions.MASK_SCALE
        goal = regions.targets(sampled, truth, self.classes, side)
        scores, deltas = self._boxes(maps, goal.rois)
        terms: dict[str, Any] = regions.box_losses(scores, deltas, goal, self.box_head.bbox_coder)
        if self.mask_head is not None:
            terms["mask"] = regions.mask_loss(self._masks(maps, goal.rois[goal.positive]), goal)
        count = scores.new_tensor(len(goal.positive))
        return terms | {"positives": Note(count, scores.new_tensor(len(truth)))}

    def _boxes(self, maps: list[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (R, classes + 1) and deltas (R, 4 classes) of regions."""
        strides, size = self.recipe.neck.strides, self.recipe.roi.box_size
        scores, deltas = self.box_head(pool(maps, rois, strides, size))
        return scores.float(), deltas.float()

    def _masks(self, maps: list[Tensor], rois: Tensor) -> Tensor:
        """Logits (R, classes, m, m) of regions."""
        strides, size = self.recipe.neck.strides, self.recipe.roi.mask_size
        found: Tensor = self.mask_head(pool(maps, rois, strides, size))
        return found.float()

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        maps = self.maps(batch)
        extent = batch["extent"]
        proposals = [each.boxes for each in self.rpn.propose(self.rpn(maps), extent)]
        rois = regions.rois_of(proposals)
        scores, deltas = self._boxes(maps, rois)
        several = deltas.reshape(len(deltas), -1, 4)
        candidates = rois[:, None, 1:].expand_as(several).reshape(-1, 4)
        boxes = self.box_head.bbox_coder.decode(candidates, several.reshape(-1, 4))
        counts = [len(each) for each in proposals]
        found = [
            detections.select(image_scores, detections.inside(image_boxes, size), self.recipe.test)
            for image_scores, image_boxes, size in zip(
                torch.split(scores.softmax(1), counts),
                torch.split(boxes.reshape(len(deltas), -1), counts),
                extent,
                strict=True,
            )
        ]
        return detections.rows(
            batch, found, self._found_masks(maps, found), self.recipe.test.mask_threshold
        )

    def _found_masks(
        self, maps: list[Tensor], found: list[detections.Found]
    ) -> list[Tensor] | None:
        """Probabilities (k, m, m) of each image's detections, where masks are to be reported."""
        if self.mask_head is None or not self.recipe.predictions.masks:
            return None
        labels = torch.cat([each.labels for each in found])
        logits = self._masks(maps, regions.rois_of([each.boxes for each in found]))
        own = logits[torch.arange(len(labels), device=labels.device), labels]
        return list(torch.split(own.sigmoid(), [len(each.labels) for each in found]))
