"""The shared table of records: one row a cell, many writers, rebuilt from files at any time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from results import record as records
from results.files import ResultsError
from results.record import Record
from results.storage import DEFAULT_HINT, engine_for, inserting, without_password, writing

SCHEMA = 1

_metadata = sa.MetaData()
_about = sa.Table("about", _metadata, sa.Column("schema_version", sa.Integer, primary_key=True))
_cells = sa.Table(
    "cells",
    _metadata,
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("task", sa.String, nullable=False, index=True),
    sa.Column("backbone", sa.String, nullable=False, index=True),
    sa.Column("dataset", sa.String, nullable=False),
    sa.Column("protocol", sa.String, nullable=False),
    sa.Column("scale", sa.String, nullable=False),
    sa.Column("control", sa.String),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("metric", sa.String, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("error", sa.Double),
    sa.Column("n", sa.BigInteger),
    sa.Column("finished", sa.Integer, nullable=False),
    sa.Column("updated", sa.String, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)
_PRECEDENCE = ("finished", "updated", "sha256")
"""Of two records of a cell the later in this order stays, whichever was written first."""


@dataclass(frozen=True)
class SyncReport:
    """What `Table.sync` found.

    Attributes:
        taken: number of record files that were taken over.
        refused: path -> reason, for files that are no record.
        elsewhere: cells in the table that have no file under the folder; they stay.
    """

    taken: int
    refused: dict[str, str]
    elsewhere: tuple[str, ...]


class Table:
    """A table of records behind an SQLAlchemy URL, made where there is none.

    A cell is one row, however often it is written: a finished record is never replaced by an
    unfinished one, a later one replaces an earlier one.

    Args:
        url: such as `sqlite:///runs/results.sqlite`; a path is an SQLite file.
        create: False where only an existing table is of use.

    Raises:
        ResultsError: it cannot be reached or written, a newer version made it, or there is none
            while `create` is False.
    """

    def __init__(self, url: str | Path, create: bool = True) -> None:
        self.url = without_password(url)
        with _explained(self.url):
            self._engine = engine_for(url, create)
            self._open(create)

    def put(self, record: Record) -> None:
        """Write a record.

        Raises:
            ResultsError: the record is malformed, or the table cannot be written.
        """
        self._put([record])

    def records(
        self, task: str | None = None, backbone: str | None = None, cell: str = ""
    ) -> list[Record]:
        """The records, in the order of their cells, whatever the order of writing.

        Args:
            task, backbone: names; None takes all.
            cell: beginning of the cell's hash.
        """
        query = sa.select(_cells.c.cell, _cells.c.record).order_by(_cells.c.cell)
        query = query.where(_cells.c.cell.startswith(cell, autoescape=True))
        if task is not None:
            query = query.where(_cells.c.task == task)
        if backbone is not None:
            query = query.where(_cells.c.backbone == backbone)
        with _explained(self.url), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [records.parse(text, f"{self.url}, cell {name[:12]}") for name, text in rows]

    def sync(self, root: Path) -> SyncReport:
        """Take over every record below `root`. Into a new table this gives the table that the
        runs themselves have written.

        Raises:
            ResultsError: there is no such folder, or the table cannot be written.
            OSError: a folder below cannot be read.
        """
        found, refused = [], {}
        for path in _record_files(root):
            try:
                found.append(records.read(path))
            except ResultsError as error:
                refused[str(path)] = str(error)
        self._put(found)
        here = {record.cell for record in found}
        with _explained(self.url), self._engine.connect() as connection:
            cells = connection.scalars(sa.select(_cells.c.cell).order_by(_cells.c.cell)).all()
        elsewhere = tuple(cell for cell in cells if cell not in here)
        return SyncReport(len(found), refused, elsewhere)

    def _put(self, found: list[Record]) -> None:
        rows = [_row(record) for record in found]
        with _explained(self.url), writing(self._engine) as connection:
            for row in rows:
                connection.execute(_upsert(connection.dialect.name, row))

    def _open(self, create: bool) -> None:
        with self._engine.connect() as connection:
            version = _version(connection)
        if version is None and not create:
            raise ResultsError(f"`{self.url}` is a database without results: {DEFAULT_HINT}")
        if version is None:
            with writing(self._engine) as connection:
                _metadata.create_all(connection)
                insert = inserting(connection.dialect.name, _about)
                connection.execute(insert.values(schema_version=SCHEMA).on_conflict_do_nothing())
        elif version > SCHEMA:
            raise ResultsError(
                f"the table `{self.url}` is of version {version}, this harness knows up to "
                f"{SCHEMA}: update harness, or {DEFAULT_HINT}"
            )


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(_about.name):
        return None
    version: int | None = connection.scalar(sa.select(sa.func.max(_about.c.schema_version)))
    return version


def _row(record: Record) -> dict[str, Any]:
    text = record.to_json()
    figure = record.metrics.get(record.primary)
    return {
        "cell": record.cell,
        "task": record.task,
        "backbone": record.backbone["name"],
        "dataset": record.dataset,
        "protocol": record.protocol,
        "scale": record.scale,
        "control": record.control,
        "seed": record.seed,
        "status": record.status,
        "metric": record.primary,
        "value": None if figure is None else figure.value,
        "error": None if figure is None else figure.error,
        "n": None if figure is None else figure.n,
        "finished": int(record.status == "finished"),
        # One way of writing, so that texts are ordered as times are.
        "updated": datetime.fromisoformat(record.updated).isoformat(timespec="microseconds"),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "record": text,
    }


def _upsert(dialect: str, row: dict[str, Any]) -> sa.Executable:
    insert = inserting(dialect, _cells).values(row)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["cell"],
        set_={name: new[name] for name in row if name != "cell"},
        where=sa.tuple_(*(new[name] for name in _PRECEDENCE))
        > sa.tuple_(*(_cells.c[name] for name in _PRECEDENCE)),
    )


def _record_files(root: Path) -> list[Path]:
    if not root.is_dir():
        raise ResultsError(f"there is no folder `{root}`: give the one that holds the runs")

    def stop(error: OSError) -> None:
        raise error

    # Path.rglob passes over folders that it may not read.
    folders = (
        Path(folder) for folder, _, names in os.walk(root, onerror=stop) if records.NAME in names
    )
    return sorted(folder / records.NAME for folder in folders)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except (sa.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        raise ResultsError(
            f"the results table `{url}` cannot be used ({cause}): {DEFAULT_HINT}"
        ) from None
