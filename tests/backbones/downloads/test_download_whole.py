"""What has come is the file that it should be, whole, or nothing is kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from backbones import fetch
from tests.backbones.downloading import DATA, HALF, OTHER, SIZE, left, refused
from tests.backbones.server import send, send_chunked, status


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


@pytest.mark.parametrize(("field", "value"), [
    ("sha256", hashlib.sha256(OTHER).hexdigest()), ("sha256_prefix", "00000000"),
    ("md5_prefix", "000000"),
])  # fmt: skip
def test_a_file_with_another_hash_never_lies_in_its_place(site, entry, folder, field, value):
    said = refused(replace(entry, **{field: value}), rf"has .* not {value[:12]}; expected the pub")
    assert said.startswith(entry.source)
    assert left(folder) == []


@pytest.mark.parametrize("body", [b"", b"plain text", b'{"error": "not found"}'])
def test_what_is_no_checkpoint_is_neither_kept_nor_recorded(site, entry, folder, body):
    site.data = body
    site.behaviours = [status(200, body)]
    assert refused(entry, "is empty|is no checkpoint|is JSON").startswith(entry.source)
    assert left(folder) == []


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
