"""Transactions on a store, and the choice of the database by its address."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from memspan.errors import InvalidArgument, UnreadableFile, shown
from memspan.runtime.passwords import without_passwords
from memspan.store.database import Database, StoreFailed, StoreLost
from memspan.store.postgres import PostgreSQL
from memspan.store.sqlite import SQLite

Result = TypeVar("Result")
SECONDS_TO_TELL = 2.0  # of waiting before `waiting` is called
SECONDS_TO_PAUSE = 0.5  # between two attempts


def database(store: str | Path) -> Database:
    """Return the database at a path or a URL; it is not opened yet."""
    if not isinstance(store, str | Path) or not str(store) or "\0" in str(store):  # type: ignore[redundant-expr]
        got = without_passwords(shown(store))
        raise InvalidArgument("store", "a path, or the URL of a PostgreSQL database", got)
    scheme = "" if isinstance(store, Path) else store.partition(":")[0].lower()
    if scheme in ("postgresql", "postgres", "postgresql+psycopg") and ":" in str(store):
        return PostgreSQL(str(store))
    if not isinstance(store, Path) and "://" in store:
        rule = "a path, or a URL such as postgresql://user@host/database"
        raise InvalidArgument("store", rule, f"one that begins with {scheme}://")
    return SQLite(Path(store))


class Transactions:
    """Runs functions on an open database, each in one transaction, which is committed as a whole or not at all.

    Attributes
    ----------
    waiting : callable
        Called once for a transaction that has waited for some seconds, with the reason and `Database.patience`.

    Raises
    ------
    StoreFailed
        When the database cannot be reached or written.
    UnreadableFile
        When it is damaged.
    """

    def __init__(self, database: Database, *, create: bool) -> None:
        self.database, self._engine = database, database.open(create=create)
        self.waiting: Callable[[str, float], None] = lambda reason, seconds: None

    def __call__(self, work: Callable[[Connection], Result], *, writes: bool = False) -> Result:
        """Run `work` in a transaction, and return its result. If the error may pass, wait and run it again."""
        began, reported = time.monotonic(), False
        while True:
            try:
                with self.database.writing(self._engine) if writes else self._engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                raise
            except UnicodeDecodeError as error:  # SQLite quotes damaged text in its error
                raise self._damaged(error) from None
            except DBAPIError as error:
                waited, reason = time.monotonic() - began, without_passwords(str(error.orig).strip())
                if self.database.damaged(error):
                    raise self._damaged(reason) from None
                if not self.database.passes(error) or waited > self.database.patience:
                    raise self._failure(reason) from None
            if waited > SECONDS_TO_TELL and not reported:
                reported = True
                self.waiting(reason, self.database.patience)
            time.sleep(SECONDS_TO_PAUSE)

    def _damaged(self, reason: object) -> UnreadableFile:
        return UnreadableFile(f"{self.database.place} is damaged ({reason}). {self.database.rescue}")

    def _failure(self, reason: str) -> StoreFailed:
        place = self.database.place
        if self.database.lost():
            return StoreLost(
                f"{place} was deleted, moved or replaced while it was in use. Its trials are lost, "
                "unless the file was moved."
            )
        return StoreFailed(f"{place} cannot be used: {reason}. Trials stored before are kept.")

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()
