"""Checksums of rows, so that memspan notices when it reads a row in which a disk has flipped a bit.

A checksum is 16 bytes of BLAKE2b over the name of the table and all values of the row in the order of the columns,
keys and blobs included. The lengths of the values come first, and each value begins with a letter for its type, so
that different rows give different bytes. A column that is younger than checksums counts only if it is not NULL, so
older rows keep their checksums. Stores of schema 2 have no checksums. They are read without, and the first run
that writes to one adds them, with the columns of later schemas.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
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
from memspan.store.schema import METADATA, VERSION, since

WITH_CHECKSUMS = 3
"""The first version of the schema with checksums."""
BYTES = 16
ROWS_AT_ONCE = 100  # for adding checksums; the weights of one trial may take megabytes
FLOAT = struct.Struct("<cd")
KINDS: dict[type, tuple[type | tuple[type, ...], Callable[[Any], bytes]]] = {
    Integer: (int, lambda value: b"i%d" % value),
    Double: ((float, int), lambda value: FLOAT.pack(b"f", value + 0.0)),  # SQLite loses the sign of zero
    Text: (str, lambda value: b"s" + value.encode()),
    LargeBinary: (bytes, lambda value: b"b" + value),
}
"""For each type of column: the Python types of its values, and their bytes in a checksum, the first a letter."""
NOTHING = b"n"


def sealed(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row with its checksum."""
    return {**row, "checksum": checksum(table, row)}


def checksum(table: Table, row: Mapping[Any, Any]) -> bytes:
    """Return the checksum of a row.

    Raises
    ------
    ValueError
        When a value does not have the type of its column.
    """
    parts = []
    for name, kind, bytes_of, optional, added in _contents(table):
        if added > WITH_CHECKSUMS and row.get(name) is None:
            continue
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
    """Compare a row with its checksum. Without a checksum, check only the types of the values.

    Raises
    ------
    ValueError
        When the row has changed since it was written.
    """
    found = checksum(table, row)
    if "checksum" in row and row["checksum"] != found:
        raise ValueError("its checksum does not match")


def seal(connection: Connection, database: Database) -> None:
    """Bring a store to the schema of today in one transaction: add columns, and a checksum to every row."""
    if database.version(connection) >= VERSION:
        return
    database.exclude_others(connection)
    version = database.version(connection)
    if version >= VERSION:  # another process was faster
        return
    METADATA.create_all(connection)  # the tables that later schemas added
    for table in METADATA.sorted_tables:
        _add_columns(connection, database, table)
        if version < WITH_CHECKSUMS:
            _fill(connection, table)
    database.mark(connection, VERSION)


@cache
def _contents(table: Table) -> list[tuple[str, type | tuple[type, ...], Callable[[Any], bytes], bool, int]]:
    """Describe each column but the checksum: name, Python types, function to bytes, nullable or not, `since`."""
    return [(c.name, *KINDS[type(c.type)], bool(c.nullable), since(c)) for c in table.c if c.name != "checksum"]


def _add_columns(connection: Connection, database: Database, table: Table) -> None:
    present = {column["name"] for column in inspect(connection).get_columns(table.name, schema=database.schema)}
    name = f"{database.schema}.{table.name}" if database.schema else table.name
    for column in table.c:
        if column.name not in present:
            kind = column.type.compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {name} ADD COLUMN {column.name} {kind}"))


def _fill(connection: Connection, table: Table) -> None:
    """Add the missing checksums of a table, in the order of its key."""
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
