"""A store in a SQLite file."""

import os
import struct
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from memspan.errors import InvalidArgument, UnreadableFile, shown
from memspan.runtime.files import demand_folder, make_folder
from memspan.runtime.passwords import without_passwords
from memspan.store.database import DOCTOR, NoStore, StoreFailed, demand_version, says
from memspan.store.migration import migrate
from memspan.store.schema import APPLICATION, METADATA, VERSION, WITHOUT_CHECKSUMS, tables

MILLISECONDS_TO_WAIT = 1000
"""How long SQLite waits at a time for another process that writes. It handles no signals meanwhile."""
SECONDS_TO_OPEN = 10.0
FOLDER = "the folder of the store"  # its name in messages


class SQLite:
    """A SQLite file. A rollback journal and full synchronisation let committed data survive a loss of power."""

    patience = 600.0
    rescue = DOCTOR
    schema: str | None = None

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, without_passwords(str(path))
        self.journal = Path(f"{path}-journal")

    def demand_place(self) -> None:
        """As in `Database`."""
        demand_folder(self.path.parent, FOLDER)
        if self.path.parent.is_dir() and not os.access(self.path.parent, os.W_OK):
            raise InvalidArgument(FOLDER, "writable", repr(str(self.path.parent)))

    def open(self, *, create: bool) -> Engine:
        """As in `Database`."""
        self._look(create)
        # The parts of the URL are passed separately, because a path may contain ? or %. It is absolute, so that
        # :memory: is an ordinary name.
        engine = create_engine(URL.create("sqlite", database=str(self.path.absolute())))
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        try:
            self._check_patiently(engine)
        except DBAPIError as error:
            engine.dispose()
            if says(error, "unable to open", "readonly", "locked", "full", "disk I/O"):
                raise StoreFailed(f"{self.place} cannot be opened as a store: {error.orig}") from None
            raise UnreadableFile(self._damaged(error.orig)) from None
        except UnicodeDecodeError:  # SQLite quotes damaged text in its error
            engine.dispose()
            raise UnreadableFile(self._damaged("the names of its tables are not UTF-8")) from None
        except BaseException:
            engine.dispose()
            raise
        self._file = _identity(self.path)
        return engine

    def _check_patiently(self, engine: Engine) -> None:
        """Check the store. Wait if another process has locked it for a large transaction."""
        until = time.monotonic() + SECONDS_TO_OPEN
        while True:
            try:
                return self._check(engine)
            except DBAPIError as error:
                if not self.passes(error) or time.monotonic() > until:
                    raise

    def _check(self, engine: Engine) -> None:
        with engine.connect() as connection:
            wrong = connection.execute(text("PRAGMA integrity_check(1)")).scalar_one()
        if wrong != "ok":
            raise UnreadableFile(self._damaged(wrong))
        self._make_tables(engine)

    def insert(self, table: Table) -> Any:
        """As in `Database`."""
        return sqlite.insert(table).on_conflict_do_nothing()

    def writing(self, engine: Engine) -> AbstractContextManager[Connection]:
        """As in `Database`."""
        return engine.execution_options(writes=True).begin()

    def passes(self, error: DBAPIError) -> bool:
        """As in `Database`."""
        return says(error, "locked")

    def lost(self) -> bool:
        """As in `Database`."""
        return self._file != _identity(self.path)

    def damaged(self, error: DBAPIError) -> bool:
        """As in `Database`."""
        return says(error, "malformed", "not a database", "Could not decode", "no such column", "no such table")

    def version(self, connection: Connection) -> int:
        """As in `Database`."""
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())

    def mark(self, connection: Connection, version: int) -> None:
        """As in `Database`."""
        connection.execute(text(f"PRAGMA user_version = {version}"))

    def exclude_others(self, connection: Connection) -> None:
        """Do nothing: a transaction that writes excludes other writers already."""

    def size(self, connection: Connection) -> int:
        """As in `Database`."""
        return self.path.stat().st_size

    def _look(self, create: bool) -> None:
        """Check the header of the file before SQLite opens it."""
        if not self.path.name:  # "." or "/"
            raise InvalidArgument("store", "a file", shown(self.place))
        if not self.path.exists():
            if not create:
                raise NoStore(self.place)
            make_folder(self.path.parent, FOLDER)
            return
        if not self.path.is_file():
            raise InvalidArgument("store", "a file", shown(self.place))
        with self.path.open("rb") as file:
            header = file.read(100)
        if not header:  # SQLite leaves an empty file when it is killed before the first transaction
            if not create and not self.journal.exists():
                raise NoStore(self.place)
            return
        if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
            raise UnreadableFile(f"{self.place} is not a memspan store: it is not a SQLite database.")
        version, application = struct.unpack(">i4xi", header[60:72])
        if application != APPLICATION:
            raise UnreadableFile(f"{self.place} is a SQLite database, but not a memspan store.")
        demand_version(self.place, version)
        size, whole = self.path.stat().st_size, whole_size(header)
        if size < whole and not self.journal.exists():
            raise UnreadableFile(self._damaged(f"truncated: {size:,} of {whole:,} bytes"))

    def _make_tables(self, engine: Engine) -> None:
        """Create or migrate the tables if necessary. Otherwise write nothing: the disk may be read-only."""
        with engine.connect() as connection:
            is_store = connection.execute(text("PRAGMA application_id")).scalar_one() == APPLICATION
            if is_store and self.version(connection) >= WITHOUT_CHECKSUMS and not self._missing_tables(connection):
                return
        with self.writing(engine) as connection:
            if connection.execute(text("PRAGMA application_id")).scalar_one() != APPLICATION:
                connection.execute(text(f"PRAGMA application_id = {APPLICATION}"))
                self.mark(connection, VERSION)
                METADATA.create_all(connection)
            if missing := self._missing_tables(connection):
                raise UnreadableFile(self._damaged(f"missing tables: {', '.join(sorted(missing))}"))
            if self.version(connection) < WITHOUT_CHECKSUMS:
                migrate(connection)
                self.mark(connection, WITHOUT_CHECKSUMS)

    def _missing_tables(self, connection: Connection) -> set[str]:
        present = set(inspect(connection).get_table_names())
        return {table.name for table in tables(self.version(connection))} - present

    def _damaged(self, why: object) -> str:
        return f"{self.place} is damaged ({why}). {DOCTOR}"


def _identity(path: Path) -> tuple[int, int] | None:
    """The device and inode of a file, which tell whether another file has taken its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def whole_size(header: bytes) -> int:
    """The size of a SQLite file according to its header, in bytes; 0 if the header does not tell.

    See https://www.sqlite.org/fileformat.html, section 1.3.
    """
    size = int.from_bytes(header[16:18], "big")
    changes, pages, valid_for = (int.from_bytes(header[at : at + 4], "big") for at in (24, 28, 92))
    return (65536 if size == 1 else size) * pages if changes == valid_for else 0


def _set_up(connection: Any, record: object) -> None:
    connection.isolation_level = None  # `_begin` begins transactions, instead of Python's sqlite3
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {MILLISECONDS_TO_WAIT}")
    for pragma in ("journal_mode = DELETE", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction. One that writes takes its lock at once: after a read it could not wait for others."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
