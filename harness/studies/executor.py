"""Where the runs of a study are carried out. SLURM or Ray come in as other executors."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from harness.engine.signals import Signals
from harness.errors import Interrupted
from harness.options import as_command
from harness.studies.model import Job

Status = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        record: the record of a finished run, as in `record.json`; else None.
        code: exit code of the process.
        seconds: wall time, start-up included.
    """

    job: Job
    record: dict[str, Any] | None
    code: int
    seconds: float

    @property
    def status(self) -> Status:
        """How the run ended."""
        if self.record is not None:
            return "finished"
        return "interrupted" if self.code in (130, 143) else "failed"


class Executor(Protocol):
    """Carries out runs; one that fails does not keep the others from running."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the outcome of every job, in any order, each as soon as it is known."""
        ...


class OneAfterAnother:
    """Each run in a process of its own on this machine, in order.

    A run that is killed, for its memory say, ends alone. A signal is passed on to the run, which
    saves its state; the study then ends too.
    """

    # -P: a folder `results` or `tasks` where the user works must not stand in for our package.
    def __init__(
        self, command: Sequence[str] = (sys.executable, "-P", "-m", "harness.cli.main")
    ) -> None:
        self.command = tuple(command)

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the outcome of each job in turn.

        Raises:
            Interrupted: a signal came, and the run that was under way has ended.
        """
        for job in jobs:
            with Signals() as signals:
                signals.deferred = True
                outcome = self._one(job, signals)
            if signals.received is not None:
                raise Interrupted(signals.received)
            yield outcome

    def _one(self, job: Job, signals: Signals) -> Outcome:
        began = time.monotonic()
        arguments = shlex.split(as_command(job.options))[1:]
        # A process group of its own: Ctrl-C must reach the run once, not from two sides.
        with subprocess.Popen(
            [*self.command, *arguments, "--json"],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            process_group=0,
        ) as process:
            output = _output(process, signals)
        record = json.loads(output) if process.returncode == 0 else None
        return Outcome(job, record, process.returncode, time.monotonic() - began)


def _output(process: subprocess.Popen[str], signals: Signals) -> str:
    """All that a process writes until it ends. The first signal that comes is passed on to it."""
    passed_on = False
    while True:
        try:
            output, _ = process.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            if signals.received is not None and not passed_on:
                process.send_signal(signals.received)
                passed_on = True
        except Interrupted as error:
            # A second signal does not wait for the run's state.
            process.send_signal(error.signum)
        else:
            return output
