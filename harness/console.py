"""What a person sees while a command runs: header, progress, result."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TextIO

from harness.pace import Figure, Pace

if TYPE_CHECKING:
    from rich.progress import Progress


class Measured(Protocol):
    """A figure with its sampling error, as tasks and records have it."""

    @property
    def value(self) -> float: ...
    @property
    def error(self) -> float | None: ...
    @property
    def n(self) -> int: ...
    @property
    def better(self) -> Literal["higher", "lower"]: ...


class Advance(Protocol):
    """Counts progress within a phase: `advance(8, loss=0.31)`."""

    def __call__(self, n: int = 1, /, **figures: Figure) -> None: ...


def totals(advance: Advance) -> Callable[[int, int], None]:
    """For those who say how many units are done in all, and of how many: `progress(24, 512)`."""
    before = 0

    def progress(done: int, _: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    return progress


def is_main_process() -> bool:
    """True unless a launcher (torchrun, SLURM, Lightning) says that this is another rank."""
    ranks = [os.environ.get(name, "") for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK")]
    return all(int(rank) == 0 for rank in ranks if rank.isdigit())


class Console:
    """Writes to a person; says nothing in processes other than the first.

    Progress is one bar a phase on a terminal, and elsewhere a line every few seconds. A phase that
    ends within `patience` seconds leaves no trace.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        results: TextIO | None = None,
        quiet: bool | None = None,
        interval: float = 5.0,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to `stream`, stderr by default.

        Args:
            stream: where header, notes and progress go.
            results: where results go; `stream` by default.
            quiet: say nothing; by default where this is not the first process.
            interval: least time between two plain progress lines, in seconds.
            patience: a phase shows itself after so many seconds.
            clock: seconds, for tests.
        """
        self.stream = sys.stderr if stream is None else stream
        self.results = self.stream if results is None else results
        self.quiet = not is_main_process() if quiet is None else quiet
        self.interval = interval
        self.patience = patience
        self.clock = clock
        self._live: Progress | None = None

    def note(self, text: str) -> None:
        """Say one thing, also while a bar is shown."""
        if self.quiet:
            return
        text = _encodable(text, self.stream)
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self.stream, flush=True)

    def header(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Say what is about to happen: a title and aligned lines of name and value."""
        self.note("\n".join([title, *_aligned(rows)]))

    def show(self, text: str) -> None:
        """Show what was asked for, as it is."""
        if not self.quiet:
            print(_encodable(text.rstrip("\n"), self.results), file=self.results, flush=True)

    def result(
        self,
        primary: str,
        metrics: Mapping[str, Measured],
        lines: Sequence[tuple[str, str]] = (),
        title: str = "result",
    ) -> None:
        """Show metrics with direction and sampling error, the primary one first and starred.

        Args:
            primary: name of the metric that ranks encoders.
            metrics: all metrics by name.
            lines: what else belongs to the result (picture, record), as in `header`.
            title: the line above.
        """
        names = sorted(metrics, key=lambda name: name != primary)
        figures = [(_star(name, primary), measured(metrics[name])) for name in names]
        self.show("\n".join([title, *_aligned([*figures, *lines])]))

    def repeat(self, command: str) -> None:
        """Say how to get the same result again."""
        self.show(f"repeat with: {command}")

    @contextmanager
    def phase(
        self, name: str, total: int | None, unit: str = "steps", done: int = 0
    ) -> Iterator[Advance]:
        """Show the progress of one phase; the body calls what it is given.

        Args:
            name: of the phase, such as `training`.
            total: number of units, None where nobody knows.
            unit: what is counted.
            done: units done before this process began; they do not count towards the rate.
        """
        pace = Pace(total, unit, done, self.clock)
        show = self._bar(name, pace) if self._terminal() else self._lines(name, pace)
        next(show)

        def advance(n: int = 1, /, **figures: Figure) -> None:
            pace.add(n, figures)
            next(show)

        finished = False
        try:
            yield advance
            finished = True
        finally:
            show.close()
            if pace.elapsed() >= self.patience:
                self.note(f"{name}: {pace.summary(finished)}")

    def _terminal(self) -> bool:
        return not self.quiet and self.stream.isatty() and self._live is None

    def _lines(self, name: str, pace: Pace) -> Generator[None, None, None]:
        yield
        due = self.patience
        while True:
            if pace.elapsed() >= due and not pace.complete():
                self.note(f"{name}: {pace.state()}")
                due = pace.elapsed() + self.interval
            yield

    def _bar(self, name: str, pace: Pace) -> Generator[None, None, None]:
        yield
        while pace.elapsed() < self.patience:
            yield
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
        )
        # Refreshed by hand: a refreshing thread may hold a lock while loader workers are forked.
        bar = Progress(
            *columns,
            console=RichConsole(file=self.stream),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )
        task = bar.add_task(name, total=pace.total, completed=pace.done, state=pace.state())
        drawn = -1.0
        with bar:
            self._live = bar
            try:
                while True:
                    if pace.elapsed() - drawn >= 0.1:
                        bar.update(task, completed=pace.done, state=pace.state(), refresh=True)
                        drawn = pace.elapsed()
                    yield
            finally:
                self._live = None


def measured(metric: Measured) -> str:
    """A metric in one line: value, sampling error, direction, number of samples.

    Without samples it is not defined, NaN or COCO's -1; nothing counted may be a result, too.
    """
    if metric.n == 0 and not metric.value >= 0:
        return "not defined  n=0"
    arrow = {"higher": "↑", "lower": "↓"}[metric.better]
    error = "" if metric.error is None else f" ± {metric.error:.4f}"
    return f"{metric.value:.4f}{error} {arrow}  n={metric.n}"


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Lines of name and value, the values beginning in one column."""
    width = max((len(name) for name, _ in rows), default=0)
    lines = []
    for name, value in rows:
        for number, part in enumerate(value.splitlines() or [""]):
            lines.append(f"  {'' if number else name:<{width}}  {part}".rstrip())
    return lines


def _star(name: str, primary: str) -> str:
    return f"{name} *" if name == primary else name


def _encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks in plain letters."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = {"↑": "(higher is better)", "↓": "(lower is better)", "±": "+-"}
        text = text.translate({ord(sign): word for sign, word in plain.items()})
        return text.encode(encoding, "replace").decode(encoding)
    return text
