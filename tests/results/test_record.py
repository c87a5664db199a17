"""The record file: exact, whole, and refused in one line where it is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import results
from results import ResultsError
from tests.results.records import make


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    record = make(value=0.1 + 0.2, reason="ünïcode\n| bar", cost={"wall_seconds": 1e-300})
    path = results.write(record, tmp_path)
    assert results.read(path) == record
    assert results.read(tmp_path).to_json() == record.to_json() == path.read_text("utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("nonsense", "malformed"),
        ("[1]", "no record"),
        ("{}", "schema_version"),
        ('{"schema_version": NaN}', "NaN"),
        ("[" * 100_000, "malformed"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=says) as caught:
        results.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = results.write(make(), tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ResultsError):
            results.read(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 2}, "update harness"),
        ({"status": "done"}, "status"),
        ({"invented": 1}, "invented"),
        ({"cell": "xyz"}, "cell"),
        ({"metrics": {}}, "primary metric `AP`"),
        ({"updated": "2026-01-01T00:00:00+02:00"}, "UTC"),
        ({"updated": "yesterday"}, "updated"),
        ({"seed": None}, "seed"),
    ],
)
def test_a_malformed_record_names_the_field(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    path = results.write(make(), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ResultsError, match=says):
        results.read(path)


def test_missing_and_unreadable_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot read"):
        results.read(tmp_path / "nowhere.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultsError, match="UTF-8"):
        results.read(tmp_path / "binary")


def test_numbers_that_json_lacks_are_refused(tmp_path: Path) -> None:
    results.write(make(), tmp_path)
    for change in ({"cost": {"rates": [1.0, float("inf")]}}, {"recipe": {"lr": float("nan")}}):
        broken = make().model_copy(update=change)
        with pytest.raises(ResultsError, match=r"cost\.rates\.1|recipe\.lr"):
            results.write(broken, tmp_path)
    with pytest.raises(ValueError, match="finite"):
        make(value=float("nan"))
    # The earlier record is still there.
    assert results.read(tmp_path) == make()


def test_a_copy_that_was_not_validated_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="status"):
        results.write(make().model_copy(update={"status": "nonsense"}), tmp_path)
    assert not list(tmp_path.iterdir())


WRITER = """
import sys
from pathlib import Path
import results
from tests.results.records import make
folder = Path(sys.argv[1])
number = 0
while True:
    number += 1
    results.write(make(seed=number, reason="x" * (number % 7) * 20000), folder)
    if number == 1:
        print("begun", flush=True)
"""


def test_a_killed_writer_leaves_a_whole_record(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
        for folder in folders
    ]
    for number, (writer, folder) in enumerate(zip(writers, folders, strict=True)):
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        time.sleep(0.03 + 0.017 * number)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        assert results.read(folder).seed >= 1


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import results, sys; heavy = {'sqlalchemy', 'pyarrow', 'pydantic', 'scipy', 'numpy', "
        "'torch', 'harness', 'tasks', 'backbones'} & set(sys.modules); sys.exit(str(heavy) if "
        "heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
