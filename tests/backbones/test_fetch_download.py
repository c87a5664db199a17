"""Downloads against a server on this machine that behaves as servers do."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import backbones
from backbones import download, fetch
from tests.backbones.server import (
    Site,
    garbage,
    hang_up,
    send,
    send_chunked,
    serving,
    silent,
    slowly,
    status,
    wait_for,
)

HTML = b"<!doctype html><title>Sign in</title>"


def weights(seed: int, count: int = 30_000) -> bytes:
    buffer = io.BytesIO()
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    torch.save({"model": {"a": values}}, buffer)
    return buffer.getvalue()


DATA, OTHER = weights(0), weights(1)
SIZE, HALF = len(DATA), 60_000


@pytest.fixture
def site():
    with serving(Site(DATA)) as site:
        yield site


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("HARNESS_OFFLINE", "HARNESS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    # Longer than any machine takes to answer: only what stalls on purpose may run into it.
    monkeypatch.setattr(download, "PATIENCE", download.Patience(20.0, (0.0, 0.0)))
    return tmp_path / "checkpoints"


@pytest.fixture
def entry(site):
    known = backbones.catalogue()["mae_vit_base"]
    return replace(known, source=f"{site.address}/file.pth", md5_prefix=None)


def left(folder: Path) -> list[str]:
    """Names of what lies in the cache, apart from the lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def refused(entry: backbones.Entry, match: str) -> str:
    with pytest.raises(backbones.LoadError, match=match) as caught:
        fetch.get(entry)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_download_is_verified_recorded_and_leaves_nothing_else(site, entry, folder):
    steps: list[Any] = []
    known = replace(entry, md5_prefix=hashlib.md5(DATA).hexdigest()[:6])
    path = fetch.get(known, lambda done, total: steps.append((done, total)))
    assert path == folder / entry.file and path.read_bytes() == DATA
    assert steps[0] == (0, SIZE) and steps[-1] == (SIZE, SIZE) and steps == sorted(steps)
    assert left(folder) == [entry.file, f"{entry.file}.sha256"]
    recorded = (folder / f"{entry.file}.sha256").read_text().strip()
    assert recorded == hashlib.sha256(DATA).hexdigest()
    assert fetch.get(known) == path and len(site.requests) == 1


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_transfer_that_is_cut_short_goes_on_where_it_stopped(site, entry, validator):
    site.headers = {validator: site.headers[validator]}
    site.behaviours = [send(HALF)]
    assert fetch.get(entry).read_bytes() == DATA
    assert site.requests[1][1:] == (f"bytes={HALF}-", site.headers[validator])
    assert site.sent == SIZE


def test_attempts_are_bounded_and_the_next_command_goes_on(site, entry, folder):
    site.behaviours = [send(20_000), send(30_000), send(40_000)]
    said = refused(entry, r"failed 3 times, at last: the connection was closed after 40000 of")
    assert "repeat the command to go on" in said
    assert left(folder) == [f"{entry.file}.part", f"{entry.file}.part.json"]
    steps: list[Any] = []
    assert fetch.get(entry, lambda *step: steps.append(step)).read_bytes() == DATA
    assert steps[0] == (40_000, SIZE) and site.sent == SIZE
    assert left(folder) == [entry.file, f"{entry.file}.sha256"]


@pytest.mark.parametrize("if_range", [True, False], ids=["200", "206 all the same"])
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_file_that_has_changed_is_not_spliced(site, entry, if_range, validator):
    site.headers = {validator: "old"}

    def cut_and_change(handler):
        send(HALF)(handler)
        site.data, site.headers = OTHER, {validator: "new"}

    site.behaviours = [cut_and_change, send(if_range=if_range)]
    assert len(OTHER) == SIZE
    assert fetch.get(entry).read_bytes() == OTHER
    assert site.requests[1][1:] == (f"bytes={HALF}-", "old")


def test_without_a_way_to_tell_a_changed_file_it_starts_anew(site, entry, folder):
    site.headers = {"ETag": 'W/"weak"'}
    site.behaviours = [send(HALF), send(HALF), send(HALF)]
    refused(entry, "failed 3 times.*try again later")
    assert [request[1] for request in site.requests] == [None] * 3
    assert left(folder) == []
    assert fetch.get(entry).read_bytes() == DATA


def test_a_part_that_does_not_fit_is_not_gone_on_with(site, entry, folder):
    part, note = folder / f"{entry.file}.part", folder / f"{entry.file}.part.json"
    for size, text in (
        (SIZE + 1, f'{{"source": "{entry.source}", "validator": "x", "total": {SIZE}}}'),
        (HALF, f'{{"source": "https://elsewhere", "validator": "x", "total": {SIZE}}}'),
        (HALF, f'{{"source": "{entry.source}", "validat'),
        (HALF, "[]"),
    ):
        folder.mkdir(exist_ok=True)
        part.write_bytes(b"x" * size)
        note.write_text(text)
        assert fetch.get(entry).read_bytes() == DATA
        assert site.requests.pop()[1] is None
        (folder / entry.file).unlink()


@pytest.mark.parametrize(("code", "words"), [
    (401, "wants a login"), (403, "refuses access"), (404, "no such file"), (410, "no such file"),
    (418, "answered"),
])  # fmt: skip
def test_a_refusal_is_final_and_says_what_to_do(site, entry, folder, code, words):
    site.behaviours = [status(code)]
    said = refused(entry, rf"{words}.*\({code}\); get the file by hand and put it at")
    assert str(folder / entry.file) in said
    assert len(site.requests) == 1 and left(folder) == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(site, entry, code):
    site.behaviours = [status(code), status(code)]
    assert fetch.get(entry).read_bytes() == DATA
    site.behaviours = [status(code)] * 3
    fetch.get(entry).unlink()
    refused(entry, rf"failed 3 times, at last: the server answered {code}")


def begun(entry, folder, data: bytes, total: int | None) -> None:
    part = download.Part(folder / entry.file)
    folder.mkdir()
    part.begin(entry.source, '"one"', total)
    part.path.write_bytes(data)


def test_416_for_a_part_that_is_whole_ends_the_download(site, entry, folder):
    begun(entry, folder, DATA, None)
    assert fetch.get(entry).read_bytes() == DATA
    assert site.requests == [("/file.pth", f"bytes={SIZE}-", '"one"')]
    assert left(folder) == [entry.file, f"{entry.file}.sha256"]


@pytest.mark.parametrize("headers", [
    {"Content_Range": f"bytes */{SIZE}", "ETag": '"two"'},
    {"Content_Range": f"bytes */{HALF}"},
    {},
], ids=["another tag", "shorter", "no length"])  # fmt: skip
def test_416_for_a_stale_part_starts_anew(site, entry, folder, headers):
    begun(entry, folder, OTHER, None)
    site.behaviours = [status(416, **headers)]
    assert fetch.get(entry).read_bytes() == DATA
    assert [request[1] for request in site.requests] == [f"bytes={SIZE}-", None]


def test_a_part_that_is_whole_is_not_asked_for_again(site, entry, folder):
    """The process was killed between the last byte and the renaming."""
    begun(entry, folder, DATA, SIZE)
    assert fetch.get(entry).read_bytes() == DATA
    assert site.requests == []


@pytest.mark.parametrize(("field", "value"), [
    ("sha256", hashlib.sha256(OTHER).hexdigest()), ("sha256_prefix", "00000000"),
    ("md5_prefix", "000000"),
])  # fmt: skip
def test_a_file_with_another_hash_never_lies_in_its_place(site, entry, folder, field, value):
    said = refused(replace(entry, **{field: value}), rf"has .* not {value[:12]}; expected the pub")
    assert said.startswith(entry.source)
    assert left(folder) == []


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_redirection_to_a_login_page_is_told_from_the_file(site, entry, folder, kind):
    site.behaviours = [status(302, Location="/login"), status(200, HTML, Content_Type=kind)]
    assert refused(entry, "is an HTML page").startswith(entry.source)
    assert [request[0] for request in site.requests] == ["/file.pth", "/login"]
    assert left(folder) == []


def test_a_login_page_costs_nothing_that_has_come_before(site, entry, folder):
    site.behaviours = [send(HALF), status(200, HTML, Content_Type="text/html")]
    refused(entry, "is an HTML page")
    assert (folder / f"{entry.file}.part").read_bytes() == DATA[:HALF]
    assert fetch.get(entry).read_bytes() == DATA and site.sent == SIZE


def test_redirections_lead_to_https_only_and_come_to_an_end(site, entry, folder):
    site.behaviours = [status(302, Location="http://mirror.invalid/file.pth")]
    refused(entry, "leads to http://mirror.invalid/file.pth, which is not https")
    site.behaviours = [status(302, Location="/file.pth")] * 20
    refused(entry, "infinite loop")
    site.behaviours = [status(302, Location="/moved")]
    assert fetch.get(entry).read_bytes() == DATA
    refused(replace(entry, file="x.pth", source="http://mirror.invalid/x"), "expected an https")


@pytest.mark.parametrize("body", [b"", b"plain text", b'{"error": "not found"}'])
def test_what_is_no_checkpoint_is_neither_kept_nor_recorded(site, entry, folder, body):
    site.data = body
    site.behaviours = [status(200, body)]
    assert refused(entry, "is empty|is no checkpoint|is JSON").startswith(entry.source)
    assert left(folder) == []


@pytest.mark.parametrize("stalled", [send(HALF, then="stall"), silent], ids=["body", "answer"])
def test_a_connection_that_stalls_is_given_up_and_taken_up_again(site, entry, stalled, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", download.Patience(1.0, (0.0, 0.0)))
    site.behaviours = [stalled]
    began = time.monotonic()
    assert fetch.get(entry).read_bytes() == DATA
    # The server itself would hang up after 20 seconds.
    assert 1.0 <= time.monotonic() - began < 20 and len(site.requests) == 2
    assert site.sent == SIZE


@pytest.mark.parametrize("fault", [garbage, hang_up])
def test_an_answer_that_is_none_is_asked_for_again_and_named(site, entry, folder, fault):
    site.behaviours = [fault, send(HALF), fault]
    refused(entry, "failed 3 times, at last: (BadStatusLine no such thing|RemoteDisconnected .*);")
    site.behaviours = [fault]
    assert fetch.get(entry).read_bytes() == DATA and site.sent == SIZE


def test_no_connection_is_told_at_once(entry, folder, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with socket.socket() as taken:  # bound but not listening: refused
        taken.bind(("127.0.0.1", 0))
        source = f"http://127.0.0.1:{taken.getsockname()[1]}/x.pth"
        refused(replace(entry, source=source), "cannot be reached.*refused.*check the network")
    assert left(folder) == []


def test_more_than_was_announced_is_not_taken(site, entry, folder):
    extent = f"bytes {HALF}-{SIZE - 1}/{SIZE}"
    longer = status(206, DATA[HALF:] + b"more", Content_Range=extent, ETag='"one"')
    site.behaviours = [send(HALF), longer]
    assert fetch.get(entry).read_bytes() == DATA
    assert [request[1] for request in site.requests] == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("extent", [
    f"bytes {HALF + 1}-{SIZE - 1}/{SIZE}", f"bytes {HALF}-{SIZE}/{SIZE + 1}", "nonsense", "",
])  # fmt: skip
def test_another_range_than_was_asked_for_is_not_appended(site, entry, extent):
    site.behaviours = [send(HALF), status(206, DATA[HALF:], Content_Range=extent)]
    assert fetch.get(entry).read_bytes() == DATA
    assert site.requests[2][1] is None


def test_a_file_of_unknown_length_is_taken_only_where_its_end_is_told(site, entry, folder):
    site.behaviours = [send_chunked(HALF), send()]
    assert fetch.get(entry).read_bytes() == DATA
    assert site.requests[1][1] is not None
    fetch.get(entry).unlink()
    site.behaviours = [send_chunked()]
    assert fetch.get(entry).read_bytes() == DATA
    fetch.get(entry).unlink()
    site.behaviours = [status(200, DATA, Content_Length="many")]
    refused(entry, "does not tell its length")
    assert left(folder) == [f"{entry.file}.sha256"]


def test_no_room_is_told_before_anything_comes(site, entry, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, SIZE - 1))
    refused(entry, "MiB left, the file needs 0 MiB; make room")
    assert left(folder) == []
    monkeypatch.undo()


def test_a_disk_that_runs_full_keeps_what_has_come(site, entry, folder, monkeypatch):
    opened = Path.open

    def limited(path, mode="r", *arguments, **options):
        file = opened(path, mode, *arguments, **options)
        if mode == "ab":
            write, room = file.write, [HALF]

            def full(data):
                if len(data) > room[0]:
                    write(data[: room[0]])
                    file.flush()
                    raise OSError(errno.ENOSPC, "No space left on device")
                room[0] -= len(data)
                return write(data)

            # The file's own methods cannot be replaced.
            return Stand(file, full)
        return file

    class Stand:
        def __init__(self, file, write):
            self.file, self.write, self.flush = file, write, file.flush

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", limited)
        refused(entry, "the disk of .* is full; make room")
    assert left(folder) == [f"{entry.file}.part", f"{entry.file}.part.json"]
    assert fetch.get(entry).read_bytes() == DATA and site.requests[-1][1] == f"bytes={HALF}-"


def test_a_cache_that_cannot_be_written_to_is_named(site, entry, folder):
    folder.parent.joinpath("checkpoints").write_text("a file")
    refused(entry, f"cannot write to {folder}")
    assert site.requests == []


FETCH = """
import sys
from dataclasses import replace
import backbones
from backbones import fetch
known = replace(backbones.catalogue()["mae_vit_base"], source=sys.argv[1], md5_prefix=None,
                sha256=sys.argv[2])
print(fetch.get(known, lambda *step: print(*step, flush=True)))
"""


def started(entry) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, entry.source, hashlib.sha256(DATA).hexdigest()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_kill_in_the_middle_leaves_what_has_come(site, entry, folder):
    site.behaviours = [slowly(10)]
    part = folder / f"{entry.file}.part"
    with started(entry) as process:
        wait_for(lambda: part.exists() and part.stat().st_size > 1000)
        process.send_signal(signal.SIGKILL)
    had = part.read_bytes()
    assert process.returncode == -signal.SIGKILL and DATA.startswith(had)
    assert not (folder / entry.file).exists()
    assert fetch.get(entry).read_bytes() == DATA
    assert site.requests[-1][1] == f"bytes={len(had)}-"


def test_two_processes_at_once_download_once(site, entry, folder):
    site.behaviours = [slowly(1.5)]
    with started(entry) as first, started(entry) as second:
        said = [process.communicate(timeout=30)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert len(site.requests) == 1
    assert {text.splitlines()[-1] for text in said} == {str(folder / entry.file)}
    # The one that waits is told how far the other is.
    steps = sorted((text.splitlines()[:-1] for text in said), key=len)
    assert steps[1][0] == f"0 {SIZE}" and steps[1][-1] == f"{SIZE} {SIZE}"
    assert steps[0] and set(steps[0]) <= set(steps[1]) - {f"0 {SIZE}"}


def test_offline_nothing_is_asked_for(site, entry, folder, monkeypatch):
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    said = refused(entry, "this run is offline; get http.* and put it at .*leave out --offline")
    assert "--weights-dir" in said and site.requests == []
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    path = fetch.get(entry)
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    assert fetch.get(entry) == path


def test_a_file_that_differs_from_its_first_use_is_refused(site, entry, folder):
    path = fetch.get(entry)
    path.write_bytes(OTHER)
    refused(entry, "not .* as on its first use.*remove it, then fetch it again, or delete")
    path.unlink()
    site.data = OTHER
    record = folder / f"{entry.file}.sha256"
    assert str(record) in refused(entry, "^http.* as on its first use")
    assert left(folder) == [record.name]
    record.unlink()
    assert fetch.get(entry).read_bytes() == OTHER
