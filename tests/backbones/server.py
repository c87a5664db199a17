"""A server on this machine that has one file and can be told to behave badly."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


class Site:
    """What the server has, how the next requests are answered, and which have come.

    Attributes:
        data: bytes of the file.
        headers: sent with them, such as the ETag.
        behaviours: how the next requests are answered, one each; as they should be when used up.
        requests: (path, Range, If-Range) of those that have come.
        sent: bytes of the file that were sent.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.headers = {"ETag": '"one"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        self.behaviours: list[Behaviour] = []
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.sent = 0
        self.address = ""
        self.released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers from a `Site`."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        asked = (self.path, self.headers["Range"], self.headers["If-Range"])
        self.site.requests.append(asked)
        self.close_connection = True
        behaviour = self.site.behaviours.pop(0) if self.site.behaviours else send()
        behaviour(self)

    def log_message(self, *_: Any) -> None: ...

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer with exactly that."""
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def send(upto: int | None = None, then: str = "close", if_range: bool = True) -> Behaviour:
    """Send the file, or the range that is asked for.

    Args:
        upto: bytes of the file after which it breaks off.
        then: "close" or "stall".
        if_range: whether If-Range is obeyed.
    """

    def behave(handler: Handler) -> None:
        site = handler.site
        found = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        validators = (site.headers.get("ETag"), site.headers.get("Last-Modified"))
        same = handler.headers["If-Range"] in validators or not if_range
        first, size = int(found[1]) if found and same else 0, len(site.data)
        if first >= size:
            handler.answer(416, Content_Range=f"bytes */{size}")
            return
        handler.send_response(206 if first else 200)
        handler.send_header("Content-Length", str(size - first))
        handler.send_header("Content-Type", "application/octet-stream")
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        for name, value in site.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        body = site.data[first:upto]
        site.sent += len(body)
        handler.wfile.write(body)
        handler.wfile.flush()
        if then == "stall":
            site.released.wait(20)

    return behave


def send_chunked(upto: int | None = None) -> Behaviour:
    """Send the file in pieces, without its length."""

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        for name, value in handler.site.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for start in range(0, len(handler.site.data[:upto]), 1000):
            piece = handler.site.data[start : min(start + 1000, upto or 1 << 60)]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if upto is None:
            handler.wfile.write(b"0\r\n\r\n")

    return behave


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer with a status."""
    return lambda handler: handler.answer(code, body, **headers)


def silent(handler: Handler) -> None:
    """Take the request and say nothing."""
    handler.site.released.wait(20)


def garbage(handler: Handler) -> None:
    """Answer something that is no HTTP."""
    handler.wfile.write(b"no such thing\r\n\r\n")


def hang_up(handler: Handler) -> None:
    """Close the connection without an answer."""


def slowly(seconds: float, pieces: int = 100) -> Behaviour:
    """Send the whole file in equal pieces over some seconds."""

    def behave(handler: Handler) -> None:
        data = handler.site.data
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("ETag", handler.site.headers["ETag"])
        handler.end_headers()
        step = len(data) // pieces + 1
        for start in range(0, len(data), step):
            if handler.site.released.wait(seconds / pieces):
                return
            handler.wfile.write(data[start : start + step])

    return behave


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site on a free port of this machine."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None: ...  # clients that were killed

    handler = type("Own", (Handler,), {"site": site})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield site
        finally:
            site.released.set()
            server.shutdown()
            thread.join()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.005)
