"""Figures of depth against both published evaluators' own, and a slow definition, to 1e-9.

Both sides add the same float64 numbers in another order, which differs by 1e-15. What the published
code divides in float32 is said where it is compared.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.predictions import read_rows, write_rows
from tasks.contract import DataError
from tasks.depth.metrics import NAMES, evaluate, image_figures
from tasks.depth.protocol import benchmark, mask
from tests.tasks.depth.samples import Map, Maps, maps, measure_of, some

DOCS = Path(__file__).parents[3] / "docs/depth.md"
FOLDER = Path(__file__).parents[2] / "fixtures/metrics"
MIM = json.loads((FOLDER / "depth_mimdepth/expected.json").read_text())
BTS = json.loads((FOLDER / "depth_bts/expected.json").read_text())
STORED = np.load(FOLDER / "depth_mimdepth/maps.npz")
SHARES = ("d1", "d2", "d3")

NYU = {"max_depth": 10.0}
KITTI = {"max_depth": 80.0}
MIM_CASES = {
    "nyu": ("nyu", NYU | {"crop": "nyu_eigen"}),
    "kitti_garg": ("kitti", KITTI | {"crop": "kitti_garg"}),
    "kitti_eigen": ("kitti", KITTI | {"crop": "kitti_eigen"}),
    "imagepath_no_crop": ("nyu", NYU | {"crop": "none"}),
}
BTS_CASES = {
    "nyu_eigen": ("nyu", NYU | {"crop": "nyu_eigen"}),
    "nyu_no_crop": ("nyu", NYU | {"crop": "none"}),
    "kitti_garg": ("kitti", KITTI | {"crop": "kitti_garg"}),
    "kitti_eigen": ("kitti", KITTI | {"crop": "kitti_eigen"}),
    "kitti_full_kb_garg": ("kitti_full", KITTI | {"crop": "kitti_garg"}),
    "kitti_full_kb_eigen": ("kitti_full", KITTI | {"crop": "kitti_eigen"}),
    "kitti_full_kb_no_crop": ("kitti_full", KITTI | {"crop": "none"}),
}


def stored(group: str, image: str) -> tuple[Map, Map]:
    return STORED[f"{group}/{image}/prediction"], STORED[f"{group}/{image}/truth"]


def same(found: float, expected: Any, tolerance: float = 1e-9) -> bool:
    return found == pytest.approx(float(expected), rel=tolerance, abs=tolerance, nan_ok=True)


def test_every_stored_case_is_compared() -> None:
    assert set(MIM_CASES) == set(MIM) - {"raises"}
    assert set(BTS_CASES) == set(BTS) - {"kitti_both_flags"}


@pytest.mark.parametrize("case", MIM_CASES)
def test_mim_depth_fixture(case: str) -> None:
    group, settings = MIM_CASES[case]
    measure = measure_of(**settings)
    for image, expected in MIM[case]["images"].items():
        prediction, truth = stored(group, image)
        count = expected["valid"]
        assert mask(truth, measure).sum() == count, image
        found = image_figures(prediction, truth, measure)
        assert found.keys() == expected["float64"].keys()
        for name, value in expected["float64"].items():
            if name in SHARES and count:
                # There a whole number is divided in float32: the whole numbers are equal.
                assert same(found[name] * count, round(value * count)), (image, name)
                assert same(found[name], value, 1e-7), (image, name)
            else:
                assert same(found[name], value), (image, name)


@pytest.mark.parametrize("case", BTS_CASES)
def test_bts_fixture(case: str) -> None:
    group, settings = BTS_CASES[case]
    measure = measure_of(convention="bts", **settings)
    for image, expected in BTS[case]["images"].items():
        prediction, truth = stored(group, image)
        assert mask(truth, measure).sum() == expected["valid"], image
        found = image_figures(prediction, truth, measure)
        assert found.keys() == expected["float64"].keys()
        for name, value in expected["float64"].items():
            assert same(found[name], value), (image, name)


def test_of_two_crops_bts_takes_gargs() -> None:
    measure = measure_of(**KITTI, crop="kitti_garg")
    _, truth = stored("kitti", BTS["kitti_both_flags"]["image"])
    assert mask(truth, measure).sum() == BTS["kitti_both_flags"]["valid"]


@pytest.mark.parametrize("case", MIM_CASES)
def test_the_published_averages(case: str) -> None:
    group, settings = MIM_CASES[case]
    measure = measure_of(**settings)
    for part in ("plain", "finite"):
        expected = MIM[case]["averages"][part]
        pairs = [stored(group, image) for image in expected["images"]]
        dataset = Maps([truth for _, truth in pairs], measure)
        rows = [dataset.row(k, prediction) for k, (prediction, _) in enumerate(pairs)]
        metrics = evaluate(rows, dataset).metrics
        for name, value in expected["float64"].items():
            tolerance = 1e-7 if name in SHARES else 1e-9
            assert same(metrics[NAMES[name]].value, value, tolerance), (part, name)


def slow(prediction: Map, truth: Map, low: float, high: float) -> dict[str, float]:
    """The definitions pixel by pixel; for predictions above 0."""
    pairs = [
        (float(p), float(g))
        for p, g in zip(prediction.flat, truth.flat, strict=True)
        if np.float32(low) < g < np.float32(high)
    ]
    n = len(pairs)
    logs = [math.log(p) - math.log(g) for p, g in pairs]
    found = {f"d{k}": sum(max(p / g, g / p) < 1.25**k for p, g in pairs) / n for k in (1, 2, 3)}
    return found | {
        "abs_rel": math.fsum(abs(p - g) / g for p, g in pairs) / n,
        "sq_rel": math.fsum((p - g) ** 2 / g for p, g in pairs) / n,
        "rmse": math.sqrt(math.fsum((p - g) ** 2 for p, g in pairs) / n),
        "rmse_log": math.sqrt(math.fsum(e * e for e in logs) / n),
        "log10": math.fsum(abs(math.log10(p) - math.log10(g)) for p, g in pairs) / n,
        "silog": math.sqrt(math.fsum(e * e for e in logs) / n - (math.fsum(logs) / n) ** 2 / 2),
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_slow_definition(seed: int) -> None:
    prediction, truth = maps(seed)
    found = image_figures(prediction, truth, measure_of(min_depth=0.8, max_depth=9.5))
    expected = slow(prediction, truth, 0.8, 9.5)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert same(found[name], value), name


def test_silog_of_bts_is_the_deviation_of_the_logarithms_in_per_cent() -> None:
    prediction, truth = maps(1)
    counted = (truth > 0.001) & (truth < 10)
    e = np.log(prediction[counted].astype(float)) - np.log(truth[counted].astype(float))
    found = image_figures(prediction, truth, measure_of(convention="bts"))
    assert same(found["silog"], 100 * e.std())
    scaled = image_figures(prediction * np.float32(0.5), truth, measure_of(convention="bts"))
    assert same(scaled["silog"], found["silog"], 1e-6)


def test_equal_errors_everywhere_give_a_silog_of_nothing_but_rounding() -> None:
    truth, measure = np.full((7, 9), 3.3, np.float32), measure_of(convention="bts")
    factors = np.linspace(0.5, 2, 50, dtype=np.float32)
    # Of many the variance is below 0 by rounding: its root would be no number.
    found = [image_figures(truth * factor, truth, measure)["silog"] for factor in factors]
    assert 0 <= min(found) <= max(found) < 1e-5


def test_what_the_conventions_make_of_hostile_predictions() -> None:
    truth = np.full((1, 4), 2.0, np.float32)
    wild = np.array([[np.inf, -np.inf, np.nan, -1.0]], np.float32)
    mim = image_figures(wild, truth, measure_of())
    errors = np.array([8, 8, 2 - float(np.float32(1e-3)), 3])
    assert same(mim["rmse"], np.sqrt((errors**2).mean()))
    # A negative prediction counts as right, and has no logarithm.
    assert mim["d1"] == 0.25
    assert math.isnan(mim["rmse_log"])
    bts = image_figures(wild[:, [0, 1, 3]], truth[:, :3], measure_of(convention="bts"))
    errors = np.array([8, 2 - float(np.float32(1e-3)), 2 - float(np.float32(1e-3))])
    assert same(bts["rmse"], np.sqrt((errors**2).mean()))
    bts = image_figures(wild, truth, measure_of(convention="bts"))
    assert math.isnan(bts["rmse"])
    assert bts["d3"] == 0


def test_maps_of_another_size_are_refused_but_for_the_crop_that_bts_pastes() -> None:
    prediction, truth = stored("kitti_full", "full_1")
    with pytest.raises(DataError, match="352x1216, its truth 375x1242: predict at the truth's"):
        image_figures(prediction, truth, measure_of(max_depth=80))
    with pytest.raises(DataError, match="predict at the truth's size"):
        image_figures(prediction[1:], truth, measure_of(max_depth=80, convention="bts"))


def test_means_and_errors_are_those_over_images() -> None:
    rows, dataset = some(7)
    found = evaluate(rows[::-1], dataset)
    each = [image_figures(*maps(seed), dataset.recipe.measure) for seed in range(7)]
    assert found.primary == "RMSE"
    assert found.per_sample["sample"] == list(range(7))
    for key, name in NAMES.items():
        values = np.array([figures[key] for figures in each])
        metric = found.metrics[name]
        assert found.per_sample[name] == values.tolist()
        assert same(metric.value, values.mean())
        assert metric.error is not None
        assert same(metric.error, values.std(ddof=1) / np.sqrt(7))
        assert (metric.n, metric.better) == (7, "higher" if name in SHARES else "lower")


def test_pooled_figures_are_those_of_all_pixels_together() -> None:
    rows, dataset = some(4)
    # One image with few pixels, so that both averages differ.
    dataset.truths[0][3:] = 0
    rows[0] = dataset.row(0, maps(0)[0])
    predictions = np.concatenate([maps(seed)[0] for seed in range(4)])
    whole = image_figures(predictions, np.concatenate(dataset.truths), dataset.recipe.measure)
    metrics = evaluate(rows, dataset).metrics
    for key, name in (("rmse", "RMSE"), ("abs_rel", "AbsRel"), ("d1", "d1")):
        assert same(metrics[f"{name}_pixels"].value, whole[key])
        assert abs(metrics[name].value - whole[key]) > 1e-4
    pixels = [float((t > 0.001).sum() - (t >= 10).sum()) for t in dataset.truths]
    assert evaluate(rows, dataset).per_sample["pixels"] == pixels


def test_the_error_of_a_pooled_figure_is_that_of_resampled_images() -> None:
    rows, dataset = some(60)
    found = evaluate(rows, dataset)
    weights, squares = np.array(found.per_sample["pixels"]), np.array(found.per_sample["RMSE"]) ** 2
    drawn = np.random.default_rng(0).integers(60, size=(4000, 60))
    roots = np.sqrt((squares * weights)[drawn].sum(1) / weights[drawn].sum(1))
    # A bootstrap of 4000 draws knows a deviation to 1 %; it has n where the formula has n - 1.
    assert found.metrics["RMSE_pixels"].error == pytest.approx(roots.std(), rel=0.05)


def test_of_one_image_there_is_no_error() -> None:
    metrics = evaluate(*some(1)).metrics
    assert all(metric.error is None for metric in metrics.values())


def test_the_best_number_is_measured_beside_the_constant_map() -> None:
    rows, dataset = some(3)
    assert "RMSE_number" not in evaluate(rows, dataset).metrics
    numbered = [row | {"number": 4.5} for row in rows]
    metrics = evaluate(numbered, dataset).metrics
    everywhere = np.full(dataset.truths[0].shape, 4.5, np.float32)
    each = [image_figures(everywhere, truth, dataset.recipe.measure) for truth in dataset.truths]
    for key in ("rmse", "abs_rel"):
        assert same(metrics[f"{NAMES[key]}_number"].value, np.mean([f[key] for f in each]))


def test_a_perfect_prediction_is_perfect() -> None:
    truths = [np.maximum(maps(seed)[1], np.float32(0.5)) for seed in range(2)]
    dataset = Maps(truths, measure_of(max_depth=20))
    metrics = evaluate([dataset.row(k, t) for k, t in enumerate(truths)], dataset).metrics
    for name in NAMES.values():
        assert metrics[name].value == (1 if name in SHARES else 0)


@pytest.mark.parametrize("keep", ["float32", "uint16", "valid"])
@pytest.mark.parametrize("convention", ["mim_depth", "bts"])
def test_rows_read_back_give_the_same_figures(keep: str, convention: str, tmp_path: Path) -> None:
    rows, dataset = some(5, keep, convention=convention)
    write_rows(rows, tmp_path / "rows.parquet")
    assert evaluate(read_rows(tmp_path / "rows.parquet"), dataset) == evaluate(rows, dataset)


def test_what_is_kept_changes_the_figures_by_its_rounding_alone() -> None:
    exact, kept = evaluate(*some(5)), evaluate(*some(5, "valid"))
    assert kept == exact
    rounded = evaluate(*some(5, "uint16"))
    for key in NAMES.values():
        assert rounded.metrics[key].value == pytest.approx(exact.metrics[key].value, abs=5e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], r"1 of 3 samples have no prediction: \[0\]"),
        (lambda rows: [*rows, rows[0]], "1 of 4 predictions are doubled"),
        (lambda rows: [*rows, rows[0] | {"sample": 9}], "1 predictions are of samples that do not"),
        (
            lambda rows: [*rows[:2], rows[2] | {"depth": rows[2]["depth"][:-9]}],
            "the prediction for sample 2: it is damaged",
        ),
        (
            lambda rows: [*rows[:2], rows[2] | {"depth": b"nothing"}],
            "the prediction for sample 2: it is no stored depth map",
        ),
        (
            lambda rows: [{"sample": row["sample"]} for row in rows],
            "the prediction for sample 0: it is no stored depth map",
        ),
        (
            lambda rows: [rows[0] | {"number": 2.0}, *rows[1:]],
            "1 of 3 predictions have a single number beside the map",
        ),
    ],
)
def test_broken_rows_are_refused(change: Any, message: str) -> None:
    rows, dataset = some(3)
    with pytest.raises(DataError, match=message):
        evaluate(change(rows), dataset)


def test_a_prediction_of_another_size_is_refused_with_its_sample() -> None:
    rows, dataset = some(3)
    rows[1] = Maps([np.ones((8, 8), np.float32)] * 2, measure_of()).row(1, np.ones((8, 8), "f4"))
    with pytest.raises(DataError, match="for sample 1: the predicted map is 8x8, its truth 24x32"):
        evaluate(rows, dataset)


def test_images_without_a_pixel_that_counts_are_refused_with_their_number() -> None:
    rows, dataset = some(4)
    for sample in (1, 3):
        dataset.truths[sample][:] = 0
    with pytest.raises(DataError, match=r"2 of 4 samples have no pixel .*, as 1 \(`room/1.png`\);"):
        evaluate(rows, dataset)


def test_a_figure_that_is_no_number_is_refused_with_its_sample() -> None:
    rows, dataset = some(3)
    dark = maps(2)[0].copy()
    dark[dataset.truths[2] > 1] = 0
    rows[2] = dataset.row(2, dark)
    with pytest.raises(DataError, match=r"RMSElog is no number for 1 of 3 .*, as 2 \(`room/2"):
        evaluate(rows, dataset)
    # BTS clamps, and so has a figure.
    dataset.recipe.measure = measure_of(convention="bts")
    assert np.isfinite(evaluate(rows, dataset).metrics["RMSElog"].value)


def test_the_tables_of_the_docs_are_what_the_fixtures_give() -> None:
    part = DOCS.read_text().split("## What mixing does")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    compared = 0
    for crop, bounds, convention, *rest in lines:
        low, high = map(float, bounds.removesuffix(" m").split("-"))
        of_room = len(rest) == 7
        alignment = rest.pop(0) if of_room else "none"
        image = "nyu/plain_2" if of_room else "kitti/plain_1"
        if " of " in crop:
            image = "kitti_full/full_1"
        measure = measure_of(
            crop=crop.split("`")[1],
            min_depth=low,
            max_depth=high,
            convention=convention.strip("`"),
            alignment=alignment,
        )
        prediction, truth = stored(*image.split("/"))
        if "of 352x1216" in crop:
            truth = truth[benchmark(truth.shape)]
        found = image_figures(prediction, truth, measure)
        keys = ["rmse", "abs_rel", "log10", "silog", "d1"]
        keys = keys if of_room else [key for key in keys if key != "log10"]
        count = int(mask(truth, measure).sum())
        assert rest == [f"{count:,}", *(f"{found[key]:.4f}" for key in keys)], (crop, convention)
        compared += 1
    assert compared == 14
