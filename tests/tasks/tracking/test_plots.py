"""Success and precision plots of several runs."""

import numpy as np
import pytest

from tasks.contract import DataError, Row
from tasks.tracking.plots import COLOURS, curves, plots
from tests.tasks.tracking.following import Followable, prediction, sequence


def runs(*lags: float) -> tuple[list[list[Row]], Followable]:
    data = Followable([sequence("a"), sequence("b", 20)], convention="otb")
    return [[prediction(k, s, lag) for k, s in enumerate(data.sequences)] for lag in lags], data


def test_the_legend_has_the_best_first_with_its_figure(texts: list[str]) -> None:
    (good, poor, middle), data = runs(0.1, 3.0, 1.0)
    found = plots({"poor": [poor], "good": [good], "middle": [middle]}, data)
    assert {"success", "precision"} <= set(found)
    legend = [line.partition(" [")[0] for line in texts if " [0." in line or " [1." in line]
    assert legend[:3] == ["good", "middle", "poor"]
    assert len(legend) == 3 * len(found)
    assert any("n=2 sequences" in line for line in texts)


def test_several_runs_of_a_name_are_one_line_their_mean(texts: list[str]) -> None:
    (good, poor), data = runs(0.1, 2.0)
    plots({"one": [good], "two": [poor]}, data)
    one, two = _score(texts, "one"), _score(texts, "two")
    texts.clear()
    plots({"both": [good, poor]}, data)
    assert _score(texts, "both") == pytest.approx((one + two) / 2, abs=0.0011)
    assert any("faint: single runs" in line for line in texts)


def _score(texts: list[str], name: str) -> float:
    return next(float(line.split("[")[1][:5]) for line in texts if line.startswith(f"{name} ["))


def test_lines_are_in_the_palette_in_the_order_of_the_legend() -> None:
    (good, poor), data = runs(0.1, 3.0)
    pixels = np.asarray(plots({"poor": [poor], "good": [good]}, data)["success"])
    first, second = (
        (pixels == [int(colour[k : k + 2], 16) for k in (1, 3, 5)]).all(2) for colour in COLOURS[:2]
    )
    assert first.any() and second.any()
    body = slice(0, round(pixels.shape[0] * 0.75))
    # The better one's curve lies above.
    assert np.nonzero(first[body])[0].mean() < np.nonzero(second[body])[0].mean()


def test_curves_are_those_of_the_convention() -> None:
    one = sequence("a", 11, absent=np.arange(11) == 10)
    rows, data = [prediction(0, one, lag=2.0)], Followable([one], convention="got10k")
    # Nine frames, 2, 4 ... 18 pixels behind a box 20 wide; the first and the absent do not count.
    lag = 2.0 * np.arange(1, 10)
    overlap = (20 - lag) / (20 + lag)
    found = curves(rows, data)
    assert list(found) == ["success"], "GOT-10k has no precision"
    success = found["success"]
    assert len(success.thresholds) == 101
    for threshold, value in zip(success.thresholds, success.values, strict=True):
        assert value == pytest.approx(sum(overlap > threshold) / 9)
    assert success.scored == "AO" and success.score == pytest.approx(overlap.mean())
    whole = sequence("a", 11)
    found = curves([prediction(0, whole, lag=2.0)], Followable([whole], convention="otb"))
    precision = found["precision"]
    lag = 2.0 * np.arange(11)
    for threshold, value in zip(precision.thresholds, precision.values, strict=True):
        assert value == pytest.approx(sum(lag <= threshold) / 11)
    assert precision.scored == "P" and precision.score == 1


def test_nothing_is_plotted_without_truth() -> None:
    one = sequence("a", labelled=False)
    with pytest.raises(DataError, match="harness export submission"):
        plots({"a": [[prediction(0, one)]]}, Followable([one]))
