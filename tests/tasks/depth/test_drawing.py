"""What the pictures of a run show, and what they say of it."""

import numpy as np
import pytest

from tasks import figures
from tasks.contract import DataError
from tasks.depth import drawing
from tasks.depth.distance import BINS, by_distance
from tasks.depth.metrics import evaluate, image_figures
from tests.tasks.depth.samples import Maps, maps, measure_of, some


def test_errors_by_distance_are_those_of_the_pixels_there() -> None:
    rows, dataset = some(4)
    lines = by_distance(rows, dataset)
    pairs = [maps(seed) for seed in range(4)]
    p = np.concatenate([each.ravel() for each, _ in pairs]).astype(float)
    g = np.concatenate([truth.ravel() for _, truth in pairs]).astype(float)
    for k, line in enumerate(lines):
        here = (g >= k) & (g < k + 1) & (g > 0.001)
        assert (line["from"], line["to"], line["pixels"]) == (k, k + 1, here.sum())
        if not here.any():
            assert line["RMSE"] is line["AbsRel"] is line["bias"] is None
            continue
        error = p[here] - g[here]
        assert line["images"] == 4
        assert line["RMSE"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
        assert line["AbsRel"] == pytest.approx((abs(error) / g[here]).mean(), rel=1e-12)
        assert line["bias"] == pytest.approx(error.mean(), rel=1e-9, abs=1e-12)
    assert len(lines) == BINS
    assert sum(line["share"] for line in lines) == pytest.approx(1)


def test_all_distances_together_are_the_pooled_figures() -> None:
    rows, dataset = some(5, min_depth=0.7, max_depth=8.3)
    lines = [line for line in by_distance(rows, dataset) if line["pixels"]]
    weights = np.array([line["pixels"] for line in lines])
    metrics = evaluate(rows, dataset).metrics
    square = sum(line["RMSE"] ** 2 * line["pixels"] for line in lines) / weights.sum()
    assert np.sqrt(square) == pytest.approx(metrics["RMSE_pixels"].value, rel=1e-12)
    relative = sum(line["AbsRel"] * line["pixels"] for line in lines) / weights.sum()
    assert relative == pytest.approx(metrics["AbsRel_pixels"].value, rel=1e-12)


def test_the_best_and_the_worst_images_are_shown_in_order(texts: list[str]) -> None:
    rows, dataset = some(8)
    rmse = [image_figures(*maps(seed), dataset.recipe.measure)["rmse"] for seed in range(8)]
    found = drawing.pictures(rows[::-1], dataset, "a run")
    assert set(found.images) == {"best", "worst", "distance"}
    order = np.argsort(rmse).tolist()
    assert dataset.asked == order[:6] + order[::-1][:6]
    assert [line["sample"] for line in found.tables["images"]] == order[::-1]
    assert found.tables["images"][0]["RMSE"] == max(rmse)
    assert found.tables["images"][0]["image"] == f"room/{order[-1]}.png"
    assert texts.count("a run; no crop, 0.001-10 m") == 3
    assert f"RMSE {min(rmse):.3f} m" in " ".join(texts)
    assert "6 of 8 images; all are in images.csv." in " ".join(texts)


def test_of_equal_images_the_lower_sample_is_first() -> None:
    prediction, truth = maps(0)
    dataset = Maps([truth] * 3, measure_of())
    found = drawing.pictures([dataset.row(k, prediction) for k in (2, 0, 1)], dataset, "a run")
    assert dataset.asked == [0, 1, 2, 0, 1, 2]
    assert [line["sample"] for line in found.tables["images"]] == [0, 1, 2]


def test_the_sheet_shows_the_first_samples_and_its_protocol(texts: list[str]) -> None:
    rows, dataset = some(8, split="8 images")
    drawing.draw(rows[::-1], dataset)
    assert dataset.asked == [0, 1, 2, 3, 4, 5]
    assert "8 images, no crop, 0.001-10 m" in texts
    assert [line for line in texts if line.startswith("sample")] == [
        f"sample {k}" for k in range(6)
    ]


def test_rows_of_some_samples_alone_can_be_drawn() -> None:
    rows, dataset = some(8)
    drawing.draw([rows[7], rows[5]], dataset)
    assert dataset.asked == [5, 7]


def test_only_what_is_known_is_drawn() -> None:
    prediction, truth = maps(3)
    truth[0, :4] = [np.nan, np.inf, 0, 11]
    dataset = Maps([truth], measure_of(), "valid")
    one = drawing.shown(dataset.row(0, prediction), dataset)
    counted = (truth > 0.001) & (truth < 10)
    assert (np.isfinite(one.truth) == (np.isfinite(truth) & (truth > 0))).all()
    assert (np.isfinite(one.prediction) == counted).all()
    assert (np.isfinite(one.error) == counted).all()
    np.testing.assert_allclose(one.error[counted], np.abs(prediction - truth)[counted])


def test_truth_and_prediction_have_the_scale_of_the_truths() -> None:
    _, dataset = some(2)
    rows = [dataset.row(k, np.full((24, 32), 9.9, np.float32)) for k in range(2)]
    chosen = [drawing.shown(row, dataset) for row in rows]
    (low, high), (zero, most) = drawing.scales(chosen)
    known = np.concatenate([truth[truth > 0] for truth in dataset.truths])
    assert (low, high) == (known.min(), known.max())
    assert zero == 0
    errors = np.concatenate([one.error[np.isfinite(one.error)] for one in chosen])
    assert (errors <= most).mean() == pytest.approx(0.95, abs=0.01)


def test_a_condensed_map_keeps_single_known_pixels() -> None:
    sparse = np.full((5, 10), np.nan, np.float32)
    sparse[0, 0], sparse[4, 9], sparse[1, 3], sparse[0, 4] = 2, 3, 5, 6
    found = drawing.condensed(sparse, 4)
    assert found.shape == (2, 4)
    np.testing.assert_array_equal(found[0], [2, 5.5, np.nan, np.nan])
    np.testing.assert_array_equal(found[1], [np.nan, np.nan, np.nan, 3])
    np.testing.assert_array_equal(drawing.condensed(sparse, 10), sparse)


def test_farther_is_darker_all_the_way() -> None:
    depth = np.linspace(1, 9, 64, dtype=np.float32)[None].repeat(64, 0)
    dataset = Maps([depth], measure_of())
    picture = np.asarray(drawing.draw([dataset.row(0, depth)], dataset).convert("L"), float)
    # The truth is the second of the four maps: a line through its middle.
    top = figures.DPI * (0.2 + 0.3 + 0.17 + 0.1 + drawing.SIDE * 1.5 + 0.08)
    left = figures.DPI * (0.2 + 0.75)
    line = picture[round(top), round(left) + 4 : round(left + figures.DPI * drawing.SIDE) - 4]
    assert line[0] - line[-1] > 150
    assert (np.diff(line) <= 2).all()


def test_a_broken_row_is_refused_with_its_sample() -> None:
    rows, dataset = some(2)
    with pytest.raises(DataError, match="the prediction for sample 1: it is no stored depth map"):
        drawing.draw([rows[0], rows[1] | {"depth": b""}], dataset)
    with pytest.raises(DataError, match="1 of 2 samples have no prediction"):
        drawing.pictures(rows[1:], dataset, "a run")
