"""A checksum for every row, over all that is in it: a bit that a disk turns over is noticed when the row is read.

The checksum is BLAKE2b with 16 bytes, of the name of the table and of every value in the order of the columns,
keys and blobs included. Before each value go its kind and its length, so that no two rows give the same bytes.
Stores of schema 2 have no checksums and are read without; the first run that writes to one adds them.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Integer,
    LargeBinary,
    Table,
    Text,
    inspect,
    select,
    text,
    tuple_,
    update,
)

from memspan.store.database import Database
from memspan.store.schema import METADATA, VERSION

BYTES = 16
ROWS_AT_ONCE = 50  # while checksums are added: the weights of one trial may be megabytes
BEFORE_A_VALUE = struct.Struct("<cq")  # its kind and its length
KINDS: dict[type, tuple[bytes, type | tuple[type, ...]]] = {
    Integer: (b"i", int),
    Double: (b"f", (int, float)),
    Text: (b"s", str),
    LargeBinary: (b"b", bytes),
}
"""For each type of column: the kind of its values in a checksum, and in Python."""


def sealed(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with its checksum."""
    return {**row, "checksum": checksum(table, row)}


def checksum(table: Table, row: Mapping[Any, Any]) -> bytes:
    """The checksum of a row.

    Raises
    ------
    ValueError
        When a value is not of the kind that its column holds.
    """
    digest = hashlib.blake2b(table.name.encode(), digest_size=BYTES)
    for name, tag, kind, optional in _contents(table):
        value = row[name]
        if value is None and optional:
            digest.update(BEFORE_A_VALUE.pack(b"n", 0))
            continue
        if not isinstance(value, kind):
            raise ValueError(f"{name} cannot be {type(value).__name__}")
        part = _bytes_of(value, tag)
        digest.update(BEFORE_A_VALUE.pack(tag, len(part)))
        digest.update(part)
    return digest.digest()


def verify(table: Table, row: Mapping[Any, Any]) -> None:
    """Compare a row with its checksum; where the store has none, look at the kinds of its values only.

    Raises
    ------
    ValueError
        When the row is not what was written.
    """
    found = checksum(table, row)
    if "checksum" in row and row["checksum"] != found:
        raise ValueError("it does not have the checksum with which it was written")


def columns(table: Table, version: int) -> list[Column[Any]]:
    """The columns that a table has in a store of a schema."""
    return [column for column in table.c if version >= VERSION or column.name != "checksum"]


def seal(connection: Connection, database: Database) -> None:
    """Add a checksum to every row of a store of schema 2, which then has schema 3; all in one transaction."""
    if database.version(connection) >= VERSION:
        return
    database.exclude_others(connection)
    if database.version(connection) >= VERSION:  # another process has done it meanwhile
        return
    for table in METADATA.sorted_tables:
        _add_column(connection, database, table)
        key = list(table.primary_key)
        for row in _rows(connection, table):
            if row["checksum"] is None:
                same = [column == row[column.name] for column in key]
                connection.execute(update(table).where(*same).values(checksum=checksum(table, row)))
    database.mark(connection, VERSION)


@cache
def _contents(table: Table) -> list[tuple[str, bytes, type | tuple[type, ...], bool]]:
    """Each column but the checksum: name, kind in a checksum, kind in Python, and whether it may be empty."""
    return [(c.name, *KINDS[type(c.type)], bool(c.nullable)) for c in table.c if c.name != "checksum"]


def _bytes_of(value: Any, tag: bytes) -> bytes:
    match tag:
        case b"i":
            return str(value).encode()
        case b"f":
            return struct.pack("<d", value + 0.0)  # SQLite keeps no sign of a zero
        case b"s":
            return value.encode()
    return value


def _add_column(connection: Connection, database: Database, table: Table) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(table.name, schema=database.schema)}
    if "checksum" not in there:
        name = f"{database.schema}.{table.name}" if database.schema else table.name
        kind = table.c.checksum.type.compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {name} ADD COLUMN checksum {kind}"))


def _rows(connection: Connection, table: Table) -> Iterator[Mapping[Any, Any]]:
    """Every row in the order of the key."""
    key = list(table.primary_key)
    query = select(table).order_by(*key).limit(ROWS_AT_ONCE)
    rows = connection.execute(query).mappings().all()
    while rows:
        yield from rows
        last = [rows[-1][column.name] for column in key]
        rows = connection.execute(query.where(tuple_(*key) > tuple_(*last))).mappings().all()
