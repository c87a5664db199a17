"""The served operators against torchvision and slow float64 definitions, forward and backward."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import ops

from tasks.contract import DependencyError
from tasks.openmmlab import operators


def bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """One sample of a map (C, H, W), as mmcv reads beyond its border: up to one cell outside the
    border's value, 0 further off."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(plane.shape[0])
    y, x = max(y, 0.0), max(x, 0.0)
    y0, x0 = min(int(y), height - 1), min(int(x), width - 1)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    fy, fx = (y - y0 if y0 < height - 1 else 0.0), (x - x0 if x0 < width - 1 else 0.0)
    top = plane[:, y0, x0] * (1 - fx) + plane[:, y0, x1] * fx
    return top * (1 - fy) + (plane[:, y1, x0] * (1 - fx) + plane[:, y1, x1] * fx) * fy


def slow_roi_align(
    maps: Tensor, rois: Tensor, size: tuple[int, int], scale: float, samples: int, aligned: bool
) -> Tensor:
    found = maps.new_zeros((len(rois), maps.shape[1], *size))
    shift = 0.5 if aligned else 0.0
    for n, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (value * scale - shift for value in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        cell_y, cell_x = height / size[0], width / size[1]
        ny, nx = (samples, samples) if samples else (math.ceil(cell_y), math.ceil(cell_x))
        for i in range(size[0]):
            for j in range(size[1]):
                total = maps.new_zeros(maps.shape[1])
                for a in range(ny):
                    for b in range(nx):
                        y = y1 + (i + (a + 0.5) / ny) * cell_y
                        x = x1 + (j + (b + 0.5) / nx) * cell_x
                        total = total + bilinear(maps[int(image)], y, x)
                found[n, :, i, j] = total / max(ny * nx, 1)
    return found


@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align(samples: int, aligned: bool) -> None:
    torch.manual_seed(0)
    corner = torch.rand(6, 2).double() * 20 - 3
    extent = torch.rand(6, 2).double() * 18 + 0.5
    image = torch.tensor([0, 1, 0, 1, 1, 0]).double()[:, None]
    rois = torch.cat((image, corner, corner + extent), dim=1)
    given = torch.randn(2, 3, 9, 11).double()
    size, scale = (3, 4), 0.5
    outputs, gradients = [], []
    layer = operators.RoIAlign(size, scale, samples, aligned=aligned)
    for function in (
        lambda m: layer(m, rois),
        lambda m: operators.roi_align(m, rois, size, scale, samples, "avg", aligned),
        lambda m: ops.roi_align(m, rois, size, scale, samples or -1, aligned),
        lambda m: slow_roi_align(m, rois, size, scale, samples, aligned),
    ):
        maps = given.clone().requires_grad_()
        output = function(maps)  # type: ignore[no-untyped-call]
        (output * torch.arange(output.numel()).reshape(output.shape).cos()).sum().backward()
        assert maps.grad is not None
        outputs.append(output.detach())
        gradients.append(maps.grad)
    for other in (0, 1, 2):
        torch.testing.assert_close(outputs[other], outputs[3], rtol=0, atol=1e-10)
        torch.testing.assert_close(gradients[other], gradients[3], rtol=0, atol=1e-10)


def test_roi_align_of_nothing() -> None:
    maps = torch.randn(1, 2, 5, 5, requires_grad=True)
    output = operators.roi_align(maps, torch.zeros(0, 5), 7)
    assert output.shape == (0, 2, 7, 7)
    output.sum().backward()
    assert maps.grad is not None and not maps.grad.any()


def slow_nms(boxes: Tensor, scores: Tensor, limit: float, classes: Tensor) -> list[int]:
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(classes[i] != classes[j] or overlap(boxes[i], boxes[j]) <= limit for j in kept):
            kept.append(i)
    return kept


def overlap(a: Tensor, b: Tensor) -> float:
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    inside = float((high - low).clamp(min=0).prod())
    areas = [float((c[2:] - c[:2]).prod()) for c in (a, b)]
    return inside / (sum(areas) - inside)


def boxes_of(seed: int, count: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator).double() * 40 - 20
    extent = torch.rand(count, 2, generator=generator).double() * 20 + 1
    scores = torch.rand(count, generator=generator).double()
    classes = torch.randint(0, 3, (count,), generator=generator)
    return torch.cat((corner, corner + extent), dim=1), scores, classes


def test_nms() -> None:
    boxes, scores, classes = boxes_of(0)
    expected = slow_nms(boxes, scores, 0.3, torch.zeros_like(classes))
    assert len(expected) < 50
    dets, kept = operators.nms(boxes, scores, 0.3)
    assert kept.tolist() == expected == ops.nms(boxes, scores, 0.3).tolist()
    torch.testing.assert_close(dets, torch.cat((boxes[kept], scores[kept, None]), 1))
    _, some = operators.nms(boxes, scores, 0.3, score_threshold=0.5, max_num=4)
    high = [i for i in expected if scores[i] > 0.5]
    assert some.tolist() == high[:4]


@pytest.mark.parametrize("batched", [False, True])
def test_nms_passes_gradients_to_what_it_keeps(batched: bool) -> None:
    boxes, scores, classes = boxes_of(1)
    boxes.requires_grad_()
    scores.requires_grad_()
    if batched:
        dets, kept = operators.batched_nms(boxes, scores, classes, {"iou_threshold": 0.3})
        assert kept.tolist() == ops.batched_nms(boxes, scores, classes, 0.3).tolist()
    else:
        dets, kept = operators.nms(boxes, scores, 0.3)
    assert 0 < len(kept) < len(boxes)
    dets.sum().backward()
    expected = torch.zeros(len(boxes)).double()
    expected[kept] = 1
    assert boxes.grad is not None and scores.grad is not None
    assert (scores.grad == expected).all() and (boxes.grad == expected[:, None]).all()


@pytest.mark.parametrize("agnostic", [False, True])
def test_batched_nms(agnostic: bool) -> None:
    boxes, scores, classes = boxes_of(2)
    boxes, scores = boxes.float(), scores.float()
    settings = {"type": "nms", "iou_threshold": 0.3, "split_thr": 10}
    dets, kept = operators.batched_nms(boxes, scores, classes, settings, agnostic)
    among = torch.zeros_like(classes) if agnostic else classes
    assert kept.tolist() == slow_nms(boxes.double(), scores.double(), 0.3, among)
    assert (dets == torch.cat((boxes[kept], scores[kept, None]), 1)).all()
    assert settings["type"] == "nms", "the caller's settings are left as they are"
    _, few = operators.batched_nms(boxes, scores, classes, settings | {"max_num": 3}, agnostic)
    assert few.tolist() == kept[:3].tolist()


def test_batched_nms_without_settings_sorts() -> None:
    boxes, scores, classes = boxes_of(3)
    dets, kept = operators.batched_nms(boxes, scores, classes, None)
    assert kept.tolist() == scores.argsort(descending=True).tolist()
    assert (dets[:, 4] == scores[kept]).all()


@pytest.mark.parametrize("settings", [None, {"type": "nms", "iou_threshold": 0.5}])
def test_suppression_of_nothing(settings: dict[str, Any] | None) -> None:
    none = torch.zeros(0, 4, requires_grad=True), torch.zeros(0, requires_grad=True)
    for dets, kept in (
        operators.batched_nms(*none, torch.zeros(0, dtype=torch.int64), settings),
        operators.nms(*none, 0.5),
    ):
        assert dets.shape == (0, 5) and kept.shape == (0,)
        found = torch.autograd.grad(dets.sum(), none)
        assert [each.shape for each in found] == [(0, 4), (0,)]


def test_what_is_not_served_refuses_when_built() -> None:
    ops = operators.modules()["mmcv.ops"]
    for name in ("CARAFEPack", "nms_match", "SoftNMS"):
        with pytest.raises(DependencyError, match=rf"mmcv\.ops\.{name} is not served"):
            getattr(ops, name)(3, 4)
    assert ops.SoftNMS is ops.SoftNMS
    assert not hasattr(ops, "__file__") and not hasattr(ops, "_version")
    boxes, scores, classes = boxes_of(0, 4)
    with pytest.raises(DependencyError, match="max"):
        operators.RoIAlign(7, pool_mode="max")
    with pytest.raises(DependencyError, match="offset"):
        operators.nms(boxes, scores, 0.5, offset=1)
    with pytest.raises(DependencyError, match="soft_nms"):
        operators.batched_nms(boxes, scores, classes, {"type": "soft_nms", "iou_threshold": 0.5})
