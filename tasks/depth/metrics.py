"""Depth maps to figures, as the published evaluators compute them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.contract import DataError, Evaluation, Metric, Row
from tasks.depth import storage
from tasks.depth.alignment import align
from tasks.depth.protocol import BENCHMARK, benchmark, mask, name
from tasks.rows import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.recipe import MeasureRecipe

    Floats = NDArray[np.float64]
    Map = NDArray[np.float32]
    Mask = NDArray[np.bool_]

PRIMARY = "RMSE"
EVALUATORS = {
    "mim_depth": "tasks.depth 1, after MIM-Depth-Estimation's utils/metrics.py in float64",
    "bts": "tasks.depth 1, after BTS's utils/eval_with_pngs.py in float64",
}
NAMES = {
    "rmse": "RMSE",
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel",
    "rmse_log": "RMSElog",
    "log10": "log10",
    "silog": "SILog",
    "d1": "d1",
    "d2": "d2",
    "d3": "d3",
}
"""Figure of an image -> metric."""

_HIGHER = frozenset(("d1", "d2", "d3"))
_SILOG = {"mim_depth": (0.5, 1.0), "bts": (1.0, 100.0)}
"""Share of the squared mean that is taken off, and factor."""


def image_figures(prediction: Map, truth: Map, measure: MeasureRecipe) -> dict[str, float]:
    """`d1 d2 d3 abs_rel sq_rel rmse rmse_log log10 silog` of one image; see `figures` and `pixels`.

    Args:
        prediction: (h,w) metres; under the convention `bts` also the benchmark crop alone.
        truth: (h,w) metres; 0 where there is none.
        measure: protocol and convention.

    Raises:
        DataError: maps of different size, or as `mask` and `align`.
    """
    counted = mask(truth, measure)
    return figures(*pixels(prediction, truth, counted, measure), measure)


def pixels(
    prediction: Map, truth: Map, counted: Mask, measure: MeasureRecipe
) -> tuple[Floats, Floats]:
    """Prediction and truth (n,) of the pixels that count.

    What the convention makes of predictions, in float32:
        mim_depth: both infinities become `max_depth`, NaN `min_depth`; 0, negative and too large
            ones stay.
        bts: all but NaN are brought into the range. A map of 352x1216 is pasted into zeros of the
            truth's size, so that truth outside of it meets a prediction of 0.

    Raises:
        DataError: maps of different size, or as `align`.
    """
    pasted = measure.convention == "bts" and prediction.shape == BENCHMARK != truth.shape
    if prediction.shape != truth.shape and not (pasted and measure.alignment == "none"):
        raise DataError(
            f"the predicted map is {_size(prediction)}, its truth {_size(truth)}: predict at the "
            "truth's size"
        )
    if counted.any():
        prediction = align(prediction, truth, counted, measure.alignment, measure.max_depth)
    low, high = np.float32(measure.min_depth), np.float32(measure.max_depth)
    if measure.convention == "bts":
        found = np.clip(prediction, low, high)
    else:
        found = np.nan_to_num(prediction, nan=float(low), posinf=float(high), neginf=float(high))
    if pasted:
        whole = np.zeros(truth.shape, np.float32)
        whole[benchmark(truth.shape)] = found
        found = whole
    return found[counted].astype(np.float64), truth[counted].astype(np.float64)


def figures(p: Floats, g: Floats, measure: MeasureRecipe) -> dict[str, float]:
    """The nine figures of predicted and true depths (n,) in metres; NaN of none.

    With e = ln p - ln g: d_k the share of max(p/g, g/p) < 1.25^k (a negative prediction counts as
    right); abs_rel mean |p-g|/g; sq_rel mean (p-g)^2/g; rmse root of mean (p-g)^2; rmse_log root of
    mean e^2; log10 mean |log10 p/g|; silog the root of mean e^2 - mean(e)^2 / 2, under `bts` 100
    times that of mean e^2 - mean(e)^2, where less than 0 is rounding and taken for 0 (Eigen et al.
    2014; the published code that `EVALUATORS` names).
    """
    if not len(g):
        return dict.fromkeys(NAMES, float("nan"))
    share, factor = _SILOG[measure.convention]
    with np.errstate(all="ignore"):
        quotient = p / g
        worse = np.maximum(quotient, g / p)
        error = np.abs(p - g)
        square = error * error
        e = np.log(quotient)
        spread = (e * e).mean()
        found = {
            "rmse": np.sqrt(square.mean()),
            "abs_rel": (error / g).mean(),
            "sq_rel": (square / g).mean(),
            "rmse_log": np.sqrt(spread),
            "log10": np.abs(e).mean() / np.log(10),
            "silog": factor * np.sqrt(np.maximum(spread - share * e.mean() ** 2, 0)),
        }
        found |= {f"d{k}": np.count_nonzero(worse < 1.25**k) / len(g) for k in (1, 2, 3)}
    return {key: float(value) for key, value in found.items()}


def evaluate(rows: list[Row], dataset: Any) -> Evaluation:
    """Score predicted maps, one row a sample: `sample`, `depth` as `storage.pack` made it, and
    `number`, the best single depth for all images (NaN but for the constant control).

    The published averaging: figures of each image, then their plain mean with the standard error
    over images. `RMSE_pixels`, `AbsRel_pixels`, `d1_pixels` are of all images' pixels together, so
    that an image weighs as much as it has pixels that count. `RMSE_number`, `AbsRel_number`: what
    the single number gets. `per_sample` holds the nine figures and `pixels`, how many count.

    Args:
        rows: in any order.
        dataset: has `truth(i)` (h,w) float32 metres, `name(i)` and `recipe.measure`.

    Raises:
        DataError: rows that are missing, doubled, broken or of samples that the data set lacks;
            images without a pixel that counts; figures that are no numbers, whose mean would be
            none either.
    """
    measure: MeasureRecipe = dataset.recipe.measure
    found: dict[str, list[float]] = {key: [] for key in (*NAMES, "pixels")}
    numbers: dict[str, list[float]] = {key: [] for key in ("rmse", "abs_rel")}
    for row in in_order(rows, len(dataset)):
        truth = dataset.truth(row["sample"])
        counted = mask(truth, measure)
        p, g = opened(row, truth, counted, measure)
        for key, value in figures(p, g, measure).items():
            found[key].append(value)
        found["pixels"].append(float(len(g)))
        number = float(row.get("number", np.nan))
        if not np.isnan(number):
            everywhere = np.full(truth.shape, number, np.float32)
            single = figures(*pixels(everywhere, truth, counted, measure), measure)
            for key in numbers:
                numbers[key].append(single[key])
    columns = {key: np.array(values) for key, values in found.items()}
    _refuse(columns, dataset)
    if 0 < len(numbers["rmse"]) < len(rows):
        raise DataError(
            f"{len(numbers['rmse'])} of {len(rows)} predictions have a single number beside the "
            "map: all or none must have one"
        )
    metrics = {NAMES[key]: _mean(columns[key], _better(key)) for key in NAMES}
    metrics |= _pooled(columns)
    if numbers["rmse"]:
        metrics |= {f"{NAMES[k]}_number": _mean(np.array(numbers[k]), "lower") for k in numbers}
    per_sample = {"sample": [float(k) for k in range(len(rows))]}
    per_sample |= {NAMES.get(key, key): values.tolist() for key, values in columns.items()}
    return Evaluation(PRIMARY, metrics, per_sample, EVALUATORS[measure.convention])


def opened(row: Row, truth: Map, counted: Mask, measure: MeasureRecipe) -> tuple[Floats, Floats]:
    """Prediction and truth (n,) of a row's pixels that count.

    Raises:
        DataError: naming the sample whose row is broken or of another size.
    """
    with naming(row):
        return pixels(storage.unpack(row.get("depth"), valid=counted), truth, counted, measure)


@contextmanager
def naming(row: Row) -> Iterator[None]:
    """Let what is wrong with a row name its sample."""
    try:
        yield
    except DataError as error:
        raise DataError(f"the prediction for sample {row['sample']}: {error}") from None


def _refuse(columns: dict[str, Floats], dataset: Any) -> None:
    count, measure = len(dataset), dataset.recipe.measure
    empty = np.flatnonzero(columns["pixels"] == 0)
    if len(empty):
        raise DataError(
            f"{len(empty)} of {count} samples have no pixel that counts ({name(measure)}), as "
            f"{_first(empty, dataset)}; leave them out of the list of images, or set another "
            "`measure`"
        )
    for key in NAMES:
        wrong = np.flatnonzero(~np.isfinite(columns[key]))
        if len(wrong):
            raise DataError(
                f"{NAMES[key]} is no number for {len(wrong)} of {count} samples, as "
                f"{_first(wrong, dataset)}: a depth that is NaN, 0 or negative was predicted, and "
                f"the convention `{measure.convention}` leaves it so"
            )


def _first(samples: NDArray[np.intp], dataset: Any) -> str:
    return f"{int(samples[0])} (`{dataset.name(int(samples[0]))}`)"


def _pooled(columns: dict[str, Floats]) -> dict[str, Metric]:
    weights = columns["pixels"]
    square = _ratio(columns["rmse"] ** 2, weights)
    root = float(np.sqrt(square.value))
    # The error of a root, to first order.
    error = square.error / (2 * root) if square.error is not None and root else square.error
    return {
        "RMSE_pixels": Metric(root, error, square.n, "lower"),
        "AbsRel_pixels": _ratio(columns["abs_rel"], weights),
        "d1_pixels": _ratio(columns["d1"], weights, "higher"),
    }


def _ratio(scores: Floats, weights: Floats, better: Literal["higher", "lower"] = "lower") -> Metric:
    """The weighted mean with its standard error as a quotient of two means over images."""
    count, total = len(scores), weights.sum()
    value = float(scores @ weights / total)
    rest = (scores - value) * weights
    error = float(np.sqrt(count / (count - 1) * (rest @ rest)) / total) if count > 1 else None
    return Metric(value, error, count, better)


def _mean(scores: Floats, better: Literal["higher", "lower"]) -> Metric:
    count = len(scores)
    error = float(scores.std(ddof=1) / np.sqrt(count)) if count > 1 else None
    return Metric(float(scores.mean()), error, count, better)


def _better(key: str) -> Literal["higher", "lower"]:
    return "higher" if key in _HIGHER else "lower"


def _size(array: Map) -> str:
    return "x".join(map(str, array.shape))
