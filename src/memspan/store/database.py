"""What a store needs of a database."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError

from memspan.errors import MachineFailed, NotFound, UnreadableFile
from memspan.store.schema import VERSION

DOCTOR = "`memspan store doctor` saves what can be read"
"""What to do about a damaged store."""


class StoreFailed(MachineFailed):
    """A store cannot be written or reached: the disk is full, the server is gone. What it held is still there."""


class NoStore(NotFound):
    """There is no store at that place, and none was to be made."""

    def __init__(self, place: str) -> None:
        super().__init__(place)

    def __str__(self) -> str:
        return f"No store at {self.args[0]}. Run `memspan study run` first, or pass --store."


class Database(Protocol):
    """A place for tables."""

    place: str
    """Where it is, for messages; without a password."""
    schema: str | None
    """What stands before the names of the tables."""
    patience: float
    """Seconds in which a connection that was lost may come back, or another process end its transaction."""

    def open(self, *, create: bool) -> Engine:
        """An engine, after everything has been looked at; make the tables if there are none.

        Raises
        ------
        UnreadableFile
            When it is damaged, not a store, or one of a newer version. Nothing was changed.
        NoStore
            When there is none, and none is to be made.
        """

    def version(self, connection: Connection) -> int:
        """The version of the schema that the tables have."""

    def mark(self, connection: Connection, version: int) -> None:
        """Write down that the tables have this version from now on."""

    def exclude_others(self, connection: Connection) -> None:
        """Until the end of this transaction, let no other process change the form of the tables."""

    def insert(self, table: Table) -> Any:
        """An insertion that leaves out what is there already."""

    def writing(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A transaction that nobody else writes beside."""

    def passes(self, error: DBAPIError) -> bool:
        """Whether the same might work a little later."""

    def damaged(self, error: DBAPIError) -> bool:
        """Whether the database says that its own files are damaged."""

    def size(self, connection: Connection) -> int:
        """Bytes of all tables."""


def says(error: DBAPIError, *words: str) -> bool:
    """Whether a database complains in one of these words."""
    return any(word in str(error.orig) for word in words)


def demand_version(place: str, version: int) -> None:
    """Raise UnreadableFile for a store of a newer schema, or of one that never was."""
    if version > VERSION:
        rule = f"this memspan knows schemas up to {VERSION}"
        raise UnreadableFile(f"{place} was made by a newer memspan: its schema is {version}, {rule}")
    if version < 1:
        raise UnreadableFile(f"{place} says of itself that its schema is {version}, and there is no such schema")
