"""A store in a SQLite file."""

import struct
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from memspan.errors import InvalidArgument, UnreadableFile
from memspan.runtime.passwords import without_passwords
from memspan.store.database import DOCTOR, NoStore, StoreFailed, demand_version, says
from memspan.store.migration import migrate
from memspan.store.schema import APPLICATION, METADATA, VERSION, WITHOUT_CHECKSUMS

MILLISECONDS_TO_WAIT = 1000
"""For another process that writes, at a time: meanwhile no signal is heard."""
SECONDS_TO_OPEN = 10.0


class SQLite:
    """A file. With a rollback journal and full synchronisation, what was committed survives a loss of power."""

    patience = 600.0
    schema: str | None = None

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, without_passwords(str(path))
        self.journal = Path(f"{path}-journal")

    def open(self, *, create: bool) -> Engine:
        """As in `Database`."""
        self._look(create)
        # Not a URL in one string: a name may have ? or % in it. And absolute: :memory: is a name like any other.
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
        except UnicodeDecodeError:  # SQLite quotes what is damaged
            engine.dispose()
            raise UnreadableFile(self._damaged("its tables have names that are no text")) from None
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _check_patiently(self, engine: Engine) -> None:
        """Another process may be writing a large transaction."""
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
        """As in `Database`; a transaction that writes does so anyway."""

    def size(self, connection: Connection) -> int:
        """As in `Database`."""
        return self.path.stat().st_size

    def _look(self, create: bool) -> None:
        """Read the header of the file, before SQLite is let near it."""
        if not self.path.name:  # as of "." and "/"
            raise InvalidArgument("store", "a file", repr(self.place))
        if not self.path.exists():
            if not create:
                raise NoStore(self.place)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                rule = "in a folder that can be made"
                raise InvalidArgument("store", rule, f"{self.place}: {error.strerror}") from None
            return
        if not self.path.is_file():
            raise InvalidArgument("store", "a file", repr(self.place))
        with self.path.open("rb") as file:
            header = file.read(100)
        if not header:  # as SQLite leaves it when it is killed before the first transaction
            if not create and not self.journal.exists():
                raise UnreadableFile(f"{self.place} is empty, and not a store")
            return
        if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
            raise UnreadableFile(f"{self.place} is not a store of memspan's: it is not a SQLite database")
        version, application = struct.unpack(">i4xi", header[60:72])
        if application != APPLICATION:
            raise UnreadableFile(f"{self.place} is a SQLite database, but not a store of memspan's")
        demand_version(self.place, version)
        size, whole = self.path.stat().st_size, whole_size(header)
        if size < whole and not self.journal.exists():
            raise UnreadableFile(self._damaged(f"cut off: {size:,} of {whole:,} bytes"))

    def _make_tables(self, engine: Engine) -> None:
        with self.writing(engine) as connection:
            if connection.execute(text("PRAGMA application_id")).scalar_one() != APPLICATION:
                connection.execute(text(f"PRAGMA application_id = {APPLICATION}"))
                self.mark(connection, VERSION)
                METADATA.create_all(connection)
            if missing := METADATA.tables.keys() - set(inspect(connection).get_table_names()):
                raise UnreadableFile(self._damaged(f"it has no table {', '.join(sorted(missing))}"))
            if self.version(connection) < WITHOUT_CHECKSUMS:
                migrate(connection)
                self.mark(connection, WITHOUT_CHECKSUMS)

    def _damaged(self, why: object) -> str:
        return f"{self.place} is damaged ({why}); {DOCTOR}"


def whole_size(header: bytes) -> int:
    """The bytes of a SQLite file by its header (https://www.sqlite.org/fileformat.html, section 1.3)."""
    size = int.from_bytes(header[16:18], "big")
    changes, pages, valid_for = (int.from_bytes(header[at : at + 4], "big") for at in (24, 28, 92))
    return (65536 if size == 1 else size) * pages if changes == valid_for else 0


def _set_up(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, and not where sqlite3 thinks
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {MILLISECONDS_TO_WAIT}")
    for pragma in ("journal_mode = DELETE", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """One that will write says so at once: one that had read first could not wait for another to finish."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
