"""Where a store can be: in a SQLite file, or on a PostgreSQL server. All that differs between them is here."""

import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError

from memspan.errors import InvalidArgument, MachineFailed, UnreadableFile
from memspan.store.schema import APPLICATION, METADATA, VERSION

MILLISECONDS_TO_WAIT = 1000
"""For another process that writes, at a time: meanwhile no signal is heard."""

Result = TypeVar("Result")
SECONDS_TO_OPEN = 10.0
SECONDS_TO_TELL = 2.0  # that it is waited for
SECONDS_TO_PAUSE = 0.5  # before a server that was lost is tried again
PASSING = ("08", "40", "57P")  # PostgreSQL's states: a lost connection, a transaction to be repeated, a shutdown


class StoreFailed(MachineFailed):
    """A store cannot be written or reached: the disk is full, the server is gone. What it held is still there."""


class NoStore(InvalidArgument):
    """There is no store at that place, and none was to be made."""


class Database(Protocol):
    """A place for tables."""

    place: str
    """Where it is, for messages; without a password."""
    patience: float
    """Seconds in which a connection that was lost may come back, or another process end its transaction."""

    def open(self, *, create: bool) -> Engine:
        """An engine, after everything has been looked at; make the tables if there are none.

        Raises
        ------
        UnreadableFile
            When it is damaged, not a store, or one of a newer version. Nothing was changed.
        InvalidArgument
            When there is none, and none is to be made.
        """

    def insert(self, table: Table) -> Any:
        """An insertion that leaves out what is there already."""

    def writing(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A transaction that nobody else writes beside."""

    def passes(self, error: DBAPIError) -> bool:
        """Whether the same might work a little later."""

    def size(self, connection: Connection) -> int:
        """Bytes of all tables."""


def database(store: str | Path) -> Database:
    """The database of a path or a URL."""
    if not isinstance(store, str | Path) or not str(store) or "\0" in str(store):  # type: ignore[redundant-expr]
        raise InvalidArgument("store", "a path, or the URL of a PostgreSQL database", repr(store))
    if not isinstance(store, Path) and store.startswith(("postgresql:", "postgres:", "postgresql+psycopg:")):
        return PostgreSQL(store)
    if not isinstance(store, Path) and "://" in store:
        raise InvalidArgument("store", "a path, or a URL such as postgresql://user@host/database", repr(store))
    return SQLite(Path(store))


class Transactions:
    """Of an open database: each is called with what is to be done, and done as a whole or not at all.

    Attributes
    ----------
    waiting : callable
        Called once, with the reason and `Database.patience`, when one has waited for some seconds.

    Raises
    ------
    StoreFailed
        When the database cannot be reached or written.
    """

    def __init__(self, database: Database, *, create: bool) -> None:
        self.database, self._engine = database, database.open(create=create)
        self.waiting: Callable[[str, float], None] = lambda reason, seconds: None

    def __call__(self, work: Callable[[Connection], Result], *, writes: bool = False) -> Result:
        """Do it in one transaction; again, where a server was lost and may come back."""
        began, told = time.monotonic(), False
        while True:
            try:
                with self.database.writing(self._engine) if writes else self._engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                raise
            except DBAPIError as error:
                waited, reason = time.monotonic() - began, str(error.orig).strip()
                if not self.database.passes(error) or waited > self.database.patience:
                    kept = "what it held before is still there"
                    raise StoreFailed(f"{self.database.place} cannot be used: {reason}; {kept}") from None
            if waited > SECONDS_TO_TELL and not told:
                told = True
                self.waiting(reason, self.database.patience)
            time.sleep(SECONDS_TO_PAUSE)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


class SQLite:
    """A file. With a rollback journal and full synchronisation, what was committed survives a loss of power."""

    patience = 600.0

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, str(path)
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
            if _says(error, "unable to open", "readonly", "locked", "full", "disk I/O"):
                raise StoreFailed(f"{self.place} cannot be opened as a store: {error.orig}") from None
            raise UnreadableFile(self._damaged(error.orig)) from None
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
            wrong = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
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
        return _says(error, "locked")

    def size(self, connection: Connection) -> int:
        """As in `Database`."""
        return self.path.stat().st_size

    def _look(self, create: bool) -> None:
        """Read the header of the file, before SQLite is let near it."""
        if not self.path.name:  # as of "." and "/"
            raise InvalidArgument("store", "a file", repr(self.place))
        if not self.path.exists():
            if not create:
                raise NoStore("store", "a store that is there", repr(self.place))
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
        _demand_version(self.place, version)
        size, whole = self.path.stat().st_size, whole_size(header)
        if size < whole and not self.journal.exists():
            raise UnreadableFile(self._damaged(f"cut off: {size:,} of {whole:,} bytes"))

    def _make_tables(self, engine: Engine) -> None:
        with self.writing(engine) as connection:
            if connection.execute(text("PRAGMA application_id")).scalar_one() != APPLICATION:
                connection.execute(text(f"PRAGMA application_id = {APPLICATION}"))
                connection.execute(text(f"PRAGMA user_version = {VERSION}"))
                METADATA.create_all(connection)
            if missing := METADATA.tables.keys() - set(inspect(connection).get_table_names()):
                raise UnreadableFile(self._damaged(f"it has no table {', '.join(sorted(missing))}"))

    def _damaged(self, why: object) -> str:
        return f"{self.place} is damaged ({why}); `memspan store doctor` saves what can be read"


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


class PostgreSQL:
    """A server, reached through psycopg 3; the tables are in a schema `memspan` of the database."""

    patience = 60.0
    LOCK = APPLICATION  # an advisory one, held while tables are made

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):
            rule = "a URL such as postgresql://user@host/database"
            raise InvalidArgument("store", rule, "one that cannot be read") from None  # it may hold a password
        shown = self.url.set(drivername="postgresql").difference_update_query(["password"])
        self.place = shown.render_as_string(hide_password=True)

    def open(self, *, create: bool) -> Engine:
        """As in `Database`."""
        try:
            engine = create_engine(self.url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
        except ModuleNotFoundError:
            rule = "a path, unless psycopg is installed: pip install 'memspan[postgres]'"
            raise InvalidArgument("store", rule, repr(self.place)) from None
        engine = engine.execution_options(schema_translate_map={None: "memspan"})
        try:
            with self.writing(engine) as connection:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({self.LOCK})"))
                self._make_tables(connection, create)
        except DBAPIError as error:
            engine.dispose()
            raise StoreFailed(f"{self.place} cannot be used as a store: {str(error.orig).strip()}") from None
        except BaseException:
            engine.dispose()
            raise
        return engine

    def insert(self, table: Table) -> Any:
        """As in `Database`."""
        return postgresql.insert(table).on_conflict_do_nothing()

    def writing(self, engine: Engine) -> AbstractContextManager[Connection]:
        """As in `Database`."""
        return engine.begin()

    def passes(self, error: DBAPIError) -> bool:
        """As in `Database`."""
        state = getattr(error.orig, "sqlstate", None) or ""  # none where the server was not reached at all
        lost = error.connection_invalidated or (isinstance(error, OperationalError) and not state)
        return lost or state.startswith(PASSING)

    def size(self, connection: Connection) -> int:
        """As in `Database`."""
        sizes = (
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'memspan'::regnamespace"
        )
        kinds = " AND relkind = 'r'"
        return int(connection.execute(text(sizes + kinds)).scalar_one())

    def _make_tables(self, connection: Connection, create: bool) -> None:
        found = inspect(connection).get_schema_names()
        if "memspan" in found:
            tables = inspect(connection).get_table_names(schema="memspan")
            if "about" not in tables:
                raise UnreadableFile(f"{self.place} has a schema memspan, but it is not a store of memspan's")
            _demand_version(self.place, connection.execute(text("SELECT version FROM memspan.about")).scalar_one())
            return
        if not create:
            raise NoStore("store", "a store that is there", repr(self.place))
        connection.execute(text("CREATE SCHEMA memspan"))
        connection.execute(text("CREATE TABLE memspan.about (version integer NOT NULL)"))
        connection.execute(text(f"INSERT INTO memspan.about VALUES ({VERSION})"))
        METADATA.create_all(connection)


def _says(error: DBAPIError, *words: str) -> bool:
    return any(word in str(error.orig) for word in words)


def _demand_version(place: str, version: int) -> None:
    if version > VERSION:
        rule = f"this memspan knows schemas up to {VERSION}"
        raise UnreadableFile(f"{place} was made by a newer memspan: its schema is {version}, {rule}")
    if version < 1:
        raise UnreadableFile(f"{place} says of itself that its schema is {version}, and there is no such schema")
