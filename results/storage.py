"""What differs between databases, and nothing else does: how SQLite is opened and locked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from results.files import ResultsError

BUSY_SECONDS = 60
DEFAULT_HINT = "give another with `--results`, such as sqlite:///runs/results.sqlite"
SERVED = ("sqlite", "postgresql")

Insert = sqlite.Insert | postgresql.Insert


def engine_for(url: str | Path, create: bool) -> sa.Engine:
    """An engine that holds no connection between two uses.

    Raises:
        ResultsError: not a URL, a database that is not served, or none there while `create` is
            False.
        SQLAlchemyError, ModuleNotFoundError: the database or its driver cannot be used.
    """
    parsed = _parsed(url)
    dialect = parsed.get_backend_name()
    if dialect not in SERVED:
        raise ResultsError(
            f"`{dialect}` is not served, only {' and '.join(SERVED)}: {DEFAULT_HINT}"
        )
    engine = sa.create_engine(parsed, poolclass=sa.NullPool)
    if dialect == "sqlite":
        _set_up_sqlite(engine, create)
    return engine


def without_password(url: str | Path) -> str:
    """The URL as it may be shown.

    Raises:
        ResultsError: it is none.
    """
    return _parsed(url).render_as_string(hide_password=True)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes: all of it or nothing."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def inserting(dialect: str, table: sa.Table) -> Insert:
    """An INSERT that knows ON CONFLICT, which standard SQL does not have."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def _parsed(url: str | Path) -> sa.URL:
    if isinstance(url, Path):
        return sa.URL.create("sqlite", database=str(url))
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ResultsError(f"`{url}` is not the URL of a results table: {DEFAULT_HINT}") from None


def _set_up_sqlite(engine: sa.Engine, create: bool) -> None:
    """Let many processes use one file: a log beside it, waiting instead of failing, and the write
    lock taken at the beginning, so that no transaction finds out at its end."""
    if engine.url.database in (None, "", ":memory:"):
        raise ResultsError(f"`{engine.url}` names no file: {DEFAULT_HINT}")
    path = Path(str(engine.url.database))
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise ResultsError(
            f"there is no results table `{path}`: give its URL with `--results`, or make it from "
            "the records with `harness results sync`"
        )

    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        # None: transactions begin where SQLAlchemy says, not where the driver guesses.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")
        if create:
            # It stays with the file, which may be another program's where it is only read.
            _use_log(connection)

    @sa.event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_log(connection: Any) -> None:
    """Switch to write-ahead logging once; the busy timeout does not cover the switch."""
    import sqlite3

    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
