"""Diagnosis and rescue of a damaged SQLite store. SQLite opens only a copy, so the store is never changed."""

import json
import os
import shutil
import sqlite3
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from memspan.errors import InvalidArgument, MemspanError, shown
from memspan.runtime.files import replaced
from memspan.runtime.passwords import without_passwords
from memspan.store.checksums import sealed
from memspan.store.coherence import Rows, coherent_rows
from memspan.store.database import DOCTOR, NoStore, StoreFailed
from memspan.store.schema import APPLICATION, METADATA, VERSION, columns, tables
from memspan.store.sqlite import SQLite, whole_size
from memspan.store.store import Store

BROKEN = (sqlite3.DatabaseError, UnicodeDecodeError)
"""The errors of SQLite for a damaged file. The second is raised when it quotes text that is not UTF-8."""
PAGE = 4096  # bytes; SQLite's default, which stores keep
LAST = 1 << 31  # above the number of every row
MOST_COMPLAINTS = 20
LARGEST = 1 << 40  # bytes to which a truncated file is extended at most
MOST_COPIES = 20  # attempts to copy a store between two transactions
SECONDS_BETWEEN_COPIES = 0.25


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of a store.

    Attributes
    ----------
    complaints : tuple of str
        What is wrong. Empty if the store is sound.
    rows : dict of str to int
        The number of readable rows of each table.
    saved : dict of str to int
        The number of rows of each table that were saved. Empty without a rescue.
    """

    complaints: tuple[str, ...]
    rows: dict[str, int]
    saved: dict[str, int]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.complaints


def diagnose(path: str | Path, rescue: str | Path | None = None) -> Diagnosis:
    """Find what is wrong with a SQLite store, and save the rows that can be read.

    Parameters
    ----------
    path : path
        The store. Neither the file nor its journal is changed.
    rescue : path, optional
        A new file. If its name ends with `.jsonl`, it gets every readable row as a line of JSON. Otherwise it
        becomes a store with the undamaged rows, as far as the rows that they belong to are undamaged too.

    Raises
    ------
    NoStore
        When the store does not exist.
    InvalidArgument
        When `path` is not a file, or `rescue` exists.
    StoreFailed
        When another process writes to the store all the time.
    """
    path, rescue = Path(path), None if rescue is None else Path(rescue)
    if not path.exists():
        raise NoStore(without_passwords(str(path)))
    if not path.is_file():
        raise InvalidArgument("store", "a SQLite file", without_passwords(shown(str(path))))
    if rescue is not None and rescue.exists():
        raise InvalidArgument("rescue", "a new file", shown(str(rescue)))
    complaints = _complaint_at_opening(path)
    with _copied(path) as copy, _read(copy) as (connection, more):
        complaints += [] if connection is not None and not more and not complaints else more
        found: Rows = {name: [] for name in METADATA.tables}
        if connection is not None:
            complaints += _lacking(connection)
            found = {name: list(_rows(connection, name)) for name in METADATA.tables}
        coherent = coherent_rows(found)
        complaints += _incoherences(found, coherent)
        saved = {} if rescue is None else _rescue(found, coherent, rescue)
    return Diagnosis(tuple(dict.fromkeys(complaints)), _counts(found), saved)


def _complaint_at_opening(path: Path) -> list[str]:
    """Return the error of opening a copy of the store, without the advice to run the doctor."""
    with _copied(path) as copy:
        try:
            SQLite(copy).open(create=False).dispose()
        except MemspanError as error:
            return [str(error).replace(str(copy), path.name).removesuffix(f" {DOCTOR}")]
    return []


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """Copy the store, with the journal of an interrupted transaction, while no other process writes to it."""
    with tempfile.TemporaryDirectory(prefix="memspan-doctor-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "store"
        for _ in range(MOST_COPIES):
            before = _marks(path)
            for old, new in zip(_files(path), _files(copy), strict=True):
                new.unlink(missing_ok=True)
                with suppress(FileNotFoundError):  # there is a journal only during a transaction
                    shutil.copyfile(old, new)
            if _marks(path) == before:
                break
            time.sleep(SECONDS_BETWEEN_COPIES)
        else:
            raise StoreFailed(f"{path} is being written to all the time. Try again when the study has ended.")
        yield copy


def _files(path: Path) -> tuple[Path, Path]:
    """The store and its journal."""
    return path, path.with_name(path.name + "-journal")


def _marks(path: Path) -> list[tuple[int, int] | None]:
    """The time and size of the files, which change with every write. A lock would let SQLite repair the store."""
    marks: list[tuple[int, int] | None] = []
    for file in _files(path):
        try:
            stat = file.stat()
        except FileNotFoundError:
            marks.append(None)
        else:
            marks.append((stat.st_mtime_ns, stat.st_size))
    return marks


@contextmanager
def _read(copy: Path) -> Iterator[tuple[sqlite3.Connection | None, list[str]]]:
    """Yield a connection to a copy, or None if nothing can be read, and the complaints of SQLite."""
    with copy.open("rb") as file:
        start = file.read(101)
    if not start.startswith(b"SQLite format 3\0"):
        if start[100:] in (b"\x05", b"\x0d"):  # a page of rows follows, so only the header is damaged
            _write_header(copy)
    elif copy.stat().st_size < (whole := min(whole_size(start), LARGEST)):
        os.truncate(copy, whole)  # SQLite reads nothing of a file that is too short
    with closing(sqlite3.connect(copy)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda text: text.decode(errors="replace")
        try:
            complaints = [row[0] for row in connection.execute(f"PRAGMA integrity_check({MOST_COMPLAINTS})")]
            present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except BROKEN as error:
            complaints, present = [str(error)], set()
            with suppress(*BROKEN):
                present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        complaints = [line for line in complaints if line != "ok"]
        yield (connection if present & set(METADATA.tables) else None), complaints


def _write_header(copy: Path) -> None:
    """Write the first hundred bytes of a store (https://www.sqlite.org/fileformat.html, section 1.3)."""
    pages = copy.stat().st_size // PAGE
    head = struct.pack(">16sHBBBBBB", b"SQLite format 3\0", PAGE, 1, 1, 0, 64, 32, 32)
    numbers = (1, pages, 0, 0, 1, 4, 0, 0, 1, VERSION, 0, APPLICATION)
    with copy.open("r+b") as file:
        file.write(head + struct.pack(">12i20xii", *numbers, 1, sqlite_number()))


def sqlite_number() -> int:
    """The version of SQLite as a file header has it."""
    major, minor, patch = sqlite3.sqlite_version_info
    return major * 1_000_000 + minor * 1000 + patch


def _lacking(connection: sqlite3.Connection) -> list[str]:
    """The complaints about missing tables and columns."""
    complaints = []
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for table in tables(version):
        names = ", ".join(f"[{column.name}]" for column in columns(table, version))  # "x" may be a text
        try:
            connection.execute(f"SELECT rowid, {names} FROM {table.name} LIMIT 0")
        except BROKEN as error:
            complaints.append(f"{table.name} cannot be read: {error}")
    return complaints


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """Yield every readable row. Behind an unreadable one, it tries row numbers in steps that double each time."""
    last, step = 0, 1
    while last < LAST:
        try:
            query = f'SELECT rowid AS "rowid ", * FROM {table} WHERE rowid > ? ORDER BY rowid'
            for row in connection.execute(query, (last,)):
                values = dict(row)
                number = values.pop("rowid ")
                if number > last:  # a damaged tree may lead back to earlier rows, without end
                    last, step = number, 1
                    yield values
            return
        except BROKEN:
            last, step = last + step, 2 * step


def _incoherences(found: Rows, coherent: Rows) -> list[str]:
    """The complaints about rows that are damaged or belong to no other row."""
    return [
        f"{lost} {'row' if lost == 1 else 'rows'} of {name} cannot be used: damaged, or belonging to a missing row"
        for name, kept in coherent.items()
        if (lost := len(found[name]) - len(kept))
    ]


def _counts(found: Rows) -> dict[str, int]:
    return {name: len(rows) for name, rows in found.items()}


def _rescue(found: Rows, coherent: Rows, rescue: Path) -> dict[str, int]:
    """Write the rows to a new file. Return the number of rows written for each table."""
    if rescue.suffix == ".jsonl":
        with replaced(rescue, "rescue") as file:
            for name, rows in found.items():
                for row in rows:
                    line = json.dumps({"table": name, **row}, default=lambda value: value.hex()) + "\n"
                    file.write(line.encode())
        return _counts(found)

    def write(connection: Connection) -> None:
        for name, rows in coherent.items():
            if rows:
                table = METADATA.tables[name]
                connection.execute(store.transact.database.insert(table), [sealed(table, row) for row in rows])

    with Store(rescue, create=True) as store:
        store.transact(write, writes=True)
    return _counts(coherent)
