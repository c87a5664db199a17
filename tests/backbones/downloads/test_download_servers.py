"""Answers that are no file: refusals, redirections, silence, nonsense."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.request
from dataclasses import replace

import pytest

from backbones import download, fetch
from tests.backbones.downloading import DATA, HALF, HTML, SIZE, left, refused
from tests.backbones.server import garbage, hang_up, send, silent, status


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


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_redirection_to_a_login_page_is_told_from_the_file(site, entry, folder, kind):
    site.behaviours = [status(302, Location="/login"), status(200, HTML, Content_Type=kind)]
    assert refused(entry, "is an HTML page").startswith(entry.source)
    assert [request[0] for request in site.requests] == ["/file.pth", "/login"]
    assert left(folder) == []


def test_redirections_lead_to_https_only_and_come_to_an_end(site, entry, folder):
    site.behaviours = [status(302, Location="http://mirror.invalid/file.pth")]
    refused(entry, "leads to http://mirror.invalid/file.pth, which is not https")
    site.behaviours = [status(302, Location="/file.pth")] * 20
    refused(entry, "infinite loop")
    site.behaviours = [status(302, Location="/moved")]
    assert fetch.get(entry).read_bytes() == DATA
    refused(replace(entry, file="x.pth", source="http://mirror.invalid/x"), "expected an https")


def test_nothing_leads_from_https_to_http(site, entry, folder, monkeypatch):
    """Not to this machine either, whose plain server stands for one with TLS here."""
    monkeypatch.setattr(
        urllib.request.HTTPSHandler,
        "https_open",
        lambda self, request: self.do_open(http.client.HTTPConnection, request),
    )
    plain = entry.source
    safe = replace(entry, source=plain.replace("http:", "https:"))
    site.behaviours = [status(302, Location=plain)]
    assert refused(safe, f"leads to {plain}, which is not https").startswith(safe.source)
    site.behaviours = [status(302, Location="/moved"), status(302, Location=plain)]
    refused(safe, f"leads to {plain}, which is not https")
    assert len(site.requests) == 3 and left(folder) == []
    site.behaviours = [status(302, Location=safe.source)]
    assert fetch.get(entry).read_bytes() == DATA


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


def test_offline_nothing_is_asked_for(site, entry, folder, monkeypatch):
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    said = refused(entry, "this run is offline; get http.* and put it at .*leave out --offline")
    assert "--weights-dir" in said and site.requests == []
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    path = fetch.get(entry)
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    assert fetch.get(entry) == path
