"""Getting a file over HTTP: whole or not at all, going on where it broke off.

What has come lies in `NAME.part` beside the place of the file, and in `NAME.part.json` what tells
whether the server still has the same file. Both are gone once the file is whole.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backbones.errors import LoadError
from backbones.partial import Begun, Part

Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes in all or None); first before any of this call's have come."""

_CHUNK = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
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


class _Broken(Exception):
    """An attempt that may go well when it is repeated."""


def download(
    source: str,
    path: Path,
    accept: Callable[[Path], None],
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> None:
    """Download a file; one process at a time may do so for one `path`.

    Args:
        source: an https address; http is taken from this machine itself only.
        path: where the file goes, by renaming, once it is whole and accepted.
        accept: raises LoadError for a file that is not the right one, which is then removed.
        progress: told how far it is.
        patience: with the server; `PATIENCE` if None.

    Raises:
        LoadError: no connection, a refusal, a page in place of the file, a transfer that breaks off
            again and again, a full disk, or a file that is not accepted.
    """
    patience = patience or PATIENCE
    if not _is_safe(source):
        raise LoadError(f"expected an https address, got {source}")
    part = Part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _complete(source, part, progress or (lambda _, __: None), patience)
        try:
            accept(part.path)
        except LoadError:
            part.remove()
            raise
        part.path.replace(path)
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
                reason = _refused(source, error, part.target)
        except urllib.error.URLError as error:
            # Without any connection so far, the address or this machine's network is at fault.
            if number == 0:
                raise LoadError(
                    f"{source} cannot be reached ({error.reason}); check the network, or get the "
                    f"file by hand and put it at {part.target}"
                ) from error
            reason = str(error.reason)
        except _Broken as error:
            reason = str(error)
        if pause is None:
            kept = _AGAIN if part.begun(source) else "try again later"
            raise LoadError(f"{source} failed {number + 1} times, at last: {reason}; {kept}")
        time.sleep(pause)
    return None


def _attempt(source: str, part: Part, progress: Progress, silence: float) -> None:
    """Receive the file, or what is missing of it.

    Raises:
        _Broken, HTTPError, URLError: it did not get there.
        LoadError: the answer is no file, or there is no room for it.
    """
    begun = part.begun(source)
    if begun is not None and begun.size == begun.total:
        return
    answer = _open(source, part, begun, silence)
    if answer is None:
        return
    with answer:
        _refuse_pages(source, answer)
        done, total = _extent(source, answer, begun, part)
        if done == 0:
            part.begin(source, _validator(answer), total)
        _check_room(part.target.parent, None if total is None else total - done)
        progress(done, total)
        with part.path.open("ab") as file:
            while chunk := _read(answer):
                file.write(chunk)
                file.flush()
                done += len(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise _Broken(f"the connection was closed after {done} of {total} bytes")
    if total is not None and done > total:
        part.remove()
        raise _Broken(f"{done} bytes came where {total} were announced")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to what may be asked in the first place, and to nothing else."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not _is_safe(newurl):
            fp.close()
            raise LoadError(
                f"{req.full_url} leads to {newurl}, which is not https; download it by hand"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and here)


def _open(source: str, part: Part, begun: Begun | None, silence: float) -> Any:
    """Ask for the file, or for what is missing; None where nothing is."""
    request = urllib.request.Request(source, headers={"User-Agent": "encoder-harness"})
    if begun is not None:
        # Without If-Range a file that has changed would be spliced onto the old one's beginning.
        request.add_header("Range", f"bytes={begun.size}-")
        request.add_header("If-Range", begun.validator)
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=silence)
    except urllib.error.HTTPError as error:
        if error.code != 416 or begun is None:
            raise
        with error:
            return _nothing_more(error, part, begun)
    except (urllib.error.URLError, LoadError):
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Broken(_words(error, silence)) from error


def _nothing_more(error: urllib.error.HTTPError, part: Part, begun: Begun) -> None:
    """Take 416, nothing beyond what has come, for the end of the same file, or else start anew.

    Raises:
        _Broken: the server has another file.
    """
    length = _number(error.headers.get("Content-Range", "").rpartition("/")[2])
    if length != begun.size or _validator(error) not in (None, begun.validator):
        part.remove()
        raise _Broken("the server has another file than the one that had begun to come")


def _read(answer: Any) -> bytes:
    try:
        chunk: bytes = answer.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_words(error, None)) from error
    return chunk


def _words(error: Exception, silence: float | None) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came" + (f" for {silence:g} s" if silence else " for too long")
    # The texts of HTTPException may be empty or end in a line break.
    return " ".join(f"{type(error).__name__} {error}".split())


def _refused(source: str, error: urllib.error.HTTPError, path: Path) -> str:
    """Return why an attempt was refused, where another one may not be.

    Raises:
        LoadError: repeating is of no use.
    """
    # What comes after too many redirections has line breaks.
    reason = " ".join(str(error.reason).split())
    if error.code in _TRANSIENT:
        return f"the server answered {error.code} {reason}"
    what = {
        401: "wants a login",
        403: "refuses access; it may want a login or consent to a licence",
        404: "has no such file (any more)",
        410: "has no such file any more",
    }.get(error.code, f"answered {reason}")
    raise LoadError(
        f"{source}: the server {what} ({error.code}); get the file by hand and put it at {path}"
    ) from error


def _refuse_pages(source: str, answer: Any) -> None:
    """Refuse HTML before anything is written, so that it costs nothing that has come before."""
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        moved = "" if answer.url == source else f" (at {answer.url})"
        raise LoadError(
            f"{source} is an HTML page{moved}, not a checkpoint: the server sent a page (a login, "
            "a warning or an error) in place of the file; download it by hand"
        )


def _extent(source: str, answer: Any, begun: Begun | None, part: Part) -> tuple[int, int | None]:
    """Return from which byte the answer goes on, and the length of the whole file.

    Raises:
        _Broken: the answer does not continue what has come, which is given up.
        LoadError: it does not tell its length in any way.
    """
    if answer.status != 206:
        total = _number(answer.headers.get("Content-Length"))
        if total is None and not answer.chunked:
            raise LoadError(
                f"{source} does not tell its length, so that a file cut short could not be told "
                "from a whole one; download it by hand"
            )
        return 0, total
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    span, _, length = rest.partition("/")
    total = _number(length)
    first = _number(span.partition("-")[0])
    same = begun is not None and (
        unit == "bytes"
        and first == begun.size
        and begun.total in (None, total)
        and _validator(answer) in (None, begun.validator)
    )
    if begun is None or not same:
        part.remove()
        raise _Broken("the server did not continue the file that had begun")
    return begun.size, total if total is not None else begun.total


def _validator(answer: Any) -> str | None:
    """Return what If-Range takes: a strong entity tag, or else the date of the last change."""
    tag = answer.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    changed = answer.headers.get("Last-Modified")
    return str(changed) if changed else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _check_room(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and needed > free:
        raise LoadError(
            f"{folder} has {free >> 20} MiB left, the file needs {needed >> 20} MiB; make room, or "
            "name another place with HARNESS_CACHE"
        )
