"""Ctrl-C and SIGTERM: at once while nothing is at stake, after the state is saved in training."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from harness.errors import Interrupted

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Takes the two signals while a run lasts and gives them back afterwards.

    Outside training `Interrupted` is raised where the signal arrives. In training (`deferred`)
    it is noted in `received`, and whoever trains raises it after a step; a second Ctrl-C does
    not wait.
    """

    def __init__(self) -> None:
        self.deferred = False
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self._before = {number: signal.getsignal(number) for number in HANDLED}
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def take(self) -> None:
        """Install the handlers; once more after a library put its own in their place."""
        for number in HANDLED:
            signal.signal(number, self._handle)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self.deferred and self.received is None:
            self.received = signum
            return
        raise Interrupted(signum)
