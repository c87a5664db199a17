"""The table: nothing lost, nothing twice, the same from the files in any order."""

from __future__ import annotations

import multiprocessing
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa

import results
from results import Record, ResultsError, SyncReport, Table
from tests.results.records import make

ROWS = 5


def url(folder: Path, name: str = "table") -> str:
    return f"sqlite:///{folder}/{name}.sqlite"


def content(path: Path) -> list[tuple[object, ...]]:
    """Every column of every row, as SQLite itself has it."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT * FROM cells ORDER BY cell").fetchall()
    connection.close()
    return rows


def write_many(address: str, number: int, start: Barrier) -> None:
    """What one of the concurrent writers does: its own cells, and one that all of them write."""
    start.wait()
    for index in range(ROWS):
        table = Table(address)
        table.put(make(backbone=f"encoder{number}", seed=index, status="running"))
        table.put(make(backbone=f"encoder{number}", seed=index, value=number + index / 100))
        table.put(make(backbone="shared", seed=0))


def test_ten_processes_lose_nothing(tmp_path: Path) -> None:
    # Forked from a server that has imported everything once: ten imports would take a minute.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["results.table", __name__])
    start = context.Barrier(10)
    workers = [
        context.Process(target=write_many, args=(url(tmp_path), number, start))
        for number in range(10)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 10
    found = Table(url(tmp_path)).records()
    expected = [
        make(backbone=f"encoder{number}", seed=index, value=number + index / 100)
        for number in range(10)
        for index in range(ROWS)
    ]
    expected.append(make(backbone="shared", seed=0))
    assert found == sorted(expected, key=lambda record: record.cell)


def some() -> list[Record]:
    return [
        make(seed=0),
        make(seed=1, status="failed", reason="the loss is nan", step=3),
        make(backbone="mae", value=1 / 3, error=None),
        make(task="depth", control="constant"),
    ]


def test_order_and_repetition_are_nothing(tmp_path: Path) -> None:
    one, two = Table(url(tmp_path, "one")), Table(url(tmp_path, "two"))
    for record in some():
        one.put(record)
    for record in [*reversed(some()), *some()]:
        two.put(record)
    assert content(tmp_path / "one.sqlite") == content(tmp_path / "two.sqlite")
    assert len(one.records()) == 4


def test_of_two_records_of_a_cell_the_same_one_stays(tmp_path: Path) -> None:
    early = make(updated="2026-01-01T00:00:00+00:00")
    late = make(value=0.4, updated="2026-01-01T00:00:00.5Z")
    running = make(status="running", updated="2026-01-02T00:00:00+00:00")
    twin = make(value=0.5, updated="2026-01-01T00:00:00.500000+00:00")
    for pair in ((early, late), (running, early), (running, late), (late, twin)):
        kept = []
        for number, order in enumerate((pair, pair[::-1])):
            table = Table(url(tmp_path, f"order{number}"))
            for record in order:
                table.put(record)
            kept.append(table.records())
            (tmp_path / f"order{number}.sqlite").unlink()
        assert kept[0] == kept[1]
        if twin not in pair:
            assert kept[0] == [pair[1]]


def test_a_run_that_goes_on_replaces_its_row(tmp_path: Path) -> None:
    table = Table(url(tmp_path))
    first = make(status="running", updated="2026-01-01T00:00:00+00:00")
    ended = make(status="interrupted", updated="2026-01-01T00:00:05+00:00")
    again = make(status="running", updated="2026-01-01T00:00:06+00:00")
    for record in (first, ended, again):
        table.put(record)
        assert table.records() == [record]


def test_filters(tmp_path: Path) -> None:
    table = Table(url(tmp_path))
    for record in some():
        table.put(record)
    assert {r.task for r in table.records(task="depth")} == {"depth"}
    assert [r.backbone["name"] for r in table.records(backbone="mae")] == ["mae"]
    assert table.records(task="depth", backbone="mae") == []
    cell = make(seed=0).cell
    assert table.records(cell=cell[:9]) == [make(seed=0)]
    assert table.records(cell="%") == []


def put_files(root: Path, records: list[Record]) -> None:
    for number, record in enumerate(records):
        results.write(record, root / record.task / record.backbone["name"] / str(number))


def test_sync_rebuilds_the_table(tmp_path: Path) -> None:
    written = Table(url(tmp_path, "written"))
    for record in some():
        written.put(record)
    put_files(tmp_path / "runs", some())
    put_files(tmp_path / "reversed", some()[::-1])
    for name in ("runs", "reversed"):
        table = Table(url(tmp_path, f"from_{name}"))
        assert table.sync(tmp_path / name) == SyncReport(4, {}, ())
        assert table.sync(tmp_path / name) == SyncReport(4, {}, ())
        assert content(tmp_path / f"from_{name}.sqlite") == content(tmp_path / "written.sqlite")


def test_sync_names_broken_files_and_keeps_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    put_files(root, some())
    broken = root / "pose" / "simmim" / "0" / "record.json"
    broken.write_text(broken.read_text()[:-40])
    table = Table(url(tmp_path))
    table.put(make(backbone="from elsewhere"))
    report = table.sync(root)
    assert report.taken == 3
    assert list(report.refused) == [str(broken)]
    assert report.elsewhere == (make(backbone="from elsewhere").cell,)
    assert len(table.records()) == 4
    with pytest.raises(ResultsError, match="no folder"):
        table.sync(tmp_path / "nowhere")


def test_a_newer_table_is_refused_untouched(tmp_path: Path) -> None:
    Table(url(tmp_path)).put(make())
    with sqlite3.connect(tmp_path / "table.sqlite") as connection:
        connection.execute("UPDATE about SET schema_version = 2")
    connection.close()
    before = content(tmp_path / "table.sqlite")
    with pytest.raises(ResultsError, match=r"version 2.*update harness") as caught:
        Table(url(tmp_path))
    assert "\n" not in str(caught.value)
    assert content(tmp_path / "table.sqlite") == before


def test_a_newer_record_in_the_table_is_named(tmp_path: Path) -> None:
    table = Table(url(tmp_path))
    table.put(make())
    with sqlite3.connect(tmp_path / "table.sqlite") as connection:
        connection.execute(
            "UPDATE cells SET record = replace(record, '\"schema_version\": 1', "
            "'\"schema_version\": 7')"
        )
    connection.close()
    with pytest.raises(ResultsError, match=rf"{make().cell[:12]}.*layout 7"):
        table.records()


@pytest.mark.parametrize(
    "address",
    ["runs.sqlite", "sqlite://", "mysql://host/db", "oracle://x", "sqlite:///{folder}", ""],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, address: str) -> None:
    with pytest.raises(ResultsError, match="--results") as caught:
        Table(address.format(folder=tmp_path))
    assert "\n" not in str(caught.value)


def test_no_table_is_made_for_reading(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no results table"):
        Table(url(tmp_path / "new"), create=False)
    assert not (tmp_path / "new").exists()


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "table.sqlite") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = (tmp_path / "table.sqlite").read_bytes()
    with pytest.raises(ResultsError, match="a database without results"):
        Table(url(tmp_path), create=False)
    assert (tmp_path / "table.sqlite").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["table.sqlite"]


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """In a URL a question mark would begin the options."""
    (tmp_path / "a?b").mkdir()
    Table(tmp_path / "a?b/table.sqlite").put(make())
    assert Table(tmp_path / "a?b/table.sqlite", create=False).records() == [make()]
    assert [path.name for path in tmp_path.iterdir()] == ["a?b"]


def test_a_record_that_no_table_can_hold_is_refused_alone(tmp_path: Path) -> None:
    results.write(make(), tmp_path / "good")
    text = make(seed=1).to_json().replace('"seed": 1', f'"seed": {2**63}')
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/record.json").write_text(text)
    report = Table(url(tmp_path)).sync(tmp_path)
    assert report.taken == 1
    assert [Path(path).parent.name for path in report.refused] == ["bad"]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "table.sqlite").write_text("this is no database at all" * 100)
    with pytest.raises(ResultsError, match="not a database"):
        Table(url(tmp_path))


def test_a_table_that_cannot_be_written(tmp_path: Path) -> None:
    table = Table(url(tmp_path))
    table.put(make())

    # Root may write to files of mode 444, so SQLite itself is told to refuse.
    @sa.event.listens_for(table._engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only=1")

    with pytest.raises(ResultsError, match="readonly") as caught:
        table.put(make(seed=1))
    assert "\n" not in str(caught.value)
    assert table.records() == [make()]


def test_a_full_database_loses_nothing(tmp_path: Path) -> None:
    table = Table(url(tmp_path))
    table.put(make())
    full = make(seed=1, reason="x" * 10_000_000)
    pages = sqlite3.connect(tmp_path / "table.sqlite").execute("PRAGMA page_count").fetchone()[0]

    @sa.event.listens_for(table._engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 2}")

    with pytest.raises(ResultsError, match="full"):
        table.put(full)
    assert table.records() == [make()]


def test_a_password_is_not_shown() -> None:
    with pytest.raises(ResultsError) as caught:
        Table("postgresql://someone:secret@localhost:1/none")
    assert "secret" not in str(caught.value)
