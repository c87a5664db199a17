"""What this machine does to a download: a full disk, a kill, another process."""

from __future__ import annotations

import errno
import hashlib
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from backbones import fetch
from tests.backbones.downloading import DATA, HALF, SIZE, left, refused
from tests.backbones.server import slowly, wait_for


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
