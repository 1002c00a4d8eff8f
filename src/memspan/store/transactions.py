"""Work on a store, each piece in one transaction; and which database a place means."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from memspan.errors import InvalidArgument, UnreadableFile
from memspan.runtime.passwords import without_passwords
from memspan.store.database import DOCTOR, Database, StoreFailed
from memspan.store.postgres import PostgreSQL
from memspan.store.sqlite import SQLite

Result = TypeVar("Result")
SECONDS_TO_TELL = 2.0  # that it is waited for
SECONDS_TO_PAUSE = 0.5  # before a server that was lost is tried again


def database(store: str | Path) -> Database:
    """The database of a path or a URL."""
    if not isinstance(store, str | Path) or not str(store) or "\0" in str(store):  # type: ignore[redundant-expr]
        got = without_passwords(repr(store))
        raise InvalidArgument("store", "a path, or the URL of a PostgreSQL database", got)
    scheme = "" if isinstance(store, Path) else store.partition(":")[0].lower()
    if scheme in ("postgresql", "postgres", "postgresql+psycopg") and ":" in str(store):
        return PostgreSQL(str(store))
    if not isinstance(store, Path) and "://" in store:
        rule = "a path, or a URL such as postgresql://user@host/database"
        raise InvalidArgument("store", rule, f"one that begins with {scheme}://")
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
    UnreadableFile
        When it is damaged.
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
            except UnicodeDecodeError as error:  # SQLite quotes what is damaged
                raise UnreadableFile(f"{self.database.place} is damaged ({error}); {DOCTOR}") from None
            except DBAPIError as error:
                waited, reason = time.monotonic() - began, without_passwords(str(error.orig).strip())
                if self.database.damaged(error):
                    raise UnreadableFile(f"{self.database.place} is damaged ({reason}); {DOCTOR}") from None
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
