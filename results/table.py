"""The shared table of records: one row a cell, many writers, rebuilt from files at any time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from results import record as records
from results.files import ResultsError
from results.record import Record

SCHEMA = 1
BUSY_SECONDS = 60

_metadata = sa.MetaData()
_about = sa.Table("about", _metadata, sa.Column("schema_version", sa.Integer, primary_key=True))
_cells = sa.Table(
    "cells",
    _metadata,
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("task", sa.String, nullable=False, index=True),
    sa.Column("backbone", sa.String, nullable=False, index=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("updated", sa.String, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class SyncReport:
    """What `Table.sync` found: records taken over, and files that are no record with the reason."""

    taken: int
    refused: dict[str, str]


class Table:
    """A table of records behind an SQLAlchemy URL.

    Raises:
        ResultsError: it cannot be reached or written, or a newer version made it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        with self._explained():
            self._engine = _engine(url)
            self._open()

    def put(self, record: Record) -> None:
        """Write a record; a cell's earlier row is replaced unless it is the more recent one."""
        row = {
            "cell": record.cell,
            "task": record.task,
            "backbone": str(record.backbone["name"]),
            "status": record.status,
            "updated": record.updated,
            "record": record.model_dump_json(),
        }
        with self._explained(), self._engine.begin() as connection:
            connection.execute(_upsert(connection.dialect.name, row))

    def records(self, task: str | None = None, backbone: str | None = None) -> list[Record]:
        """The records, in the order of their cells, whatever the order of writing."""
        query = sa.select(_cells.c.cell, _cells.c.record).order_by(_cells.c.cell)
        if task is not None:
            query = query.where(_cells.c.task == task)
        if backbone is not None:
            query = query.where(_cells.c.backbone == backbone)
        with self._explained(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [records.parse(text, f"{self.url}, cell {cell[:12]}") for cell, text in rows]

    def sync(self, root: Path) -> SyncReport:
        """Take over every record below `root`; files are the truth, so a row that has one is
        replaced by it. Files that are no record are named, none is skipped silently."""
        taken, refused = 0, {}
        if not root.is_dir():
            raise ResultsError(f"there is no folder `{root}`: give the one that holds the runs")
        for path in sorted(root.rglob(records.NAME)):
            try:
                self.put(records.read(path))
            except ResultsError as error:
                refused[str(path)] = str(error)
            else:
                taken += 1
        return SyncReport(taken, refused)

    def _open(self) -> None:
        with self._engine.begin() as connection:
            known = sa.inspect(connection).has_table("about")
            version = connection.scalar(sa.select(_about.c.schema_version)) if known else None
            if version is None:
                _metadata.create_all(connection, checkfirst=True)
                connection.execute(_once(connection.dialect.name))
        if version is not None and version > SCHEMA:
            raise ResultsError(
                f"the table `{self.url}` is of version {version}, this harness knows up to "
                f"{SCHEMA}: update harness, or give another table with --results"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, ModuleNotFoundError) as error:
            cause = getattr(error, "orig", None) or error
            raise ResultsError(
                f"the results table `{self.url}` cannot be used "
                f"({' '.join(str(cause).split())}): give another with --results"
            ) from None


def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine)
    return engine


def _set_up_sqlite(engine: sa.Engine) -> None:
    """Let many processes write to one file: a log beside it, waiting instead of failing, and the
    write lock taken at the beginning, so that no transaction finds out at its end."""
    if engine.url.database not in (None, "", ":memory:"):
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)

    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")

    @sa.event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _upsert(dialect: str, row: dict[str, Any]) -> sa.Executable:
    insert = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(_cells).values(row)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["cell"],
        set_={name: new[name] for name in row if name != "cell"},
        where=_cells.c.updated <= new.updated,
    )


def _once(dialect: str) -> sa.Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(_about).values(schema_version=SCHEMA).on_conflict_do_nothing()
