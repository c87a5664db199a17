"""Anchors, box deltas, pooling, mask targets and pasted masks against slow definitions."""

import math

import pytest
import torch
from torch import Tensor

from tasks.detection.parts import detections, pooling, proposals, regions
from tasks.detection.parts.proposals import RegionProposals, Scored
from tasks.openmmlab.operators import roi_align
from tests.tasks.detection.batches import recipe
from tests.tasks.openmmlab.test_operators import bilinear, slow_nms, slow_roi_align


def network() -> RegionProposals:
    return RegionProposals(recipe((64, 64), rpn={"ratios": (0.5, 2.0), "scale": 4.0}))


def test_anchors() -> None:
    """About each cell's upper left corner, of `scale` x stride squared pixels, height / width by
    the ratios; rows of cells, then ratios."""
    found = network()._anchors([(3, 2), (1, 1), (1, 1), (1, 1), (1, 1)], torch.device("cpu"))
    expected = []
    for y in range(3):
        for x in range(2):
            for ratio in (0.5, 2.0):
                width, height = 16 / math.sqrt(ratio), 16 * math.sqrt(ratio)
                cx, cy = 4 * x, 4 * y
                expected.append([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])
    torch.testing.assert_close(found[0], torch.tensor(expected), rtol=0, atol=1e-5)
    side = found[4][0, 2:] - found[4][0, :2]
    torch.testing.assert_close(side, torch.tensor([256 * 2**0.5, 256 / 2**0.5]))


def boxes(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 40
    return torch.cat((corner, corner + 2 + torch.rand(count, 2, generator=generator) * 30), 1)


def test_deltas_there_and_back() -> None:
    """Differences of centres in sides, logarithms of the sides' quotients, by the deviations; back
    with quotients of at most 1000 / 16 (Girshick et al. 2014; Ren et al. 2015)."""
    from tasks.detection.parts.heads import box_head

    coder = box_head(recipe((64, 64)), 3).bbox_coder
    base, goal = boxes(20, 0), boxes(20, 1)
    expected = []
    for a, b in zip(base.tolist(), goal.tolist(), strict=True):
        sides = [(a[2 + i] - a[i], b[2 + i] - b[i]) for i in (0, 1)]
        centres = [((b[i] + b[2 + i]) - (a[i] + a[2 + i])) / 2 / sides[i][0] for i in (0, 1)]
        logs = [math.log(own / of) for of, own in sides]
        expected.append([centres[0] / 0.1, centres[1] / 0.1, logs[0] / 0.2, logs[1] / 0.2])
    deltas = coder.encode(base, goal)
    torch.testing.assert_close(deltas, torch.tensor(expected), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(coder.decode(base, deltas), goal, rtol=1e-4, atol=1e-3)
    huge = torch.tensor([[0.0, 0.0, 100.0, -100.0]])
    wide = coder.decode(torch.tensor([[10.0, 10.0, 20.0, 20.0]]), huge)
    torch.testing.assert_close(wide[0, 2] - wide[0, 0], torch.tensor(625.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(wide[0, 3] - wide[0, 1], torch.tensor(0.16), rtol=1e-3, atol=0)
    free = deltas.clone().requires_grad_()
    weighted = torch.arange(80.0).reshape(20, 4).cos()
    (coder.decode(base, free) * weighted).sum().backward()
    slow = deltas.double().requires_grad_()
    scaled = slow * torch.tensor([0.1, 0.1, 0.2, 0.2])
    sides_ = (base[:, 2:] - base[:, :2]).double()
    centre = (base[:, 2:] + base[:, :2]).double() / 2 + scaled[:, :2] * sides_
    half = sides_ * scaled[:, 2:].exp() / 2
    (torch.cat((centre - half, centre + half), 1) * weighted).sum().backward()
    assert free.grad is not None and slow.grad is not None
    torch.testing.assert_close(free.grad.double(), slow.grad, rtol=1e-4, atol=1e-4)
    assert coder.encode(base[:0], goal[:0]).shape == (0, 4)
    assert coder.decode(base[:0], deltas[:0]).shape == (0, 4)


def rois(count: int, seed: int, images: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(images, (count, 1), generator=generator).sort(0).values
    reach = boxes(count, seed)
    reach[: count // 4] -= 12  # some reach beyond the map's edges
    return torch.cat((image.float(), reach), 1)


def test_level_is_chosen_by_side() -> None:
    """A side of 224 pixels belongs to stride 16, twice that to 32 and so on (Lin et al. 2017)."""
    maps = [torch.tensor(float(level)).expand(1, 1, 600, 600) for level in range(4)]
    sides = [10, 111, 113, 223, 225, 447, 449, 2000]
    given = torch.tensor([[0.0, 0, 0, side, side] for side in sides])
    found = pooling.pool(maps, given, (4, 8, 16, 32), 2)[:, 0, 0, 0]
    assert found.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    half = pooling.pool(maps, given / torch.tensor([1, 2, 2, 2, 2]), (2, 4, 8, 16), 2)
    assert half[:, 0, 0, 0].tolist() == found.tolist()


@pytest.mark.parametrize("size", [3, 7])
def test_pooled_forward_and_backward(size: int) -> None:
    """RoIAlign's own values, and the gradient of its definition in float64."""
    given = rois(12, 0)
    whole = torch.randn(2, 3, 9, 13, generator=torch.Generator().manual_seed(1))
    fast = whole.clone().requires_grad_()
    found = pooling.Pooled.apply(fast, given, size, 0.25)
    assert (found == roi_align(whole, given, size, 0.25)).all()
    weighted = torch.arange(found.numel()).reshape(found.shape).cos()
    (found * weighted).sum().backward()
    slow = whole.double().requires_grad_()
    expected = slow_roi_align(slow, given.double(), (size, size), 0.25, 0, True)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    (expected * weighted.double()).sum().backward()
    assert fast.grad is not None and slow.grad is not None
    torch.testing.assert_close(fast.grad.double(), slow.grad, rtol=0, atol=1e-5)


def test_pool_is_the_same_by_either_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several levels, some empty, in the order of the regions."""
    given = rois(9, 2)
    gradients, values = [], []
    for small in (64, 0):
        monkeypatch.setattr(pooling, "SMALL", small)
        maps = [
            torch.randn(2, 4, n, n, generator=torch.Generator().manual_seed(n)).requires_grad_()
            for n in (20, 10, 5)
        ]
        found = pooling.pool(maps, given, (0.5, 1.0, 2.0), 4)
        (found * torch.arange(found.numel()).reshape(found.shape).cos()).sum().backward()
        values.append(found.detach())
        gradients.append([each.grad for each in maps])
    assert (values[0] == values[1]).all()
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_pool_of_nothing() -> None:
    assert pooling.pool([torch.randn(2, 4, 8, 8)], torch.zeros(0, 5), (4.0,), 7).shape == (
        0, 4, 7, 7,
    )  # fmt: skip


def test_mask_targets() -> None:
    """Cells at least half of which the mask covers, by the samples of RoIAlign."""
    generator = torch.Generator().manual_seed(0)
    coarse = (torch.rand(3, 6, 6, generator=generator) > 0.5).to(torch.uint8)
    masks = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)
    own = torch.tensor([2, 0, 2, 1])
    cut = boxes(4, 3).clamp(max=48)
    found = regions.crops(masks, cut, own, 14)
    given = torch.cat((own.double()[:, None], cut.double()), 1)
    soft = slow_roi_align(masks[:, None].double(), given, (14, 14), 1.0, 0, True)[:, 0]
    sure = (soft - 0.5).abs() > 1e-5
    assert sure.double().mean() > 0.95 and 0.2 < found.mean() < 0.8
    assert (found[sure] == (soft >= 0.5)[sure]).all()
    assert regions.crops(masks, cut[:0], own[:0], 14).shape == (0, 14, 14)


def test_paste() -> None:
    """Each pixel's centre in the box's cells, bilinear, 0 beyond the mask; half-open at the edge
    of the image, boxes beyond it and without area included."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(5, 5, generator=generator)
    for box in ([3.2, 4.1, 17.9, 9.3], [-4.0, -3.0, 8.5, 30.0], [10.0, 2.0, 40.0, 19.5]):
        found = detections.paste(mask, torch.tensor(box), (18, 23), 0.5)
        assert found.shape == (18, 23) and found.flags.f_contiguous
        padded = torch.zeros(1, 7, 7)
        padded[0, 1:6, 1:6] = mask
        for y in range(18):
            for x in range(23):
                row = (y + 0.5 - box[1]) / (box[3] - box[1]) * 5 - 0.5
                column = (x + 0.5 - box[0]) / (box[2] - box[0]) * 5 - 0.5
                inside = -1 <= row <= 5 and -1 <= column <= 5
                value = float(bilinear(padded, row + 1, column + 1)) if inside else 0.0
                if abs(value - 0.5) > 1e-5:
                    assert found[y, x] == (value >= 0.5), (x, y)
        assert found.any()
    for flat in ([3.0, 3, 3, 9], [3.0, 3, 9, 3], [60.0, 60, 70, 70]):
        assert not detections.paste(mask + 1, torch.tensor(flat), (18, 23), 0.5).any()


def test_proposals() -> None:
    """Of each level the best, inside the image, with an area, apart within their level only."""
    rpn = network().eval()
    rpn.recipe = rpn.recipe.model_copy(
        update={"proposals_before_test": 25, "proposals_after": 30, "nms_iou": 0.5}
    )
    generator = torch.Generator().manual_seed(0)
    anchors = [boxes(40, 1), boxes(20, 2)]
    logits = [torch.randn(2, len(a), generator=generator) for a in anchors]
    deltas = [0.2 * torch.randn(2, len(a), 4, generator=generator) for a in anchors]
    extent = torch.tensor([[30, 60], [60, 25]])
    found = rpn.propose(Scored(anchors, logits, deltas), extent)
    for image in (0, 1):
        kept, scores, levels, numbers = [], [], [], []
        for level in (0, 1):
            best = logits[level][image].argsort(descending=True)[:25]
            decoded = rpn.head.bbox_coder.decode(anchors[level][best], deltas[level][image][best])
            height, width = extent[image].tolist()
            clipped = decoded.clamp(min=0).minimum(torch.tensor([width, height] * 2))
            kept.append(clipped)
            scores.append(logits[level][image][best])
            levels.append(torch.full((len(best),), level))
            numbers.append(best + 40 * level)
        together = torch.cat(kept)
        real = ((together[:, 2:] - together[:, :2]) > 0).all(1)
        assert image == 0 or not real.all()
        rows = real.nonzero()[:, 0]
        chosen = slow_nms(
            together[rows].double(), torch.cat(scores)[rows], 0.5, torch.cat(levels)[rows]
        )[:30]
        expected = torch.cat(numbers)[rows[chosen]]
        assert len(chosen) < len(rows)
        assert found[image].numbers.tolist() == sorted(expected.tolist())
        order = expected.argsort()
        torch.testing.assert_close(found[image].boxes, together[rows[chosen]][order])


def test_best_of_few_are_all() -> None:
    scores, rows = proposals._best(torch.tensor([[0.2, 0.9, 0.5]]), 3)
    assert scores.tolist() == torch.tensor([[0.2, 0.9, 0.5]]).tolist() and rows.tolist() == [
        [0, 1, 2]
    ]
    assert proposals._best(torch.tensor([[0.2, 0.9, 0.9]]), 2)[1].tolist() == [[1, 2]]
