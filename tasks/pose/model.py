"""An encoder with mmpose's deconvolution head, and the control that does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.contract import DataInfo, Row, Term
from tasks.model import TaskModel
from tasks.pose import codec
from tasks.pose.crop import back_to_image
from tasks.pose.fitting import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones import Backbone
    from tasks.pose.recipe import PoseRecipe

INITIAL_STD = 0.001
"""Of every convolution of the head (mmpose HeatmapHead, after Xiao et al. 2018)."""

NORM_EPSILON = 1e-6
"""Of the fixed norm before the head (PCT's encoder)."""


class PoseModel(TaskModel):
    """Heat maps from the last map of an encoder, under its recipe fitted to it.

    Batches hold what `PoseDataset.item` gives: `image` (B,3,H,W), `keypoints` (B,K,2) and
    `visible` (B,K), and for predictions where the crop lies in its image.

    Raises:
        RecipeError: the head's deconvolutions do not lead to the codec's map size, or the encoder
            would have to pad the input.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: PoseRecipe, info: DataInfo) -> None:
        from tasks import openmmlab

        super().__init__(backbone)
        channels, stride = backbone.feature_info[-1]
        recipe, _ = fit(recipe, stride)
        self.recipe = recipe
        self.input_size = recipe.backbone.input_size
        self.flip = list(info.model["flip"])
        self._simple = recipe.head.type == "simple"
        for name in backbone.unused_names("forward"):
            backbone.get_parameter(name).requires_grad_(False)
        head = openmmlab.load("mmpose.models.heads.heatmap_heads.heatmap_head").HeatmapHead
        self.head: nn.Module = head(
            in_channels=channels,
            out_channels=len(self.flip),
            deconv_out_channels=recipe.head.deconv_channels,
            deconv_kernel_sizes=recipe.head.deconv_kernels,
            final_layer={"kernel_size": 3, "padding": 1} if self._simple else {"kernel_size": 1},
        )
        self._codec = codec.decoder(recipe.codec, self.input_size)

    def initialise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for layer in self.head.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                drawn = torch.empty(layer.weight.shape).normal_(0, INITIAL_STD, generator=generator)
                layer.weight.data.copy_(drawn)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)

    def features(self, batch: dict[str, Any], training: bool) -> dict[str, Tensor]:
        """The encoder's last map as `map` (B,C,h,w); for predictions with the flip test that of the
        mirror image as `mirrored`."""
        images = self.pixels(batch)
        found = {"map": self.backbone(images)[-1]}
        if self.recipe.test.flip and not training:
            found["mirrored"] = self.backbone(images.flip(-1))[-1]
        return found

    def maps(self, x: Tensor) -> Tensor:
        """(B, K, rows, columns) of the head, as they are trained, from the encoder's last map."""
        if self.recipe.head.norm == "fixed":
            normed = functional.layer_norm(x.movedim(1, -1), x.shape[1:2], eps=NORM_EPSILON)
            x = normed.movedim(-1, 1)
        if self._simple:
            size = self.recipe.codec.heatmap_size
            x = functional.interpolate(functional.relu(x), size, mode="bilinear")
        found: Tensor = self.head((x,))
        return found

    def loss(self, batch: dict[str, Any]) -> dict[str, Term]:
        target, weights = codec.encode(
            batch["keypoints"], batch["visible"], self.recipe.codec, self.input_size
        )
        encoded = batch.get("features") or self.features(batch, training=True)
        maps = self.maps(encoded["map"]).float()
        if self.recipe.head.loss == "mse":
            return {"heatmap": squared_error(maps, target, weights)}
        return {"heatmap": cross_entropy(maps, target, weights)}

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        encoded = batch.get("features") or self.features(batch, training=False)
        maps = self._peaks(encoded["map"])
        if self.recipe.test.flip:
            mirrored = flip_back(self._peaks(encoded["mirrored"]), self.flip)
            if self.recipe.codec.type == "msra":
                mirrored = shift_right(mirrored)
            maps = (maps + mirrored) * 0.5
        points, scores = codec.decode(self._codec, maps.cpu().numpy())
        center, scale = _array(batch["center"]), _array(batch["scale"])
        return rows(
            batch, back_to_image(points, center, scale, self.input_size), scores, scale.prod(-1)
        )

    def _peaks(self, x: Tensor) -> Tensor:
        """Maps in which a certain joint has a peak of about 1, whatever they are trained with."""
        maps = self.maps(x).float()
        if self.recipe.head.loss == "mse":
            return maps
        height = 2 * torch.pi * self.recipe.codec.sigma**2
        return (maps.flatten(2).softmax(-1) * height).reshape(maps.shape).clamp(max=1)


class MeanPose(TaskModel):
    """The control: the mean training pose (K, 2) in box coordinates, with score 1."""

    def __init__(self, pose: NDArray[np.float64]) -> None:
        super().__init__()
        self.pose = pose

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        boxes = _array(batch["box"])
        points = self.pose * boxes[:, None, 2:] + boxes[:, None, :2]
        scale = _array(batch["scale"])
        return rows(batch, points, np.ones(points.shape[:2]), scale.prod(-1))


def squared_error(maps: Tensor, target: Tensor, weights: Tensor) -> Term:
    """mmpose's KeypointMSELoss with target weights: divided by all elements, weight 0 included."""
    total = ((maps - target) ** 2 * weights[..., None, None]).sum()
    return Term(total, total.new_tensor(maps.numel()))


def cross_entropy(maps: Tensor, target: Tensor, weights: Tensor) -> Term:
    """Cross-entropy of a softmax over the cells against the target scaled to sum 1, a mean over
    labelled joints. A batch without any gives 0: the count is never below 1e-6."""
    target = target.flatten(2)
    mass = target.sum(-1)
    weights = weights * (mass > 0)
    goal = target / mass.clamp(min=1e-6)[..., None]
    each = -(goal * maps.flatten(2).log_softmax(-1)).sum(-1)
    return Term((each * weights).sum(), weights.sum().clamp(min=1e-6))


def flip_back(maps: Tensor, flip: list[int]) -> Tensor:
    """Maps (B, K, rows, columns) of mirrored images, as if the images were not."""
    return maps.flip(-1)[:, flip]


def shift_right(maps: Tensor) -> Tensor:
    """One cell to the right, which whole-pixel codecs need after mirroring; UDP must not."""
    return torch.cat((maps[..., :1], maps[..., :-1]), dim=-1)


def rows(
    batch: dict[str, Any],
    points: NDArray[np.float64],
    scores: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> list[Row]:
    """One row a sample: `keypoints` x, y, score of each joint in image pixels; `area` of the crop
    in image pixels, which decides who is too alike; `annotation` -1 for a detector's box."""
    triples = np.concatenate((points, scores[..., None]), axis=-1).reshape(len(points), -1)
    names = ("index", "image_id", "annotation", "box_score", "box")
    columns = [batch[name].tolist() for name in names]
    return [
        {
            "sample": int(index),
            "image_id": int(image),
            "annotation": int(annotation),
            "keypoints": joints,
            "box_score": float(score),
            "box": [float(value) for value in box],
            "area": float(area),
        }
        for index, image, annotation, score, box, joints, area in zip(
            *columns, triples.tolist(), areas.tolist(), strict=True
        )
    ]


def _array(values: Tensor) -> NDArray[np.float64]:
    return values.cpu().numpy().astype(np.float64)
