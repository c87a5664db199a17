"""The detector against mmdet's own Mask R-CNN of the same weights, and what the engine asks."""

from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from tasks.contract import Term
from tasks.detection.model import Detector
from tests.tasks.detection import mask_rcnn
from tests.tasks.detection.batches import batch, detector, plain, staged

SIZE = (96, 128)
ALL = 100_000
VITDET = {
    "neck": {"type": "simple", "norm": "layer"},
    "rpn": {"convolutions": 2, "sampled": ALL},
    "roi": {"convolutions": 4, "linears": 1, "norm": "layer", "sampled": ALL},
}
SWIN = {"rpn": {"sampled": ALL}, "roi": {"sampled": ALL, "class_agnostic": True}}
DETECTORS = {"vitdet": (plain, VITDET), "swin": (staged, SWIN)}


def built(name: str, masks: bool = True) -> Detector:
    encoder, sections = DETECTORS[name]
    shares = {"rpn": {"positive_share": 0.5}, "roi": {"positive_share": 0.5}}
    both = {key: shares.get(key, {}) | value for key, value in sections.items()}
    return detector(encoder(SIZE), masks, **both, test={"detections": 40})


def values(model: Detector, given: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: t.value for name, t in model.loss(given).items() if isinstance(t, Term)}


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("name", DETECTORS)
def test_losses_and_gradients_are_mmdets(name: str, masks: bool) -> None:
    """With every anchor and region trained on, so that nothing is left to chance."""
    model = built(name, masks).train()
    reference = mask_rcnn.build(model, ALL).train()
    given = batch(SIZE, (3, 0, 2), masks)
    ours = values(model, given)
    theirs = mask_rcnn.totals(reference.loss(model.images(given), mask_rcnn.samples(given)))
    assert ours.keys() == theirs.keys() and ("mask" in ours) == masks
    for key, value in theirs.items():
        assert value > 0
        torch.testing.assert_close(ours[key], value, rtol=1e-5, atol=0, msg=key)
    encoder = [p for p in model.backbone.parameters() if p.requires_grad]
    gradients = [
        torch.autograd.grad(torch.stack(list(each.values())).sum(), encoder)
        for each in (ours, theirs)
    ]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@torch.no_grad()
def test_predictions_are_mmdets(name: str, masks: bool) -> None:
    model = built(name, masks).eval()
    reference = mask_rcnn.build(model, ALL).eval()
    given = batch(SIZE, (3, 0, 2), masks)
    rows = model.predict(given)
    expected = reference.predict(model.images(given), mask_rcnn.samples(given), rescale=True)
    for row, sample in zip(rows, expected, strict=True):
        found = sample.pred_instances
        assert len(found) == 40 and row["categories"] == found.labels.tolist()
        assert len(set(row["categories"])) > 1
        np.testing.assert_allclose(row["scores"], found.scores, rtol=0, atol=1e-6)
        corners = np.reshape(row["boxes"], (-1, 4))
        corners[:, 2:] += corners[:, :2]
        np.testing.assert_allclose(corners, found.bboxes, rtol=0, atol=1e-3)
        size = [row["height"], row["width"]]
        decoded = [coco.decode({"size": size, "counts": counts}) for counts in row["masks"]]
        assert len(decoded) == (40 if masks else 0)
        if masks:
            assert (np.stack(decoded) == found.masks.numpy()).all()
            assert 0 < np.mean(decoded) < 1
