"""A checksum for every row, over all that is in it: a bit that a disk turns over is noticed when the row is read.

The checksum is BLAKE2b with 16 bytes, of the name of the table and of every value in the order of the columns,
keys and blobs included: first their lengths, then each with a letter for its kind, so that no two rows give the
same bytes. Stores of schema 2 have no checksums and are read without; the first run that writes to one
adds them.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
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
    bindparam,
    inspect,
    select,
    text,
    tuple_,
    update,
)

from memspan.store.database import Database
from memspan.store.schema import METADATA, VERSION

BYTES = 16
ROWS_AT_ONCE = 100  # while checksums are added: the weights of one trial may be megabytes
FLOAT = struct.Struct("<cd")
KINDS: dict[type, tuple[type | tuple[type, ...], Callable[[Any], bytes]]] = {
    Integer: (int, lambda value: b"i%d" % value),
    Double: ((float, int), lambda value: FLOAT.pack(b"f", value + 0.0)),  # SQLite keeps no sign of a zero
    Text: (str, lambda value: b"s" + value.encode()),
    LargeBinary: (bytes, lambda value: b"b" + value),
}
"""For each type of column: the kind of its values in Python, and their bytes in a checksum, the first a letter."""
NOTHING = b"n"


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
    parts = []
    for name, kind, bytes_of, optional in _contents(table):
        value = row[name]
        if isinstance(value, kind):
            parts.append(bytes_of(value))
        elif value is None and optional:
            parts.append(NOTHING)
        else:
            raise ValueError(f"{name} cannot be {type(value).__name__}")
    lengths = struct.pack(f"<{len(parts)}q", *map(len, parts))
    return hashlib.blake2b(b"".join([table.name.encode(), lengths, *parts]), digest_size=BYTES).digest()


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
        _fill(connection, table)
    database.mark(connection, VERSION)


@cache
def _contents(table: Table) -> list[tuple[str, type | tuple[type, ...], Callable[[Any], bytes], bool]]:
    """Each column but the checksum: its name, the kind of its values, their bytes, and whether it may be empty."""
    return [(c.name, *KINDS[type(c.type)], bool(c.nullable)) for c in table.c if c.name != "checksum"]


def _add_column(connection: Connection, database: Database, table: Table) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(table.name, schema=database.schema)}
    if "checksum" not in there:
        name = f"{database.schema}.{table.name}" if database.schema else table.name
        kind = table.c.checksum.type.compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {name} ADD COLUMN checksum {kind}"))


def _fill(connection: Connection, table: Table) -> None:
    """Give every row of a table its checksum, in the order of the key."""
    key = list(table.primary_key)
    query = select(table).order_by(*key).limit(ROWS_AT_ONCE)
    change = update(table).where(*(column == bindparam(f"its_{column.name}") for column in key))
    rows = connection.execute(query).mappings().all()
    while rows:
        found = [
            {f"its_{column.name}": row[column.name] for column in key} | {"checksum": checksum(table, row)}
            for row in rows
            if row["checksum"] is None
        ]
        if found:
            connection.execute(change.values(checksum=bindparam("checksum")), found)
        last = [rows[-1][column.name] for column in key]
        rows = connection.execute(query.where(tuple_(*key) > tuple_(*last))).mappings().all()
