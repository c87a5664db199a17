"""Top-down pose as a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import SPLITS, Evaluation, Row, Split, Task
from tasks.pose.recipe import PoseRecipe
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo
    from tasks.model import TaskModel
    from tasks.pose.data import PoseDataset

_EXPLANATION = """\
pose: where are the joints of the person in a given box?

Trained: the encoder and mmpose's heat-map head on crops of people: the box, widened by a quarter,
  brought to the input's shape by an affine map. The head: as many deconvolutions as lead from the
  encoder's last map to the recipe's heat maps (3 for a stride of 32, 2 for 16), then a 1x1
  convolution; or ViTPose's simple decoder (head.type=simple).
Augmentation: mirror, half a body, shift, scale and rotation of the box, as in mmpose.
Loss: `mse`, the mean squared error of heat maps with a Gaussian at each joint (the published
  recipes); `cross_entropy`, over the cells of each joint's map, which learns more in a few thousand
  visits (the small recipes; docs/pose.md has the measurement).
Codec: UDP (Huang et al. 2020). From image to map and back a joint moves by less than 0.1 px.
Prediction: the mean of the maps of the image and of its mirror image, decoded by mmpose.
Measured: AP over ten thresholds of the object keypoint similarity (OKS), as pycocotools does it,
  or the CrowdPose API with easy, medium and hard. A person's score is box score x mean score of
  its joints; of two people more alike than OKS 0.9 the better stays. Boxes are the annotated ones,
  or those of a detections file (data.detections). `OKS` is the mean over people of the
  similarity of each prediction with its own person; it is kept per person for comparisons.
Sampling error: 200 resamples of the test images.
Controls: `constant`, the mean training pose in the box; `permuted-labels`, poses exchanged among
  boxes; `untrained`; `random`.
"""


class Pose(Task):
    """Top-down human pose."""

    name: ClassVar[str] = "pose"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "AP"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: 17 joints of ray-cast figures",
        "coco": "COCO 2017 person keypoints in the official layout, 17 joints",
        "crowdpose": "CrowdPose in mmpose's layout, 14 joints, with its own AP",
        "folder": "any COCO keypoint files: annotations/person_keypoints_{train,val,test}.json",
    }
    Recipe: ClassVar[type[TaskRecipe]] = PoseRecipe

    def dataset(self, recipe: PoseRecipe, split: Split) -> PoseDataset:
        from tasks.pose.data import PoseDataset

        return PoseDataset(recipe, split)

    def model(self, backbone: Backbone, recipe: PoseRecipe, info: DataInfo) -> TaskModel:
        from tasks.pose.model import PoseModel

        return PoseModel(backbone, recipe, info)

    def fitted(self, recipe: PoseRecipe, backbone: Backbone) -> tuple[PoseRecipe, tuple[str, ...]]:
        from tasks.pose.fitting import fit

        return fit(recipe, backbone.feature_info[-1].stride)

    def evaluate(self, rows: list[Row], dataset: PoseDataset) -> Evaluation:
        from tasks.pose.metrics import evaluate

        return evaluate(rows, dataset)

    def constant(self, dataset: PoseDataset) -> TaskModel:
        from tasks.pose.model import MeanPose

        return MeanPose(dataset.mean_pose())

    def draw(self, rows: list[Row], dataset: PoseDataset) -> Image:
        from tasks.pose.drawing import draw

        return draw(rows, dataset)

    def explain(self) -> str:
        return _EXPLANATION

    def prepare(self, recipe: PoseRecipe, progress: Any = None) -> None:
        from tasks.microworld.several import prepare_several
        from tasks.pose.sources import world

        if recipe.data.name == "microworld":
            parts = [world(recipe.data, split) for split in SPLITS]
            prepare_several(parts, progress, recipe.data.workers)
