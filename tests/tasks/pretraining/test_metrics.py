"""Figures are a pure function of complete rows."""

import numpy as np
import pytest

from tasks.contract import DataError, Row
from tasks.pretraining import metrics


def rows(count: int) -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        {"sample": k, "l1": x, "visible_mean": 2 * x, "interpolation": x + y, "picture": []}
        for k, (x, y) in enumerate(rng.uniform(0.2, 1.0, (count, 2)).tolist())
    ]


def test_ratios_are_of_means_with_paired_errors() -> None:
    given = rows(400)
    found = metrics.evaluate(given[::-1], 400)
    assert found == metrics.evaluate(given, 400)
    l1 = np.array([row["l1"] for row in given])
    assert found.metrics["masked L1"].value == pytest.approx(l1.mean(), rel=1e-12)
    constant = found.metrics["masked L1 / visible_mean"]
    assert constant.value == pytest.approx(0.5, rel=1e-12)
    # The two move together exactly, so nothing of the samples' spread is left.
    assert constant.error == pytest.approx(0, abs=1e-12)
    filler = np.array([row["interpolation"] for row in given])
    resampled = np.random.default_rng(1).integers(0, 400, (4000, 400))
    bootstrap = (l1[resampled].mean(axis=1) / filler[resampled].mean(axis=1)).std()
    # A bootstrap of 4000 knows its own deviation to 1.1 %.
    assert found.metrics["masked L1 / interpolation"].error == pytest.approx(bootstrap, rel=0.05)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda r: r[:-1], "1 of 5 samples have no prediction"),
        (lambda r: [*r, r[0]], "1 of 6 predictions are doubled"),
        (lambda r: [*r, r[0] | {"sample": 9}], "1 predictions are of samples that do not exist"),
    ],
)
def test_incomplete_rows_are_refused(spoilt, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=message):
        metrics.evaluate(spoilt(rows(5)), 5)
