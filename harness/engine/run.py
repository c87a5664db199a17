"""One cell, from options to record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import results
from harness.console import is_main_process
from harness.engine import recording, state
from harness.engine.execute import Outcome, execute
from harness.engine.header import header
from harness.engine.plan import Plan, make
from harness.engine.signals import Signals
from harness.errors import Interrupted, RunFailed, UserError
from harness.options import as_command

if TYPE_CHECKING:
    from harness.console import Console
    from harness.options import RunOptions
    from results import Record


def plan(options: RunOptions, console: Console) -> Plan:
    """Settle a cell and print its header; nothing is trained, nothing written."""
    settled = make(options, console)
    header(settled, console)
    return settled


def run(options: RunOptions, console: Console) -> Record:
    """Run a cell, or continue it, or return the record of the finished one.

    Raises:
        UserError, RecipeError, DataError, LoadError, ResultsError: what the user can mend.
        RunFailed: a loss that is not finite; the record says so.
        Interrupted: a signal came; state and record are saved, the same call continues.
    """
    main = is_main_process()
    with Signals() as signals:
        settled = make(options, console)
        if not main:
            # Under several processes the first one keeps the record; the others compute.
            execute(settled, _state(settled), signals, console)
            raise SystemExit(0)
        with _cell_lock(settled.folder):
            table = results.Table(options.results or f"sqlite:///{options.output}/results.sqlite")
            before = _record_before(settled)
            if before is not None and before.status == "finished":
                console.note(f"cell {settled.cell[:12]} is finished: {settled.folder}")
                table.put(before)
                console.result(before.primary, before.metrics)
                return before
            header(settled, console)
            return _Run(settled, table, before, signals, console).carry_out()


@dataclass
class _Run:
    """A run while it lasts: its record is written at each change of status."""

    plan: Plan
    table: results.Table
    before: Record | None
    signals: Signals
    console: Console

    def carry_out(self) -> Record:
        began = time.monotonic()
        start = _state(self.plan)
        # A state is of use only once it holds a step.
        resumed = None if start is None else int(start["step"])
        record = recording.begin(self.plan, self.before, resumed)
        self._keep(record)
        try:
            outcome = execute(self.plan, start, self.signals, self.console)
            record = self._finish(record, outcome, time.monotonic() - began)
        except Interrupted as error:
            self._end(record, "interrupted", str(error))
            self.console.note(f"interrupted; continue with: {as_command(self.plan.options)}")
            raise
        except RunFailed as error:
            self._end(record, "failed", error.reason, error.step)
            raise
        except BaseException as error:
            log = self.plan.folder / "error.log"
            self._end(record, "failed", f"{type(error).__name__}: {error}")
            results.write_text(log, traceback.format_exc())
            error.add_note(f"log: {log}")
            raise
        self.console.result(record.primary, record.metrics)
        self.console.repeat(as_command(self.plan.options))
        return record

    def _finish(self, record: Record, outcome: Outcome, wall: float) -> Record:
        plan = self.plan
        test = plan.datasets["test"]
        evaluation = plan.task.evaluate(outcome.rows, test)
        files = recording.write_outputs(plan, outcome, evaluation)
        finished = recording.finish(record, plan, outcome, evaluation, files, wall)
        self._keep(finished)
        return finished

    def _end(self, record: Record, status: str, reason: str, step: int | None = None) -> None:
        """Say how it ended; where not even that can be written, the first error counts."""
        saved = _step_saved(self.plan)
        try:
            self._keep(recording.ended(record, status, reason, saved if step is None else step))
        except (OSError, ValueError) as error:
            self.console.note(f"the record could not be written: {error}")

    def _keep(self, record: Record) -> None:
        results.write(record, self.plan.folder)
        self.table.put(record)


def _state(plan: Plan) -> state.State | None:
    return state.read(plan.folder, plan.cell)


def _step_saved(plan: Plan) -> int:
    try:
        saved = _state(plan)
    except UserError:
        return 0
    return 0 if saved is None else int(saved["step"])


def _record_before(plan: Plan) -> Record | None:
    path = plan.folder / "record.json"
    return results.read(path) if path.exists() else None


@contextmanager
def _cell_lock(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another process is running this cell ({folder}): wait for it, or end it"
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot write to `{folder}` ({error.strerror}): choose another folder with --output"
        ) from None
    try:
        yield
    finally:
        lock.release()
