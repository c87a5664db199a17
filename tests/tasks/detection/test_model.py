"""The detector against mmdet's Mask R-CNN with the same weights, and what it owes the engine."""

from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from tasks.contract import DataError, Note, Term
from tasks.detection.model import Detector
from tasks.detection.parts.pooling import pool
from tests.tasks.detection import mask_rcnn
from tests.tasks.detection.batches import batch, detector, info, plain, recipe, staged, take

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
    reference = mask_rcnn.build(model).train()
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
    reference = mask_rcnn.build(model).eval()
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


CHANCY = {
    "rpn": {"sampled": 20, "positive_share": 0.25, "proposals_after": 60},
    "roi": {"sampled": 8, "positive_share": 0.5},
}
"""So few are trained on that most are left out."""


def noted(model: Detector, given: dict[str, Any]) -> dict[str, Any]:
    return dict(model.loss(given))


@pytest.mark.parametrize("training", [True, False])
def test_terms_of_two_halves_add_up(training: bool) -> None:
    """Totals and counts of two processes' shares are those of the whole batch, in any order, and
    so are the gradients of the terms."""
    model = detector(plain(SIZE), **CHANCY).train(training)
    given = batch(SIZE, (3, 2, 0, 4))
    whole = noted(model, given)
    assert set(whole) == {
        "rpn_class", "rpn_box", "rpn_positives", "class", "box", "mask", "positives",
    }  # fmt: skip
    halves = [noted(model, take(given, rows)) for rows in ([3, 1], [2, 0])]
    for name, term in whole.items():
        assert term.count == sum(half[name].count for half in halves) > 0
        together = halves[0][name].total + halves[1][name].total
        torch.testing.assert_close(together, term.total, rtol=1e-4, atol=1e-5, msg=name)
    assert isinstance(whole["positives"], Note) and whole["positives"].count == 4
    assert 0 < whole["positives"].total <= 16 and 0 < whole["rpn_positives"].total <= 20
    assert whole["class"].count == 4 * 8
    weights = [p for p in model.parameters() if p.requires_grad]
    sums = [
        sum(t.total / whole[name].count for name, t in terms.items() if isinstance(t, Term))
        for terms in (whole, *halves)
    ]
    one, *two = (torch.autograd.grad(each, weights) for each in sums)  # type: ignore[arg-type]
    for a, b, c in zip(one, *two, strict=True):
        torch.testing.assert_close(b + c, a, rtol=1e-3, atol=1e-4 * float(a.abs().max()) + 1e-7)


def test_choice_follows_the_sample_in_training_and_the_index_in_evaluation() -> None:
    model = detector(plain(SIZE), **CHANCY)
    given = batch(SIZE)
    other_visit = given | {"sample_key": given["sample_key"] + 1}
    other_image = given | {"index": given["index"] + 1}

    def value(batch: dict[str, Any]) -> float:
        return float(noted(model, batch)["rpn_class"].total.detach())

    model.train()
    assert value(given) == value(other_image) != value(other_visit)
    model.eval()
    assert value(given) == value(other_visit) != value(other_image)
    del given["sample_key"]
    assert value(given) == value(given)


def test_beside_the_image_lies_the_mean_colour() -> None:
    model = detector(plain(SIZE))
    given = batch(SIZE)
    normalised = model.backbone.normalised(model.images(given))
    for image, extent in zip(normalised, given["extent"].tolist(), strict=True):
        height, width = extent
        assert height < SIZE[0] and width < SIZE[1]
        assert not image[:, height:].any() and not image[:, :, width:].any()
        assert image[:, :height, :width].all()
    changed = dict(given) | {"image": given["image"].clone()}
    changed["image"][0, :, int(given["extent"][0, 0]) :] = 255
    assert (model.images(changed) == model.images(given)).all()


def test_crowd_regions_are_not_looked_at() -> None:
    """As in mmdet with ignore_iof_thr -1."""
    model = detector(plain(SIZE)).train()
    given = batch(SIZE)
    crowded = given | {"crowd": [torch.tensor([[0.0, 0, 128, 96]])] * 2}
    for name, term in noted(model, given).items():
        assert term.total == noted(model, crowded)[name].total


def test_batch_without_objects() -> None:
    model = detector(plain(SIZE)).train()
    terms = noted(model, batch(SIZE, (0, 0)))
    for name in ("rpn_box", "box", "mask", "positives", "rpn_positives"):
        assert terms[name].total == 0 and terms[name].count > 0
    losses = [term.value for term in terms.values() if isinstance(term, Term)]
    torch.stack(losses).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_masks_may_be_missing_where_nothing_has_one() -> None:
    """Of held-out images whose file has no objects at all."""
    model = detector(plain(SIZE)).eval()
    assert noted(model, batch(SIZE, (0, 0), masks=False))["mask"].total == 0
    with pytest.raises(DataError, match=r"no masks, where training has some: .*data.masks=false"):
        model.loss(batch(SIZE, masks=False))


@torch.no_grad()
def test_features_take_the_place_of_images() -> None:
    model = detector(staged(SIZE), **CHANCY).eval()
    given = batch(SIZE)
    kept = {key: value for key, value in given.items() if key != "image"}
    kept["features"] = model.features(given, training=False)
    assert list(kept["features"]) == ["map0", "map1", "map2", "map3"]
    assert model.predict(kept) == model.predict(given)
    for name, term in noted(model, given).items():
        assert term.total == noted(model, kept)[name].total


@torch.no_grad()
def test_rows() -> None:
    model = detector(plain(SIZE), masks=True).eval()
    given = batch(SIZE)
    rows = model.predict(given)
    for i, row in enumerate(rows):
        assert (row["sample"], row["image_id"]) == (i, 100 + i)
        height, width = given["image_size"][i].tolist()
        assert (row["height"], row["width"]) == (height, width)
        boxes = np.reshape(row["boxes"], (-1, 4))
        assert len(boxes) == len(row["scores"]) == len(row["categories"]) == len(row["masks"]) > 0
        assert (boxes >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= [width, height]).all()
        assert row["scores"] == sorted(row["scores"], reverse=True)
    left_out = model.recipe.predictions.model_copy(update={"masks": False})
    model.recipe = model.recipe.model_copy(update={"predictions": left_out})
    assert [row | {"masks": []} for row in rows] == model.predict(given)
    model.recipe = model.recipe.model_copy(
        update={"test": model.recipe.test.model_copy(update={"min_score": 1.0})}
    )
    assert [(row["boxes"], row["masks"]) for row in model.predict(given)] == [([], [])] * 2


def test_initialisation() -> None:
    """mmdet's distributions, from the seed alone."""
    model = Detector(staged(SIZE), recipe(SIZE, roi={"convolutions": 1, "width": 64}), info())
    before = torch.get_rng_state()
    model.initialise(3)
    assert (torch.get_rng_state() == before).all()
    first = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.initialise(4)
    again = dict(model.named_parameters())
    drawn = [n for n in first if not n.startswith("backbone.") and first[n].unique().numel() > 1]
    assert all((first[name] != again[name]).any() for name in drawn)
    model.initialise(3)
    assert all((first[name] == p).all() for name, p in model.named_parameters())
    xavier = (6 / (16 * 9 + 16 * 9)) ** 0.5 / 3**0.5
    expected = {
        "neck.fpn.fpn_convs.0.conv.weight": xavier,
        "rpn.head.rpn_conv.weight": 0.01,
        "rpn.head.rpn_cls.weight": 0.01,
        "box_head.shared_convs.0.conv.weight": (2 / (16 * 9)) ** 0.5,
        "box_head.shared_fcs.0.weight": (2 / (16 * 49 + 64)) ** 0.5,
        "box_head.fc_cls.weight": 0.01,
        "box_head.fc_reg.weight": 0.001,
        "mask_head.convs.0.conv.weight": (2 / (8 * 9)) ** 0.5,
        "mask_head.upsample.weight": (2 / (8 * 4)) ** 0.5,
    }
    for name, std in expected.items():
        sampled = 1 / (2 * first[name].numel()) ** 0.5
        assert abs(float(first[name].std()) / std - 1) < 5 * sampled, name
        bias = name.removesuffix("weight") + "bias"
        assert not first[bias].any()


def test_no_mask_head_for_boxes() -> None:
    model = detector(plain(SIZE), masks=False).train()
    assert model.mask_head is None
    assert "mask" not in noted(model, batch(SIZE, masks=False))
    assert all(row["masks"] == [] for row in model.eval().predict(batch(SIZE, masks=False)))


def test_names_leave_the_process_as_it_was() -> None:
    from mmengine.registry import DefaultScope

    before = dict(DefaultScope._instance_dict)
    detector(plain(SIZE))
    assert dict(DefaultScope._instance_dict) == before


def test_training_goes_on_after_a_prediction() -> None:
    """What is kept from under inference mode neither stands in the way of gradients nor changes
    them."""
    predicted, fresh = detector(plain(SIZE)), detector(plain(SIZE))
    with torch.inference_mode():
        predicted.eval().predict(batch(SIZE))
    for model in (predicted, fresh):
        torch.stack(list(values(model.train(), batch(SIZE)).values())).sum().backward()
    expected = dict(fresh.named_parameters())
    for name, parameter in predicted.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.equal(parameter.grad, expected[name].grad), name
    anchors = predicted.rpn(predicted.maps(batch(SIZE))).anchors
    assert not any(each.is_inference() for each in anchors)


def test_half_precision_keeps_the_place_of_regions() -> None:
    """In bfloat16 a coordinate of 100 pixels has steps of half a pixel."""
    model = detector(plain(SIZE), noise=0.01).train()
    given = batch(SIZE)
    whole = values(model, given)
    with torch.autocast("cpu", torch.bfloat16):
        half = values(model, given)
        maps = [each.bfloat16() for each in model.maps(given)]
        rois = torch.tensor([[0, 33.3, 20.2, 101.7, 90.1]])
        pooled = pool(maps, rois, model.recipe.neck.strides, 7)
    exact = pool([each.float() for each in maps], rois, model.recipe.neck.strides, 7)
    torch.testing.assert_close(pooled, exact, rtol=1e-6, atol=1e-6)
    torch.stack(list(half.values())).sum().backward()
    for name, value in whole.items():
        assert half[name].dtype == torch.float32
        assert abs(float((half[name] / value).detach()) - 1) < 0.2, name
