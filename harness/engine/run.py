"""One cell, from options to record."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import results
from harness.console import is_main_process
from harness.engine import predicted, recording, state
from harness.engine.execute import Outcome, build, execute
from harness.engine.header import header
from harness.engine.logging import loggers
from harness.engine.plan import Plan, make
from harness.engine.signals import Signals
from harness.errors import Interrupted, RunFailed, UserError, full_disk
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


def run(options: RunOptions, console: Console, command: str | None = None) -> Record:
    """Run a cell, or continue it, or return the record of the finished one.

    Args:
        options: what is asked for.
        console: told what happens.
        command: the command line that does this again, where it is not `harness run`.

    Raises:
        UserError, RecipeError, DataError, LoadError, ResultsError: what the user can mend.
        RunFailed: a loss that is not finite; the record says so.
        Interrupted: a signal came; state and record are saved, the same call continues.
    """
    main = is_main_process()
    with Signals() as signals:
        settled = make(options, console)
        if not main:
            _follow(settled, signals, console)
        with _cell_lock(settled.folder):
            table = results.Table(options.results or options.output / "results.sqlite")
            before = _record_before(settled)
            words = command or as_command(options)
            cell = _Run(settled, words, table, before, signals, console)
            if before is not None and before.status == "finished":
                console.note(f"cell {settled.cell[:12]} is finished: {settled.folder}")
                table.put(before)
                cell.show(before)
                return before
            header(settled, console)
            return cell.carry_out()


@dataclass
class _Run:
    """A run while it lasts: its record is written at each change of status."""

    plan: Plan
    command: str
    table: results.Table
    before: Record | None
    signals: Signals
    console: Console

    def carry_out(self) -> Record:
        began = time.monotonic()
        start = _state(self.plan)
        # A state is of use only once it holds a step.
        resumed = None if start is None else int(start["step"])
        record = recording.begin(self.plan, self.command, self.before, resumed)
        # What they refuse is the user's input: nothing is kept of it.
        model, attached = build(self.plan), loggers(self.plan)
        try:
            self._keep(record)
            outcome = execute(self.plan, model, attached, start, self.signals, self.console)
            record = self._finish(record, outcome, time.monotonic() - began)
        except Interrupted as error:
            self._end(record, "interrupted", str(error))
            self.console.note(f"continue with: {self.command}")
            raise
        except RunFailed as error:
            self._end(record, "failed", error.reason, error.step)
            self._log(error)
            raise
        except BaseException as error:
            full = full_disk(error)
            reason = f"{type(error).__name__}: {error}" if full is None else str(full)
            self._end(record, "failed", reason)
            self._log(error)
            raise
        self.show(record)
        return record

    def show(self, record: Record) -> None:
        """The result of a finished run, and where it lies."""
        files = [("record", "record.json"), ("picture", "picture.png")]
        places = [(name, str(self.plan.folder / file)) for name, file in files]
        self.console.result(record.primary, record.metrics, places)
        self.console.repeat(self.command)

    def _finish(self, record: Record, outcome: Outcome, wall: float) -> Record:
        plan = self.plan
        test = plan.datasets["test"]
        evaluation = plan.task.evaluate(outcome.rows, test)
        files = recording.write_outputs(plan, outcome, evaluation)
        finished = recording.finish(record, plan, outcome, evaluation, files, wall)
        self._keep(finished)
        predicted.clear(plan.folder)
        return finished

    def _end(self, record: Record, status: str, reason: str, step: int | None = None) -> None:
        """Say how it ended; where not even that can be written, the first error counts."""
        before = _record_before(self.plan)
        if before is not None and before.status == "finished":
            return
        saved = _step_saved(self.plan)
        try:
            self._keep(recording.ended(record, status, reason, saved if step is None else step))
        except (OSError, ValueError) as error:
            self.console.note(f"the record could not be written: {error}")

    def _log(self, error: BaseException) -> None:
        """Keep the traceback beside the record; where it cannot be, the error itself counts."""
        log = self.plan.folder / "error.log"
        try:
            results.write_text(log, "".join(traceback.format_exception(error)))
        except OSError as failure:
            self.console.note(f"no log could be written: {failure}")
        else:
            error.add_note(f"log: {log}")

    def _keep(self, record: Record) -> None:
        """Write the record, then its row. The file is the truth: a table that cannot be had
        loses nothing."""
        results.write(record, self.plan.folder)
        try:
            self.table.put(record)
        except results.ResultsError as error:
            self.console.note(f"{error}; the record is kept: harness results sync takes it over")


def _follow(plan: Plan, signals: Signals, console: Console) -> NoReturn:
    """Under several processes the first one keeps the record; the others compute, and end well
    whatever happens: their parent is killed at once where one of them does not."""
    try:
        execute(plan, build(plan), [], _state(plan), signals, console)
    except (Interrupted, RunFailed):
        pass  # The first process stops at the same step and says so.
    except Exception as error:
        # The first process notices that this one is gone.
        traceback.print_exception(error)
    _leave()


def _leave() -> NoReturn:
    """End this process well. The interpreter's own way out destroys threads of torch's that may
    still run, which aborts it now and then."""
    for child in multiprocessing.active_children():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


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
    try:
        return results.read(path) if path.exists() else None
    except results.ResultsError as error:
        raise UserError(f"{error}; remove that file and repeat the command: it continues") from None


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
