"""Rows to an evaluation: what is refused, sampling errors, attributes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.contract import DataError, Evaluation, Row
from tasks.tracking.metrics import evaluate
from tasks.tracking.recipe import Convention, MeasureRecipe, TrackingData
from tasks.tracking.rows import row
from tasks.tracking.scoring.conventions import PRIMARY
from tasks.tracking.sequences import Frames, Sequence

Floats = NDArray[np.float64]
CONVENTIONS: list[Convention] = ["got10k", "otb", "lasot", "pytracking", "trackingnet"]
SIZE = (90, 160)


class Still(Frames):
    """Black frames."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read(self, frame: int) -> NDArray[np.uint8]:
        return np.zeros((*SIZE, 3), np.uint8)

    def name(self, frame: int) -> str:
        return str(frame)


def sequence(name: str, truth: Any, **more: Any) -> Sequence:
    truth = np.array(truth, np.float64).reshape(-1, 4)
    return Sequence(name, Still(len(truth)), truth, **more)


def data(sequences: list[Sequence], convention: str = "got10k", name: str = "folder") -> Any:
    measure = MeasureRecipe.model_validate({"convention": convention})
    recipe = SimpleNamespace(
        measure=measure, data=TrackingData.model_validate({"name": name, "root": "."})
    )
    return SimpleNamespace(sequences=sequences, recipe=recipe)


def rows_of(sequences: list[Sequence], boxes: list[Floats]) -> list[Row]:
    return [
        row(k, s.name, b, np.full(len(b), 0.5), b)
        for k, (s, b) in enumerate(zip(sequences, boxes, strict=True))
    ]


def example(count: int = 8, seed: int = 0) -> tuple[list[Sequence], list[Row]]:
    rng = np.random.default_rng(seed)
    sequences, boxes = [], []
    for number in range(count):
        length = int(rng.integers(10, 40))
        truth = np.cumsum(rng.normal(0, 1, (length, 4)), 0) + np.array([60, 40, 25, 20])
        truth[:, 2:] = np.maximum(truth[:, 2:], 4)
        kinds: tuple[str, ...] = ("fast motion",) if number % 3 == 0 else ()
        kinds += ("occlusion",) if number % 2 else ()
        sequences.append(sequence(f"s{number}", truth, attributes=kinds))
        found = truth + np.cumsum(rng.normal(0, 0.8, (length, 4)), 0)
        boxes.append(np.maximum(found, [-100, -100, 1, 1]))
    return sequences, rows_of(sequences, boxes)


def values(evaluation: Evaluation) -> dict[str, float]:
    return {name: metric.value for name, metric in evaluation.metrics.items()}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_an_evaluation(convention: Convention) -> None:
    sequences, rows = example()
    found = evaluate(rows, data(sequences, convention))
    assert found.primary == PRIMARY[convention] == next(iter(found.metrics))
    assert {"losses", "frames to loss"} < set(found.metrics)
    assert found.metrics["losses"].better == "lower"
    assert found.per_sample["sample"] == list(range(8))
    plain = [name for name in found.metrics if "/" not in name]
    assert list(found.per_sample) == ["sample", *plain]
    for metric in found.metrics.values():
        assert np.isfinite(metric.value) and metric.error is not None and np.isfinite(metric.error)
    # Frames are pooled, or the figure is the mean over sequences.
    mean = np.mean(found.per_sample[found.primary])
    value = found.metrics[found.primary].value
    if convention == "got10k":
        assert found.resampled is not None and len(found.resampled) == 200
        assert abs(mean - value) > 1e-4
        spread = np.std(found.resampled, ddof=1)
        assert found.metrics["AO"].error == pytest.approx(spread)
    else:
        assert found.resampled is None and value == pytest.approx(mean)
    again = evaluate(rows[::-1], data(sequences, convention))
    assert values(again) == values(found)


def test_sampling_errors_are_those_of_means_and_of_pooled_frames() -> None:
    """The bootstrap of a mean over sequences is its standard error, and that of pooled frames the
    error of a quotient of two means; 200 draws know it to within 1/sqrt(400) = 5 %."""
    sequences, rows = example(count=60)
    found = evaluate(rows, data(sequences, "otb"))
    scores = np.array(found.per_sample["AUC"])
    expected = scores.std(ddof=1) / np.sqrt(60)
    assert found.metrics["AUC"].error == pytest.approx(expected, rel=0.15)
    found = evaluate(rows, data(sequences))
    frames = np.array([len(s) - 1 for s in sequences])
    rest = (np.array(found.per_sample["AO"]) - found.metrics["AO"].value) * frames
    expected = np.sqrt(60 / 59 * (rest @ rest)) / frames.sum()
    assert found.metrics["AO"].error == pytest.approx(expected, rel=0.15)


def test_figures_by_attribute() -> None:
    sequences, rows = example()
    for convention in CONVENTIONS:
        found = evaluate(rows, data(sequences, convention))
        for attribute in ("fast motion", "occlusion"):
            mine = [k for k, s in enumerate(sequences) if attribute in s.attributes]
            part = [sequences[k] for k in mine]
            again = [rows[k] | {"sample": place} for place, k in enumerate(mine)]
            alone = values(evaluate(again, data(part, convention)))
            primary = f"{found.primary}/{attribute}"
            assert found.metrics[primary].n == len(mine)
            for name, metric in found.metrics.items():
                if name.endswith(f"/{attribute}"):
                    assert metric.value == pytest.approx(alone[name.partition("/")[0]])


def test_one_sequence_has_no_error() -> None:
    sequences, rows = example(1)
    found = evaluate(rows, data(sequences))
    assert all(metric.error is None and metric.n == 1 for metric in found.metrics.values())


def test_a_sequence_that_never_counts_has_no_score_and_adds_nothing() -> None:
    sequences, rows = example(3)
    hidden = sequence("hidden", sequences[0].boxes, cover=np.zeros(len(sequences[0]), int))
    single = sequence("single", [1, 2, 3, 4])
    more = rows_of([hidden, single], [hidden.boxes, single.boxes])
    more = [each | {"sample": 3 + k} for k, each in enumerate(more)]
    found = evaluate([*rows, *more], data([*sequences, hidden, single]))
    before = evaluate(rows, data(sequences))
    assert found.metrics["AO"].value == before.metrics["AO"].value
    assert found.metrics["AO"].n == 3
    assert np.isnan(found.per_sample["AO"][3:]).all()


def test_one_frame_is_scored_where_it_counts() -> None:
    single = sequence("single", [10, 20, 30, 40])
    rows = rows_of([single], [single.boxes])
    assert evaluate(rows, data([single], "otb")).metrics["AUC"].value == pytest.approx(20 / 21)
    assert evaluate(rows, data([single], "trackingnet")).metrics["success"].value == 100
    with pytest.raises(DataError, match="AO is no number: no frame of 1 sequences counts"):
        evaluate(rows, data([single]))


def test_rows_that_do_not_fit_are_refused() -> None:
    sequences, rows = example(3)
    given = data(sequences)
    for wrong, words in (
        (rows[:2], "1 of 3 samples have no prediction"),
        ([*rows, rows[0]], "doubled"),
        ([*rows, rows[0] | {"sample": 3}], "samples that do not exist"),
        ([rows[0] | {"sequence": "other"}, *rows[1:]], "sample 0 is of the sequence `other`.*`s0`"),
        ([rows[0] | {"boxes": [1.0, 2.0]}, *rows[1:]], r"sample 0 \(`s0`\) is no list of boxes"),
        ([rows[0] | {"boxes": []}, *rows[1:]], r"sample 0 \(`s0`\) has no boxes"),
        ([], "no prediction"),
    ):
        with pytest.raises(DataError, match=words):
            evaluate(wrong, given)
    with pytest.raises(DataError, match="there are no sequences"):
        evaluate([], data([]))


def test_lengths_are_the_conventions_matter() -> None:
    sequences, rows = example(3)
    length = len(sequences[1])
    for boxes in (rows[1]["boxes"][:-8], rows[1]["boxes"] + [1.0] * 8):
        changed = [rows[0], rows[1] | {"boxes": boxes}, rows[2]]
        for convention in ("otb", "lasot", "pytracking", "trackingnet"):
            evaluate(changed, data(sequences, convention))
        words = f"sequence `s1`: {len(boxes) // 4} boxes for {length} frames"
        with pytest.raises(DataError, match=words):
            evaluate(changed, data(sequences))


def test_servers_test_sets_cannot_be_measured_here() -> None:
    sequences, rows = example(2)
    hidden = Sequence("s1", sequences[1].frames, sequences[1].boxes, labelled=False)
    with pytest.raises(DataError, match=r"1 of 2 .* as `s1`.*`harness export submission`"):
        evaluate(rows, data([sequences[0], hidden]))


def test_figures_that_are_no_numbers_are_refused_by_name() -> None:
    sequences, rows = example(3)
    boxes = list(rows[1]["boxes"])
    boxes[4 * 5] = float("nan")
    broken = [rows[0], rows[1] | {"boxes": boxes}, rows[2]]
    with pytest.raises(DataError, match=r"AO is no number for 1 of 3.*`s1`, frame 6: the pred"):
        evaluate(broken, data(sequences))
    truth = sequences[2].boxes.copy()
    truth[4] = np.nan
    known = [*sequences[:2], sequence("s2", truth, cover=np.full(len(truth), 8))]
    with pytest.raises(DataError, match="`s2`, frame 5: the true box has a NaN"):
        evaluate(rows, data(known))
    nothing = [*sequences[:2], sequence("s2", np.full_like(truth, np.nan))]
    with pytest.raises(DataError, match="no frame of sequence `s2` counts"):
        evaluate(rows, data(nothing, "lasot"))


def test_the_data_set_decides_how_pytracking_sees_invalid_frames() -> None:
    """On UAV123 an error of -1 passes, elsewhere the centre error of an invalid frame is infinite;
    on LaSOT its normalised error is, too."""
    truth = np.tile([[10.0, 10, 5, 5]], (10, 1))
    truth[5:, 2:] = 0
    seen = np.arange(10) < 5
    given = [sequence("a", truth, visible=seen)]
    rows = rows_of(given, [truth + np.array([100, 0, 1, 1])])
    found = {
        name: values(evaluate(rows, data(given, "pytracking", name)))
        for name in ("otb100", "uav123", "lasot")
    }
    # Of ten frames one is given, four are wrong and five are invalid.
    assert [found[name]["P"] for name in found] == pytest.approx([10, 60, 10])
    assert [found[name]["NP"] for name in found] == pytest.approx([60, 60, 10])
