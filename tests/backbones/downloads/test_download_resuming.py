"""Going on where a download broke off, and only where it is the same file."""

from __future__ import annotations

from typing import Any

import pytest

from backbones import download, fetch
from tests.backbones.downloading import DATA, HALF, HTML, OTHER, SIZE, left, refused
from tests.backbones.server import send, status


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


def test_a_login_page_costs_nothing_that_has_come_before(site, entry, folder):
    site.behaviours = [send(HALF), status(200, HTML, Content_Type="text/html")]
    refused(entry, "is an HTML page")
    assert (folder / f"{entry.file}.part").read_bytes() == DATA[:HALF]
    assert fetch.get(entry).read_bytes() == DATA and site.sent == SIZE


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
