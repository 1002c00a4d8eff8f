"""The interface of a database that holds a store."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError

from memspan.errors import MachineFailed, NotFound, UnreadableFile
from memspan.store.schema import VERSION

DOCTOR = "Run `memspan store doctor --rescue NEW.sqlite` to save what can be read."
"""The advice about a damaged SQLite store."""


class StoreFailed(MachineFailed):
    """A store cannot be written or reached, because a disk is full or a server is gone. Stored trials are kept."""


class StoreLost(StoreFailed):
    """The file of a store was deleted, moved or replaced while it was in use."""


class NoStore(NotFound):
    """The store does not exist, and was not to be created."""

    def __init__(self, place: str) -> None:
        super().__init__(place)

    def __str__(self) -> str:
        return f"No store at {self.args[0]}. Run `memspan study run` first, or pass --store."


class Database(Protocol):
    """A database with the tables of a store, or a place for one."""

    place: str
    """The path or URL for messages, without a password."""
    schema: str | None
    """The schema of the tables, for their qualified names."""
    patience: float
    """How many seconds to wait for a lost connection, or for another process to end its transaction."""
    rescue: str
    """The advice about a damaged store, one sentence."""

    def demand_place(self) -> None:
        """Raise an error if no store could be created at this place. Nothing is created yet."""

    def open(self, *, create: bool) -> Engine:
        """Check the store, create the tables if there are none, and return an engine.

        Raises
        ------
        UnreadableFile
            When it is damaged, not a store, or one of a newer version. It is not changed.
        NoStore
            When there is no store and `create` is False.
        """

    def version(self, connection: Connection) -> int:
        """Return the version of the schema."""

    def mark(self, connection: Connection, version: int) -> None:
        """Record the version of the schema."""

    def exclude_others(self, connection: Connection) -> None:
        """Keep other processes from changing the schema until the transaction ends."""

    def insert(self, table: Table) -> Any:
        """Return an insert statement that skips rows whose key exists."""

    def writing(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Begin a transaction that writes."""

    def passes(self, error: DBAPIError) -> bool:
        """Whether the same transaction may succeed a little later."""

    def lost(self) -> bool:
        """Whether the store is no longer at the place where it was opened."""

    def damaged(self, error: DBAPIError) -> bool:
        """Whether an error means that the files of the database are damaged."""

    def size(self, connection: Connection) -> int:
        """Return the size of all tables in bytes."""


def says(error: DBAPIError, *words: str) -> bool:
    """Whether the message of a database error contains one of some phrases."""
    return any(word in str(error.orig) for word in words)


def demand_version(place: str, version: int) -> None:
    """Raise `UnreadableFile` if no schema has this version, or only a newer memspan reads it."""
    if version > VERSION:
        known = f"this version reads schemas up to {VERSION}"
        raise UnreadableFile(f"{place} was made by a newer memspan: its schema is {version}, and {known}")
    if version < 1:
        raise UnreadableFile(f"{place} is damaged or not a memspan store: its schema is {version}")
