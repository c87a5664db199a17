"""What is asked of a server, and what its answers mean."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backbones.errors import LoadError
from backbones.partial import Begun, Part

_CHUNK = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class Broken(Exception):
    """An attempt that may go well when it is repeated."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to what may be asked in the first place, and to nothing else."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        # On this machine too: what was asked for over TLS comes over TLS, or from nobody.
        downgraded = urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https"
        if downgraded or not is_safe(newurl):
            fp.close()
            raise LoadError(
                f"{req.full_url} leads to {newurl}, which is not https; download it by hand"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_safe(address: str) -> bool:
    """Whether an address is https, or http on this machine itself."""
    parts = urlsplit(address)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and here)


def ask(source: str, part: Part, begun: Begun | None, silence: float) -> Any:
    """Ask for the file, or for what is missing of it.

    Args:
        source: the address.
        part: what has come so far, which is removed where the server has another file.
        begun: what is known of it, where it can be gone on with.
        silence: seconds without a byte after which asking or receiving ends.

    Returns:
        The answer, to be closed; None where nothing is missing.

    Raises:
        HTTPError: the server refuses.
        URLError: there is no connection.
        Broken: the connection broke off, or the server has another file now.
        LoadError: a redirection to what is not https.
    """
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
        raise Broken(_words(error, silence)) from error


def _nothing_more(error: urllib.error.HTTPError, part: Part, begun: Begun) -> None:
    """Take 416, nothing beyond what has come, for the end of the same file, or else start anew.

    Raises:
        Broken: the server has another file.
    """
    length = _number(error.headers.get("Content-Range", "").rpartition("/")[2])
    if length != begun.size or validator(error) not in (None, begun.validator):
        part.remove()
        raise Broken("the server has another file than the one that had begun to come")


def receive(answer: Any) -> bytes:
    """Return the next bytes of an answer, as soon as there are any; none at its end.

    Raises:
        Broken: the connection broke off, or nothing came in time.
    """
    try:
        chunk: bytes = answer.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise Broken(_words(error, None)) from error
    return chunk


def _words(error: Exception, silence: float | None) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came" + (f" for {silence:g} s" if silence else " for too long")
    # The texts of HTTPException may be empty or end in a line break.
    return " ".join(f"{type(error).__name__} {error}".split())


def refused(source: str, error: urllib.error.HTTPError, path: Path) -> str:
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


def refuse_pages(source: str, answer: Any) -> None:
    """Refuse HTML before anything is written, so that it costs nothing that has come before.

    Raises:
        LoadError: the answer is a page.
    """
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        moved = "" if answer.url == source else f" (at {answer.url})"
        raise LoadError(
            f"{source} is an HTML page{moved}, not a checkpoint: the server sent a page (a login, "
            "a warning or an error) in place of the file; download it by hand"
        )


def extent(source: str, answer: Any, begun: Begun | None, part: Part) -> tuple[int, int | None]:
    """Return from which byte the answer goes on, and the length of the whole file.

    Raises:
        Broken: the answer does not continue what has come, which is given up.
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
        and validator(answer) in (None, begun.validator)
    )
    if begun is None or not same:
        part.remove()
        raise Broken("the server did not continue the file that had begun")
    return begun.size, total if total is not None else begun.total


def validator(answer: Any) -> str | None:
    """Return what If-Range takes: a strong entity tag, or else the date of the last change."""
    tag = answer.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    changed = answer.headers.get("Last-Modified")
    return str(changed) if changed else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
