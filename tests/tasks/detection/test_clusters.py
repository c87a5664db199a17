"""The control that does not look: where training boxes are most often."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.detection import clusters
from tasks.detection.annotations import Annotations, Images, Objects
from tasks.detection.constant import ConstantBoxes
from tasks.detection.data import DetectionDataset
from tasks.detection.masks import decode
from tests.tasks.detection import miniature


def annotations(boxes: np.ndarray, category: np.ndarray, crowd: np.ndarray) -> Annotations:
    """One image of 200x100 pixels and one of 50x400, in turn, with boxes in shares of them."""
    count = len(boxes)
    sizes = np.array([[200, 100], [50, 400]])
    image = np.arange(count) % 2
    boxes = boxes * np.tile(sizes[image], 2)
    zeros = np.zeros(count)
    return Annotations(
        Images(np.array([1, 2]), ("a", "b"), sizes),
        Objects(np.arange(count), image, category, boxes, zeros, crowd),
        ("ant", "bee", "cow"),
        np.array([1, 2, 3]),
        {},
    )


CENTRES = np.array([[0.1, 0.1, 0.2, 0.2], [0.6, 0.1, 0.3, 0.2], [0.2, 0.5, 0.5, 0.4]])
MEMBERS = (50, 30, 20)


def clustered() -> Annotations:
    rng = np.random.default_rng(0)
    boxes = np.repeat(CENTRES, MEMBERS, axis=0) + rng.uniform(-0.02, 0.02, (100, 4))
    category = np.repeat([0, 2, 0], MEMBERS)
    crowd = np.zeros(100, np.bool_)
    order = rng.permutation(100)
    return annotations(boxes[order], category[order], crowd)


def test_clusters_are_found_with_their_class_and_frequency() -> None:
    found = clusters.of(clustered(), 4)
    assert sorted(found.category.tolist()) == [0, 0, 2, 2]
    assert found.scores.sum() == pytest.approx(1)
    both = clusters.of(clustered(), 2)
    assert both.category.tolist() == [0, 2] and both.scores.tolist() == [0.7, 0.3]
    first = found.in_image(1, 1)[found.category == 0]
    assert np.abs(first - CENTRES[[0, 2]]).max() < 0.02
    assert found.scores[found.category == 0].tolist() == [0.5, 0.2]
    # A cluster's centre is the mean of its boxes, in shares of each image's sides.
    truth = clustered()
    sizes = np.tile(truth.images.sizes[truth.objects.image], 2)
    bees = (truth.objects.boxes / sizes)[truth.objects.category == 2]
    assert np.allclose(both.in_image(1, 1)[1], bees.mean(0))
    assert np.allclose(both.in_image(30, 40), both.in_image(1, 1) * [30, 40, 30, 40])


def test_nothing_is_drawn_and_the_order_of_boxes_does_not_matter() -> None:
    truth = clustered()
    one, other = clusters.of(truth, 10), clusters.of(truth, 10)
    assert np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)
    backwards = Annotations(
        truth.images, truth.objects.take(slice(None, None, -1)), *list(vars(truth).values())[2:]
    )
    assert np.allclose(clusters.of(backwards, 10).boxes, one.boxes)


def test_crowds_do_not_count_and_no_class_has_more_clusters_than_boxes() -> None:
    category = np.array([0, 0, 0, 1])
    crowd = np.array([False, False, True, False])
    boxes = np.array([CENTRES[0], CENTRES[0], CENTRES[1], CENTRES[2]])
    found = clusters.of(annotations(boxes, category, crowd), 100)
    assert found.category.tolist() == [0, 1]
    assert np.allclose(found.scores, [2 / 3, 1 / 3])
    assert np.allclose(found.in_image(1, 1), CENTRES[[0, 2]])
    none = clusters.of(annotations(boxes, category, np.ones(4, np.bool_)), 100)
    assert none.boxes.shape == (0, 4)


def test_fewer_boxes_than_classes_are_the_most_frequent_ones() -> None:
    found = clusters.of(clustered(), 1)
    assert found.category.tolist() == [0] and found.scores.tolist() == [0.7]


def test_k_means_leaves_no_point_nearer_to_another_centre() -> None:
    points = np.random.default_rng(1).random((300, 4))
    centres, members = clusters.k_means(points, 12)
    distances = ((points[:, None] - centres) ** 2).sum(-1)
    nearest = distances.argmin(1)
    assert members.tolist() == np.bincount(nearest, minlength=12).tolist()
    for k in range(12):
        assert np.allclose(centres[k], points[nearest == k].mean(0))


def test_the_control_reports_the_list_in_every_image(tmp_path: Path) -> None:
    dataset = DetectionDataset(
        miniature.recipe(name="folder", root=miniature.folder(tmp_path)), "training"
    )
    boxes = dataset.clusters()
    model = ConstantBoxes(boxes, masks=True)
    assert list(model.parameters()) == []
    rows = []
    for index in range(len(dataset)):
        item = dataset.item(index, None)
        batch = {"index": torch.tensor([index]), "image_id": torch.tensor([item["image_id"]])}
        batch["image_size"] = torch.from_numpy(item["image_size"])[None]
        rows += model.predict(batch)
    assert [row["sample"] for row in rows] == [0, 1, 2]
    assert [(row["image_id"], row["width"], row["height"]) for row in rows][1] == (13, 61, 49)
    for row in rows:
        found = np.array(row["boxes"]).reshape(-1, 4)
        assert np.array_equal(found, boxes.in_image(row["width"], row["height"]))
        assert row["scores"] == boxes.scores.tolist() == sorted(row["scores"], reverse=True)
        assert row["categories"] == boxes.category.tolist()
        for box, counts in zip(found, row["masks"], strict=True):
            mask = decode({"size": [row["height"], row["width"]], "counts": counts.encode()})
            assert mask.sum() == pytest.approx(box[2] * box[3], rel=0.2)
    assert all(row["masks"] == [] for row in ConstantBoxes(boxes, False).predict(batch))
