"""What a person reads: plain progress lines, results, silence of other ranks."""

from __future__ import annotations

import io

import pytest

from harness.console import Console, is_main_process, measured
from harness.pace import duration
from tasks.contract import Metric


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(clock: Clock) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(stream, quiet=False, clock=clock), stream


def steps(seconds_each: float, count: int, total: int | None = None, done: int = 0) -> list[str]:
    clock = Clock()
    shown, stream = console(clock)
    with shown.phase("training", total or count, done=done) as advance:
        for _ in range(count):
            clock.now += seconds_each
            advance(1, loss=0.25)
    return stream.getvalue().splitlines()


def test_a_short_phase_leaves_no_trace() -> None:
    assert steps(0.01, 100) == []


def test_plain_lines_come_at_most_every_interval_and_the_end_is_told() -> None:
    lines = steps(0.5, 60)
    # 30 s: the first line after 2 s, then one each 5 s, and the summary.
    assert len(lines) == 7
    assert lines[0] == "training: 4/60 steps, 2 steps/s, 28 s left, loss 0.25"
    assert lines[-1] == "training: 60/60 steps in 30 s (2 steps/s)"


def test_steps_of_an_earlier_process_do_not_count_towards_the_rate() -> None:
    lines = steps(1.0, 10, total=100, done=90)
    assert lines[0].startswith("training: 92/100 steps, 1 steps/s, 8 s left")
    assert lines[-1] == "training: 100/100 steps in 10 s (1 steps/s)"


def test_a_phase_of_unknown_length_shows_no_time_left() -> None:
    clock = Clock()
    shown, stream = console(clock)
    with shown.phase("prepare", None, "samples") as advance:
        clock.now += 4
        advance(8)
    assert stream.getvalue().splitlines()[0] == "prepare: 8 samples, 2 samples/s"


def test_a_phase_that_fails_says_where_it_stopped() -> None:
    clock = Clock()
    shown, stream = console(clock)
    with pytest.raises(RuntimeError), shown.phase("training", 10) as advance:
        clock.now += 3
        advance(3)
        raise RuntimeError
    last = stream.getvalue().splitlines()[-1]
    assert last == "training: stopped at 3/10 steps in 3 s (1 steps/s)"


def test_a_bar_is_drawn_on_a_terminal_and_lines_are_not() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock, stream = Clock(), Terminal()
    shown = Console(stream, quiet=False, clock=clock)
    with shown.phase("training", 40) as advance:
        for _ in range(40):
            clock.now += 0.5
            advance(1)
            shown.note("beside the bar") if advance and clock.now == 110 else None
    text = stream.getvalue()
    assert "\x1b[" in text
    assert "beside the bar" in text
    assert text.rstrip().endswith("training: 40/40 steps in 20 s (2 steps/s)")


def test_results_show_direction_error_and_the_primary_metric_first() -> None:
    shown, stream = console(Clock())
    metrics = {"loss": Metric(0.5, None, 7, "lower"), "AP": Metric(0.25, 0.0125, 7)}
    shown.result("AP", metrics, [("record", "runs/x")])
    lines = stream.getvalue().splitlines()
    assert lines[1].split() == ["AP", "*", "0.2500", "±", "0.0125", "↑", "n=7"]
    assert lines[2].split() == ["loss", "0.5000", "↓", "n=7"]
    assert lines[3].split() == ["record", "runs/x"]


@pytest.mark.parametrize(
    ("value", "words"),
    [(-1.0, "not defined  n=0"), (float("nan"), "not defined  n=0"), (0.0, "0.0000 ↓  n=0")],
)
def test_nothing_counted_may_be_a_result(value: float, words: str) -> None:
    """Such as no error of a kind, which costs nothing."""
    assert measured(Metric(value, None, 0, "lower")) == words


def test_results_go_where_they_were_asked_for() -> None:
    progress, results = io.StringIO(), io.StringIO()
    shown = Console(progress, results=results, quiet=False)
    shown.header("title", [("name", "one\ntwo")])
    shown.repeat("harness run")
    assert results.getvalue() == "repeat with: harness run\n"
    assert progress.getvalue() == "title\n  name  one\n        two\n"


def test_a_stream_without_the_signs_gets_words() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream, quiet=False).result("AP", {"AP": Metric(0.5, 0.1, 3)})
    assert b"0.5000 +- 0.1000 (higher is better)" in raw.getvalue()


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_other_ranks_are_silent(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    assert not is_main_process()
    stream = io.StringIO()
    shown = Console(stream)
    shown.note("x")
    shown.show("x")
    shown.result("AP", {"AP": Metric(0.5, None, 1)})
    with shown.phase("training", 1) as advance:
        advance()
    assert stream.getvalue() == ""


def test_the_first_rank_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert is_main_process()
    # A second process that was started from a shell under SLURM.
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_main_process()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
