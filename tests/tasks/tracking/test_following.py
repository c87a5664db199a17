from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from tasks.contract import DataError, Row
from tasks.tracking import rows
from tasks.tracking.constant import StaysPut
from tasks.tracking.crops import Window
from tasks.tracking.following import follow
from tasks.tracking.matching import ScaleSearch
from tests.tasks.tracking.worlds import (
    Colours,
    Floats,
    Painted,
    Scripted,
    batch,
    blank,
    moving,
    one_cell,
    recipe,
)

FIRST = np.array([60.0, 50.0, 24.0, 18.0])


def overlaps(found: Floats, true: Floats) -> Floats:
    low = np.maximum(found[:, :2], true[:, :2])
    high = np.minimum(found[:, :2] + found[:, 2:], true[:, :2] + true[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    result: Floats = both / (found[:, 2:].prod(1) + true[:, 2:].prod(1) - both)
    return result


def several() -> tuple[list[Painted], list[Floats]]:
    made = [moving(length, seed) for seed, length in enumerate((24, 1, 9, 24, 17))]
    return [frames for frames, _ in made], [boxes for _, boxes in made]


def test_targets_of_a_known_colour_are_followed() -> None:
    frames, truth = several()
    found = follow(Colours(recipe()), batch(frames, [each[0] for each in truth]))
    for each, true, painted in zip(found, truth, frames, strict=True):
        boxes = rows.boxes(each)
        np.testing.assert_array_equal(boxes[0], true[0])
        assert boxes.shape == true.shape
        assert painted.asked == list(range(len(true)))
        if len(true) > 1:
            assert overlaps(boxes, true)[1:].mean() > 0.8
            assert overlaps(true[:1].repeat(len(true), 0), true)[1:].mean() < 0.4


def test_rows_hold_what_was_seen() -> None:
    frames, truth = several()
    found = follow(Colours(recipe()), batch(frames, [each[0] for each in truth]))
    assert [each["sample"] for each in found] == [10, 11, 12, 13, 14]
    assert [each["sequence"] for each in found] == [f"sequence {k}" for k in range(5)]
    for each, true in zip(found, truth, strict=True):
        scores, centres = np.array(each["scores"]), rows.centres(each)
        assert np.isnan(scores[0]) and np.isnan(centres[0]).all()
        assert ((scores[1:] >= 0) & (scores[1:] <= 1)).all()
        maps = rows.maps(each)
        if len(true) == 1:
            assert maps is None
            continue
        assert maps is not None and maps.shape == (len(true), 8, 8)
        # What is kept is the score without window, of the cell that was taken among others.
        assert not maps[0].any()
        assert (np.abs(maps[1:].reshape(-1, 64) / 255 - scores[1:, None]).min(1) < 0.003).all()
    bare = recipe(predictions={"maps": False})
    found = follow(Colours(bare), batch(frames, [each[0] for each in truth]))
    assert all(each["maps"] == b"" for each in found)


def same(a: list[Row], b: list[Row]) -> None:
    by_sample = {each["sample"]: each for each in b}
    for each in a:
        other = by_sample[each["sample"]]
        np.testing.assert_equal({**each}, {**other})


def part(of: dict[str, Any], chosen: list[int]) -> dict[str, Any]:
    return {
        name: value[chosen] if isinstance(value, torch.Tensor) else [value[k] for k in chosen]
        for name, value in of.items()
    }


def test_alone_or_together_in_any_order_boxes_are_the_same() -> None:
    frames, truth = several()
    whole = batch(frames, [each[0] for each in truth])
    matcher = Colours(recipe())
    together = follow(matcher, whole)
    for chosen in ([[k] for k in range(5)], [[3, 1, 4, 0, 2]], [[2, 0], [4, 3, 1]]):
        apart = [each for some in chosen for each in follow(matcher, part(whole, some))]
        same(together, apart)


@pytest.mark.parametrize("first", [FIRST, np.array([60.0, 50.0, 4.0, 30.0])])
def test_boxes_are_those_of_the_written_out_recurrence(first: Floats) -> None:
    """A network that always says the same moves the box by the same rule; frames change size."""
    answer = (0.55, 0.47, 0.22, 0.3)
    frames = Painted([*blank(9, (120, 160)).images, *blank(9, (90, 100)).images])
    given = recipe((64, 96))
    (found,) = follow(Scripted(given, lambda _, count: one_cell(answer)), batch([frames], [first]))
    x, y, w, h = first.tolist()
    for frame in range(1, len(frames)):
        np.testing.assert_allclose(rows.centres(found)[frame], [x, y, w, h], rtol=0, atol=1e-9)
        side_w, side_h = max(w, 10.0), max(h, 10.0)
        context = 3 * (side_w + side_h) / 2
        scale = (64 * 96 / ((side_w + context) * (side_h + context))) ** 0.5
        cx, cy, bw, bh = (float(np.float32(v)) for v in answer)
        x1 = ((cx - bw / 2) * 96 - 48) / scale + x + w / 2
        x2 = ((cx + bw / 2) * 96 - 48) / scale + x + w / 2
        y1 = ((cy - bh / 2) * 64 - 32) / scale + y + h / 2
        y2 = ((cy + bh / 2) * 64 - 32) / scale + y + h / 2
        expected = [x1, y1, x2 - x1, y2 - y1]
        np.testing.assert_allclose(rows.boxes(found)[frame], expected, rtol=0, atol=1e-9)
        height, width = frames.images[frame].shape[:2]
        x1, y1, x2, y2 = max(x1, 0.5), max(y1, 0.5), min(x2, width - 0.5), min(y2, height - 0.5)
        if x1 < x2 and y1 < y2:
            x, y, w, h = x1, y1, x2 - x1, y2 - y1


def test_a_box_outside_the_image_is_reported_and_not_kept() -> None:
    script = lambda call, _: one_cell((5.0, 0.5, 0.2, 0.2) if call == 1 else (0.5, 0.5, 0.2, 0.2))  # noqa: E731
    (found,) = follow(Scripted(recipe(), script), batch([blank(3)], [FIRST]))
    assert rows.boxes(found)[1, 0] > 160
    np.testing.assert_array_equal(rows.centres(found)[2], FIRST)


def test_search_images_are_padded_with_the_first_frame_s_mean_colour() -> None:
    dark, light = np.full((120, 160, 3), 10, np.uint8), np.full((120, 160, 3), 200, np.uint8)
    matcher = Scripted(recipe(), lambda *_: one_cell((0.5, 0.5, 0.25, 0.25)))
    corner = np.array([0.0, 0.0, 24.0, 24.0])
    follow(matcher, batch([Painted([dark, light])], [corner]))
    _, search = matcher.given
    assert search[0, :, 0, 0].tolist() == pytest.approx([10 / 255] * 3)
    assert search[0, :, -1, -1].tolist() == pytest.approx([200 / 255] * 3)


def test_the_template_is_the_first_frame_and_computed_once() -> None:
    frames = [blank(3, seed=0), blank(5, seed=1)]
    matcher = Scripted(recipe(), lambda _, n: one_cell((0.5, 0.5, 0.25, 0.25), 1.0, n))
    follow(matcher, batch(frames, [FIRST, FIRST]))
    template, *searches = matcher.given
    assert template.shape == (2, 3, 32, 32)
    window = Window.of(FIRST, 2.0, (32, 32))
    for given, each in zip(template, frames, strict=True):
        expected = window.cut(each.images[0], (32, 32), each.images[0].mean((0, 1)))
        np.testing.assert_allclose(given.permute(1, 2, 0) * 255, expected, atol=1e-3)
    assert [len(each) for each in searches] == [2, 2, 1, 1]


def test_a_lost_target_is_looked_for_around_its_last_box_in_a_growing_area() -> None:
    scores = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1]
    moved = (0.6, 0.5, 0.25, 0.25)
    script = lambda call, _: one_cell(moved, scores[call - 1])  # noqa: E731
    given = recipe(test={"lost_below": 0.5, "lost_growth": 1.5})
    (found,) = follow(Scripted(given, script), batch([blank(9)], [FIRST]))
    centres = rows.centres(found)
    middles = centres[:, :2] + centres[:, 2:] / 2
    # Lost from the second on: the box found in frame 1 stays in the middle until frame 7 is over.
    np.testing.assert_allclose(middles[3:8], middles[2:3].repeat(5, 0), rtol=0, atol=1e-12)
    assert (middles[8] != middles[7]).any()
    growth = centres[2:, 2] / centres[2, 2]
    np.testing.assert_allclose(growth[:6], [1, 1.5, 2.25, 3.375, 4, 4], rtol=1e-12)
    # Reported is what the network says, also while it is lost.
    np.testing.assert_allclose(rows.boxes(found)[3, 2] / rows.boxes(found)[2, 2], 1.5, rtol=1e-6)
    (never,) = follow(Scripted(recipe(), script), batch([blank(9)], [FIRST]))
    assert len(np.unique(rows.centres(never)[1:, 0])) == 8


def test_with_a_scale_search_the_best_scale_is_approached() -> None:
    given = recipe()
    scales = (0.9, 1.0, 1.2)

    def script(call: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        assert count == 3
        # In the second call the gain is smaller than the penalty.
        best = [0.5, 0.8, 0.9] if call != 2 else [0.5, 0.8, 0.82]
        cell = torch.tensor([0.5, 0.5, 1.0, 1.0]).expand(3, 1, 1, 4)
        return torch.tensor(best).view(3, 1, 1), cell

    matcher = Scripted(given, script)
    matcher.scale_search = ScaleSearch(scales, 0.95, 0.5)
    (found,) = follow(matcher, batch([blank(4)], [FIRST]))
    sides = rows.boxes(found)[:, 2:]
    np.testing.assert_allclose(sides[1], FIRST[2:] * 1.1, rtol=1e-12)
    np.testing.assert_allclose(sides[2], sides[1], rtol=1e-12)
    np.testing.assert_allclose(sides[3], FIRST[2:] * 1.1**2, rtol=1e-12)
    # Search images of one frame differ by their scale alone.
    search = [Window.of(np.array([0, 0, *FIRST[2:] * s]), 4.0, (64, 64)).scale[0] for s in scales]
    assert search[0] / search[2] == pytest.approx(1.2 / 0.9)
    assert [len(each) for each in matcher.given[1:]] == [3, 3, 3]


def test_each_view_is_compared_with_its_own_target_also_when_others_have_ended() -> None:
    """Three views of one target are as many as there were targets."""
    made = [moving(length, seed) for seed, length in enumerate((3, 3, 6))]
    matcher = Colours(recipe())
    matcher.scale_search = ScaleSearch((0.95, 1.0, 1.05), 0.95, 0.5)
    whole = batch([frames for frames, _ in made], [boxes[0] for _, boxes in made])
    together = follow(matcher, whole)
    same(together, [each for k in range(3) for each in follow(matcher, part(whole, [k]))])


def test_a_scale_search_stays_within_a_fifth_and_five_times_the_size() -> None:
    for scale, bound in ((0.5, 0.2), (2.0, 5.0)):
        cell = torch.tensor([0.5, 0.5, 1.0, 1.0]).view(1, 1, 1, 4)
        matcher = Scripted(recipe(), lambda *_, cell=cell: (torch.ones(1, 1, 1), cell))
        matcher.scale_search = ScaleSearch((scale,), 1.0, 1.0)
        (found,) = follow(matcher, batch([blank(6)], [FIRST]))
        np.testing.assert_allclose(rows.boxes(found)[-1, 2:], bound * FIRST[2:], rtol=1e-12)


def test_a_frame_that_cannot_be_read_ends_it_and_its_threads() -> None:
    frames, truth = several()
    frames[0].broken = 5
    with pytest.raises(DataError, match=r"005\.png cannot be read"):
        follow(Colours(recipe()), batch(frames, [each[0] for each in truth]))
    assert not [each for each in threading.enumerate() if each.name.startswith("frames")]


def test_frames_are_read_one_ahead_at_most() -> None:
    frames = blank(12)
    ahead = []

    def script(call: int, _: int) -> tuple[torch.Tensor, torch.Tensor]:
        ahead.append(len(frames.asked) - call)
        return one_cell((0.5, 0.5, 0.25, 0.25))

    follow(Scripted(recipe(), script), batch([frames], [FIRST]))
    assert set(ahead) <= {1, 2}


def test_a_response_that_is_no_number_is_refused() -> None:
    script = lambda *_: one_cell((float("nan"), 0.5, 0.2, 0.2))  # noqa: E731
    with pytest.raises(FloatingPointError, match="`sequence 0`, frame 1"):
        follow(Scripted(recipe(), script), batch([blank(3)], [FIRST]))


def test_the_constant_is_the_first_box() -> None:
    firsts = [FIRST, FIRST / 3]
    found = StaysPut().predict(batch([blank(3), blank(1)], firsts))
    assert [each["sample"] for each in found] == [10, 11]
    for each, first, length in zip(found, firsts, (3, 1), strict=True):
        np.testing.assert_array_equal(rows.boxes(each), np.tile(first, (length, 1)))
        assert np.isnan(each["scores"]).all() and len(each["scores"]) == length
        assert rows.maps(each) is None


def test_so_many_are_followed_together_as_the_recipe_says() -> None:
    assert recipe(test={"batch": 7}).evaluation_batch == 7
    assert recipe().evaluation_batch == 16
