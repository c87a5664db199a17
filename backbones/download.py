"""Getting a file over HTTP: whole or not at all, going on where it broke off.

What has come lies in `NAME.part` beside the place of the file, and in `NAME.part.json` what tells
whether the server still has the same file. Both are gone once the file is whole.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from backbones.answers import (
    Broken,
    ask,
    extent,
    is_safe,
    receive,
    refuse_pages,
    refused,
    validator,
)
from backbones.errors import LoadError
from backbones.partial import Part

Accepted = TypeVar("Accepted")

Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes in all or None); first before any of this call's have come."""

_AGAIN = "what has come is kept: repeat the command to go on"


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        silence: seconds without a byte, or without a connection, after which an attempt ends.
        pauses: seconds before each further attempt; their number bounds the attempts.
    """

    silence: float = 30.0
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)


PATIENCE = Patience()


def download(
    source: str,
    path: Path,
    accept: Callable[[Path], Accepted],
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Accepted:
    """Download a file; one process at a time may do so for one `path`.

    Args:
        source: an https address; http is taken from this machine itself only.
        path: where the file goes, by renaming, once it is whole and accepted.
        accept: raises LoadError for a file that is not the right one, which is then removed.
        progress: told how far it is.
        patience: with the server; `PATIENCE` if None.

    Returns:
        What `accept` returns; renaming changes nothing that a `fingerprints.Stamp` has.

    Raises:
        LoadError: no connection, a refusal, a page in place of the file, a transfer that breaks off
            again and again, a full disk, or a file that is not accepted.
    """
    patience = patience or PATIENCE
    if not is_safe(source):
        raise LoadError(f"expected an https address, got {source}")
    part = Part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _complete(source, part, progress or (lambda _, __: None), patience)
        try:
            accepted = accept(part.path)
        except LoadError:
            part.remove()
            raise
        part.path.replace(path)
        return accepted
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LoadError(
                f"the disk of {path.parent} is full; make room (HARNESS_CACHE names another "
                f"place), then repeat the command: {source} goes on where it stopped"
            ) from error
        raise LoadError(f"{source} could not be written to {path}: {error}") from error
    finally:
        if part.begun(source) is None:
            with contextlib.suppress(OSError):
                part.remove()


def _complete(source: str, part: Part, progress: Progress, patience: Patience) -> None:
    """Repeat attempts until the whole file lies in the part.

    Raises:
        LoadError: none of them got there, or repeating is of no use.
    """
    for number, pause in enumerate((*patience.pauses, None)):
        try:
            return _attempt(source, part, progress, patience.silence)
        except urllib.error.HTTPError as error:
            with error:
                reason = refused(source, error, part.target)
        except urllib.error.URLError as error:
            # Without any connection so far, the address or this machine's network is at fault.
            if number == 0:
                raise LoadError(
                    f"{source} cannot be reached ({error.reason}); check the network, or get the "
                    f"file by hand and put it at {part.target}"
                ) from error
            reason = str(error.reason)
        except Broken as error:
            reason = str(error)
        if pause is None:
            kept = _AGAIN if part.begun(source) else "try again later"
            raise LoadError(f"{source} failed {number + 1} times, at last: {reason}; {kept}")
        time.sleep(pause)
    return None


def _attempt(source: str, part: Part, progress: Progress, silence: float) -> None:
    """Receive the file, or what is missing of it.

    Raises:
        Broken, HTTPError, URLError: it did not get there.
        LoadError: the answer is no file, or there is no room for it.
    """
    begun = part.begun(source)
    if begun is not None and begun.size == begun.total:
        return
    answer = ask(source, part, begun, silence)
    if answer is None:
        return
    with answer:
        refuse_pages(source, answer)
        done, total = extent(source, answer, begun, part)
        if done == 0:
            part.begin(source, validator(answer), total)
        _check_room(part.target.parent, None if total is None else total - done)
        progress(done, total)
        with part.path.open("ab") as file:
            while chunk := receive(answer):
                file.write(chunk)
                file.flush()
                done += len(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise Broken(f"the connection was closed after {done} of {total} bytes")
    if total is not None and done > total:
        part.remove()
        raise Broken(f"{done} bytes came where {total} were announced")


def _check_room(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and needed > free:
        raise LoadError(
            f"{folder} has {free >> 20} MiB left, the file needs {needed >> 20} MiB; make room, or "
            "name another place with HARNESS_CACHE"
        )
