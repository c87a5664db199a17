"""How far a phase has come, and how people say it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

Figure = float | int | str


class Pace:
    """How far a phase has come, how fast, and how long it will take."""

    def __init__(self, total: int | None, unit: str, done: int, clock: Callable[[], float]) -> None:
        self.total = total
        self.unit = unit
        self.done = done
        self._first = done
        self._clock = clock
        self._start = clock()
        self._marks = deque([(self._start, done)])
        self._figures: Mapping[str, Figure] = {}

    def add(self, n: int, figures: Mapping[str, Figure]) -> None:
        """Count `n` more; figures stay until others come."""
        self.done += n
        self._figures = figures or self._figures
        now = self._clock()
        self._marks.append((now, self.done))
        while now - self._marks[0][0] > 30 and len(self._marks) > 2:
            self._marks.popleft()

    def elapsed(self) -> float:
        """Seconds since the phase began in this process."""
        return self._clock() - self._start

    def complete(self) -> bool:
        """True once everything is counted."""
        return self.total is not None and self.done >= self.total

    def state(self) -> str:
        """Progress in one line: count, rate of the last half minute, time left, figures."""
        (then, before), now = self._marks[0], self._clock()
        rate = (self.done - before) / max(now - then, 1e-9)
        parts = [self._count()]
        if rate > 0:
            parts.append(f"{rate:.3g} {self.unit}/s")
            if self.total is not None:
                parts.append(f"{duration((self.total - self.done) / rate)} left")
        parts += [f"{name} {_figure(value)}" for name, value in self._figures.items()]
        return ", ".join(parts)

    def summary(self, finished: bool) -> str:
        """The phase in one line after its end."""
        seconds = self.elapsed()
        rate = (self.done - self._first) / max(seconds, 1e-9)
        word = "" if finished else "stopped at "
        return f"{word}{self._count()} in {duration(seconds)} ({rate:.3g} {self.unit}/s)"

    def _count(self) -> str:
        return f"{self.done}{'' if self.total is None else f'/{self.total}'} {self.unit}"


def duration(seconds: float) -> str:
    """A time span as people say it: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _figure(value: Figure) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
