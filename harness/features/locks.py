"""Locks of the operating system, which end with the process that holds them, however it ends.

`filelock` knows no lock that several hold at once, which is what users of the same features need.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same file, which is made if need be.

    Raises:
        OSError: the file cannot be made, or its file system has no locks.
    """
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Use:
    """A mark that something is in use, held until it is closed or the process has ended.

    A process forked meanwhile holds it too.
    """

    _descriptor = -1

    def __init__(self, path: Path) -> None:
        """Take the mark; waits while another holds it `alone`.

        Raises:
            OSError: the file cannot be made, or its file system has no locks.
        """
        self._descriptor = _opened(path)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            os.utime(path)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give the mark back; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


def used(path: Path) -> bool:
    """Whether anybody holds a `Use` of the file, which need not exist.

    The answer stays true only as long as nobody can begin one: ask under an `exclusive` lock that
    beginners take too.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
