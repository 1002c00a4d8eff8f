"""A store on a PostgreSQL server."""

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, inspect, make_url, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from memspan.errors import InvalidArgument, UnreadableFile, shown
from memspan.runtime.passwords import without_passwords
from memspan.store.database import NoStore, StoreFailed, demand_version
from memspan.store.migration import migrate
from memspan.store.schema import APPLICATION, METADATA, VERSION, WITHOUT_CHECKSUMS

SECRET = ("password", "sslpassword")  # settings in a URL that are never shown
PASSING = ("08", "40", "57P")  # classes of SQLSTATE: lost connection, transaction to repeat, shutdown
DAMAGED = ("XX001", "XX002", "22021", "42703", "42P01")  # damaged page, index or text; missing column or table


class PostgreSQL:
    """A database on a server, reached through psycopg 3. The tables are in its schema `memspan`."""

    patience = 60.0
    rescue = "Restore the database from a backup."
    schema: str | None = "memspan"
    LOCK = APPLICATION  # the advisory lock held while the schema changes

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):
            rule = "a URL such as postgresql://user@host/database"
            raise InvalidArgument("store", rule, "one that cannot be parsed") from None  # it may hold a password
        shown = self.url.set(drivername="postgresql").difference_update_query(SECRET)
        self.place = shown.render_as_string(hide_password=True)

    def demand_place(self) -> None:
        """Do nothing: whether a schema can be created is known only when the server is reached."""

    def open(self, *, create: bool) -> Engine:
        """As in `Database`."""
        try:
            engine = create_engine(self.url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
        except ModuleNotFoundError:
            rule = "a path, because psycopg is not installed (pip install 'memspan[postgres]')"
            raise InvalidArgument("store", rule, shown(self.place)) from None
        engine = engine.execution_options(schema_translate_map={None: "memspan"})
        try:
            with self.writing(engine) as connection:
                self.exclude_others(connection)
                self._make_tables(connection, create)
        except DBAPIError as error:
            engine.dispose()
            reason = without_passwords(" ".join(str(error.orig).split()))
            raise StoreFailed(f"{self.place} cannot be used as a store: {reason}") from None
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
        state = getattr(error.orig, "sqlstate", None) or ""  # none if the server could not be reached
        lost = error.connection_invalidated or (isinstance(error, OperationalError) and not state)
        return lost or state.startswith(PASSING)

    def lost(self) -> bool:
        """Return False: the server's own errors say what is missing."""
        return False

    def damaged(self, error: DBAPIError) -> bool:
        """As in `Database`."""
        return (getattr(error.orig, "sqlstate", None) or "").startswith(DAMAGED)

    def version(self, connection: Connection) -> int:
        """As in `Database`."""
        return int(connection.execute(text("SELECT version FROM memspan.about")).scalar_one())

    def mark(self, connection: Connection, version: int) -> None:
        """As in `Database`."""
        connection.execute(text(f"UPDATE memspan.about SET version = {version}"))

    def exclude_others(self, connection: Connection) -> None:
        """As in `Database`."""
        connection.execute(text(f"SELECT pg_advisory_xact_lock({self.LOCK})"))

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
                raise UnreadableFile(f"{self.place} has a schema memspan, but it is not a memspan store.")
            version = self.version(connection)
            demand_version(self.place, version)
            if version < WITHOUT_CHECKSUMS:
                migrate(connection)
                self.mark(connection, WITHOUT_CHECKSUMS)
            return
        if not create:
            raise NoStore(self.place)
        connection.execute(text("CREATE SCHEMA memspan"))
        connection.execute(text("CREATE TABLE memspan.about (version integer NOT NULL)"))
        connection.execute(text(f"INSERT INTO memspan.about VALUES ({VERSION})"))
        METADATA.create_all(connection)
