"""A cell run whole, killed and continued, by more workers, by two processes: the same numbers."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.console import Console
from harness.engine import execute as execution
from harness.engine import state
from harness.engine.plan import _folder
from harness.engine.run import run
from harness.errors import Interrupted, RunFailed, UserError
from results import Record, ResultsError, Table
from tasks.contract import Loss
from tests.harness.engine import toy

QUIET = Console(quiet=True)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums of several threads have an order of their own: bits are compared at one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return run(toy.options(tmp_path_factory.mktemp("undisturbed")), QUIET)


def numbers(record: Record) -> dict[str, Any]:
    return {name: metric.value for name, metric in record.metrics.items()} | dict(record.files)


def started(
    output: Path, *sets: str, devices: int = 1, pause: float = 0.0
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.harness.engine.toy",
            str(output),
            str(devices),
            str(pause),
            *sets,
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def folder_of(output: Path) -> Path:
    (record,) = output.glob("toy/toy/*/record.json")
    return record.parent


def test_a_finished_cell_says_all_of_it(undisturbed: Record) -> None:
    assert undisturbed.status == "finished"
    assert undisturbed.resumed_from_step is None
    assert undisturbed.step == 30
    assert undisturbed.cost["steps_executed"] == 30
    assert undisturbed.encoder_at_step0 is not None
    assert undisturbed.encoder_at_step0["equals_file"] is True
    assert undisturbed.metrics["error"].n == 11


def test_training_beats_the_constant(undisturbed: Record, tmp_path: Path) -> None:
    constant = run(toy.options(tmp_path, control="constant"), QUIET)
    assert undisturbed.metrics["error"].value < 0.7 * constant.metrics["error"].value


def test_a_finished_cell_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(toy.options(tmp_path), QUIET)
    monkeypatch.setattr("harness.engine.run.execute", lambda *_: pytest.fail("run again"))
    assert run(toy.options(tmp_path), QUIET) == first


@pytest.mark.parametrize("change", [{"seed": 1}, {"control": "untrained"}, {"max_steps": 5}])
def test_what_determines_the_number_makes_another_cell(
    undisturbed: Record, tmp_path: Path, change: dict[str, Any]
) -> None:
    other = run(replace(toy.options(tmp_path), **change), QUIET)
    assert other.cell != undisturbed.cell
    assert numbers(other) != numbers(undisturbed)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_state_interval_change_nothing(
    undisturbed: Record, tmp_path: Path, workers: int
) -> None:
    other = run(toy.options(tmp_path, "train.state_every=5", workers=workers), QUIET)
    assert other.cell == undisturbed.cell
    assert numbers(other) == numbers(undisturbed)


def test_epochs_without_their_last_batch(tmp_path: Path) -> None:
    """37 samples in batches of 6: 5 epochs are 30.8 steps, and 30 where the last is left out."""
    epochs = ("train.steps=null", "train.epochs=5")
    dropping = (*epochs, "train.drop_last=true")
    kept, dropped = (run(toy.options(tmp_path, *sets), QUIET) for sets in (epochs, dropping))
    assert (kept.step, dropped.step) == (31, 30)
    assert kept.cell != dropped.cell
    assert "drop_last" not in kept.identity["recipe"]["train"]
    with pytest.raises(UserError, match=r"the training split has 37 samples, a batch 38; ask"):
        run(toy.options(tmp_path, *dropping, "train.batch_size=38"), QUIET)


def test_the_model_is_told_the_share_of_all_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the schedule's, also where a run is cut short."""
    told: list[float] = []
    monkeypatch.setattr(toy.ToyModel, "set_progress", lambda _, share: told.append(share))
    run(toy.options(tmp_path, "train.max_steps=4"), QUIET)
    assert told == [0, 1 / 30, 2 / 30, 3 / 30]


@pytest.mark.parametrize("ema", [None, 0.9])
def test_an_interrupted_run_continues_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ema: float | None
) -> None:
    sets = () if ema is None else (f"train.ema={ema}",)
    whole = run(toy.options(tmp_path / "whole", *sets), QUIET)
    options = toy.options(tmp_path / "broken", *sets)
    plain, calls = toy.ToyModel.loss, 0

    def with_signal(self: toy.ToyModel, batch: dict[str, Any]) -> Loss:
        nonlocal calls
        calls += self.training
        if calls == 12:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, batch)

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as stopped:
        patch.setattr(toy.ToyModel, "loss", with_signal)
        run(options, QUIET)
    assert stopped.value.exit_code == 143
    left = json.loads((folder_of(tmp_path / "broken") / "record.json").read_text())
    assert left["status"] == "interrupted" and left["step"] == 12
    continued = run(options, QUIET)
    assert continued.resumed_from_step == 12
    assert continued.cost["steps_executed"] == 18
    assert continued.encoder_at_step0 == whole.encoder_at_step0
    assert numbers(continued) == numbers(whole)


def _killed(output: Path, moment: str) -> None:
    """Run a toy cell and SIGKILL it at `moment`."""
    process = started(output, pause=0.05 if moment == "training" else 0.0)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        states = list(output.glob("toy/toy/*/state.ckpt"))
        if states and torch.load(states[0], weights_only=True)["step"] >= 14:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_sigkill_in_training(undisturbed: Record, tmp_path: Path) -> None:
    _killed(tmp_path, "training")
    record = run(toy.options(tmp_path), QUIET)
    assert record.resumed_from_step in (14, 21, 28)
    assert record.cost["steps_executed"] == 30 - record.resumed_from_step
    assert numbers(record) == numbers(undisturbed)


@pytest.mark.parametrize("moment", ["state", "evaluation"])
def test_a_death_while_writing_or_evaluating(
    undisturbed: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Death(BaseException):
        """Stands for SIGKILL: what it interrupts gets no chance to tidy up."""

    def die(*_: Any, **__: Any) -> None:
        raise Death

    options = toy.options(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Death):
        if moment == "state":
            plain, writes = state.write, 0

            def half(folder: Path, saved: state.State) -> None:
                nonlocal writes
                writes += 1
                if writes == 3:
                    (folder / "state.ckpt.part").write_bytes(b"half a state")
                    die()
                plain(folder, saved)

            patch.setattr(state, "write", half)
        else:
            patch.setattr(execution, "predict", die)
        patch.setattr("harness.engine.run._Run._end", lambda *_: None)
        run(options, QUIET)
    record = run(options, QUIET)
    assert record.resumed_from_step == (14 if moment == "state" else 30)
    assert record.cost["steps_executed"] == 30 - record.resumed_from_step
    # Of all steps, whoever took them.
    assert record.cost["train_seconds"] > 0 and record.cost["samples_per_second"] > 0
    assert numbers(record) == numbers(undisturbed)


def test_a_signal_in_the_last_step_ends_the_run(
    undisturbed: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, plain = toy.options(tmp_path), state.write

    def with_signal(folder: Path, saved: state.State) -> None:
        plain(folder, saved)
        if saved["step"] == 30:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as stopped:
        patch.setattr(state, "write", with_signal)
        patch.setattr(execution, "predict", lambda *_: pytest.fail("evaluated"))
        run(options, QUIET)
    assert stopped.value.exit_code == 130
    assert numbers(run(options, QUIET)) == numbers(undisturbed)


def test_a_run_that_is_cut_short_keeps_its_state_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, steps = state.write, []

    def noted(folder: Path, saved: state.State) -> None:
        steps.append(saved["step"])
        plain(folder, saved)

    monkeypatch.setattr(state, "write", noted)
    run(toy.options(tmp_path, "train.state_every=50", max_steps=25), QUIET)
    assert steps == [10, 20, 25]


def test_a_state_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any, file: Any) -> None:
        file.write(b"half a state")
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            # What torch's writer says in its place.
            raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RuntimeError, match="unexpected pos"):
        run(toy.options(tmp_path), QUIET)
    assert not list(tmp_path.rglob("*.part"))
    kept = json.loads((folder_of(tmp_path) / "record.json").read_text())
    assert kept["status"] == "failed" and "No space left" in kept["reason"]


def test_a_table_that_cannot_be_had_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: Any) -> None:
        raise ResultsError("the table is locked")

    with monkeypatch.context() as patch:
        patch.setattr(Table, "put", locked)
        run(toy.options(tmp_path), QUIET)
    kept = json.loads((folder_of(tmp_path) / "record.json").read_text())
    assert kept["status"] == "finished" and kept["metrics"]["error"]["n"] == 11
    table = Table(f"sqlite:///{tmp_path}/results.sqlite")
    assert table.sync(tmp_path).taken == 1 and len(table.records()) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"precision": "16"}, "needs a GPU"),
        ({"devices": 7}, "cannot share batches"),
        ({"devices": 6}, "selection split has 5 samples"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU refuses")
def test_what_the_machine_cannot_do_is_refused(
    fields: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        run(toy.options(tmp_path, **fields), QUIET)
    assert not list(tmp_path.rglob("record.json"))


def test_the_same_cell_under_another_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "first_name/0123456789ab").mkdir(parents=True)
    assert _folder(tmp_path, "second_name", "0123456789ab" + "0" * 52).parent.name == "first_name"
    assert _folder(tmp_path, "second_name", "f" * 64) == tmp_path / "second_name" / ("f" * 12)


def test_two_processes_act_as_one(undisturbed: Record, tmp_path: Path) -> None:
    process = started(tmp_path, devices=2)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    record = Record.model_validate_json((folder_of(tmp_path) / "record.json").read_text())
    assert record.cell == undisturbed.cell
    assert record.metrics["error"].n == 11
    # The order of float32 sums differs; over 30 steps that stays below 1e-4 of the error.
    assert record.metrics["error"].value == pytest.approx(
        undisturbed.metrics["error"].value, rel=1e-3
    )


def test_a_loss_that_is_not_finite_fails_with_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = toy.ToyModel.loss, 0

    def broken(self: toy.ToyModel, batch: dict[str, Any]) -> Loss:
        nonlocal calls
        calls += self.training
        terms = plain(self, batch)
        if calls == 9:
            terms["squared"] = replace(
                terms["squared"], total=terms["squared"].total * float("nan")
            )
        return terms

    monkeypatch.setattr(toy.ToyModel, "loss", broken)
    with pytest.raises(RunFailed, match="not finite at step 8"):
        run(toy.options(tmp_path), QUIET)
    record = json.loads((folder_of(tmp_path) / "record.json").read_text())
    assert (record["status"], record["step"]) == ("failed", 8)
    (row,) = Table(f"sqlite:///{tmp_path}/results.sqlite").records()
    assert row.status == "failed"
    assert "not finite" in (folder_of(tmp_path) / "error.log").read_text()


def test_frozen_leaves_the_encoder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(toy.options(tmp_path, protocol="frozen"), QUIET)
    saved = torch.load(folder_of(tmp_path) / "state.ckpt", weights_only=True)["model"]
    file = toy.ToyEncoder(5).state_dict()
    assert record.status == "finished"
    for name, value in file.items():
        assert torch.equal(saved[f"backbone.{name}"], value), name


def test_random_is_initialised_from_the_run_s_seed(tmp_path: Path) -> None:
    records = [
        run(toy.options(tmp_path, backbone="random", seed=seed, max_steps=1), QUIET)
        for seed in (0, 1)
    ]
    hashes = [r.encoder_at_step0["sha256"] for r in records if r.encoder_at_step0]
    assert len(set(hashes)) == 2
    assert all(r.encoder_at_step0 and not r.encoder_at_step0["equals_file"] for r in records)
    assert run(toy.options(tmp_path, control="random", max_steps=1), QUIET) == records[0]


def test_a_limit_that_is_not_reached_makes_no_other_cell(
    undisturbed: Record, tmp_path: Path
) -> None:
    steps = undisturbed.step
    assert run(toy.options(tmp_path, max_steps=steps), QUIET).cell == undisturbed.cell
    assert run(toy.options(tmp_path, max_steps=steps + 7), QUIET).cell == undisturbed.cell
    assert run(toy.options(tmp_path, max_steps=steps - 1), QUIET).cell != undisturbed.cell


def test_a_broken_record_says_what_to_do(tmp_path: Path) -> None:
    whole = run(toy.options(tmp_path), QUIET)
    path = folder_of(tmp_path) / "record.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match="remove that file and repeat the command"):
        run(toy.options(tmp_path), QUIET)
    path.unlink()
    assert numbers(run(toy.options(tmp_path), QUIET)) == numbers(whole)


def test_a_locked_cell_is_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    run(toy.options(tmp_path), QUIET)
    with FileLock(folder_of(tmp_path) / "lock"), pytest.raises(UserError, match="another process"):
        run(toy.options(tmp_path), QUIET)


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="choose another folder with --output"):
        run(toy.options(tmp_path / "file"), QUIET)
