"""How a command can end other than well.

ValueError
└── UserError        something the user can mend: one line, exit code 2
RuntimeError
└── RunFailed        the run itself went wrong (a loss that is not finite): exit code 1
BaseException
└── Interrupted      Ctrl-C (exit code 130) or SIGTERM (143), the state being saved
"""

from __future__ import annotations

import errno
import os
import signal


class UserError(ValueError):
    """What the user can mend; the message is one line that says what to do."""


class RunFailed(RuntimeError):
    """A run that cannot go on. The record says `failed`, with the reason and the step."""

    def __init__(self, reason: str, step: int) -> None:
        super().__init__(f"{reason} at step {step}")
        self.reason, self.step = reason, step


class Interrupted(BaseException):
    """A signal ended the run. Not an Exception, so that no library swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 + the signal's number: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signum


def full_disk(error: BaseException | None) -> OSError | None:
    """The full disk behind an error, which libraries like to wrap."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return error
        if os.strerror(errno.ENOSPC) in str(error):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        error = error.__cause__ or error.__context__
    return None
