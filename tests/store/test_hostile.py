"""Stores written to do harm, with valid checksums. Each is reported as damaged, fast and with little memory."""

import json
import re
import sqlite3
import tracemalloc
import zlib
from contextlib import closing

import numpy as np
import pytest
from safetensors.numpy import save

from memspan import Search, Store, Study, UnreadableFile
from memspan.store.checksums import checksum
from memspan.store.export import export
from memspan.store.repair import diagnose
from memspan.store.schema import METADATA

STUDY = Study(lengths=(3, 5), repetitions=2, test_lengths=7, keep_weights=0, name="first")
SEARCH = Search(hidden=4, name="first")
TESTS = [{"length": 7, "accuracy": 0.5, "loss": 0.25}]
MOST_BYTES = 400e6
DEEP = "[" * 200_000


def blob(**arrays):
    return zlib.compress(save(arrays, {"curve_every": "1", "flow_every": "1"}))


def raw_blob(entry, size=0):
    """A safetensors file with an array of any claimed shape."""
    header = json.dumps({"__metadata__": {"curve_every": "1", "flow_every": "1"}, **entry}).encode()
    return zlib.compress(len(header).to_bytes(8, "little") + header + bytes(size))


def bomb(size):
    """So many zeros, compressed. After a full flush, equal data gives equal bytes: one block serves for all."""
    packing = zlib.compressobj()
    first, block = (packing.compress(bytes(1 << 20)) + packing.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    adler32 = (size % 65521 << 16) + 1
    return first + block * ((size >> 20) - 1) + b"\x03\0" + adler32.to_bytes(4, "big")


F64 = {"dtype": "F64", "data_offsets": [0, 0]}
HARMFUL = {
    "no JSON": ("studies", "specification", "{"),
    "deep": ("studies", "specification", DEEP),
    "deep inside": ("studies", "specification", '{"cell": ' + "[" * 900 + "]" * 900 + "}"),
    "a list": ("studies", "specification", "[1]"),
    "a name twice": ("studies", "specification", '{"name": "x"}'),
    "a large number": ("studies", "specification", '{"hidden": 1' + "0" * 5000 + "}"),
    "many trials": ("studies", "specification", '{"repetitions": 1' + "0" * 30 + "}"),
    "no kind": ("studies", "specification", '{"kind": "poem"}'),
    "many kinds": ("studies", "specification", '{"kind": ["study"]}'),
    "another kind": ("studies", "specification", '{"kind": "search", "lengths": [3, 5]}'),
    "deep versions": ("studies", "versions", DEEP),
    "no versions": ("studies", "versions", "7"),
    "a date that is no text": ("studies", "created", b"7"),
    "a hash that is no text": ("studies", "hash", b"\xff"),
    "a configuration that is no text": ("configurations", "specification", b"{}"),
    "accuracy": ("trials", "accuracy", 5.0),
    "accuracy of a batch": ("trials", "accuracies", "[0.5, -1]"),
    "updates": ("trials", "updates", -1),
    "updates without end": ("trials", "updates", 10**15 + 0.5),
    "seconds": ("trials", "seconds", -1.0),
    "attempts": ("trials", "attempts", 0),
    "version": ("trials", "version", 0),
    "version of no type": ("trials", "version", "new"),
    "accuracy at another length": ("tests", "accuracy", -0.5),
    "no other length": ("tests", "test_length", 0),
    "loss of no type": ("tests", "loss", "much"),
    "outcome": ("trials", "outcome", "won"),
    "deep accuracies": ("trials", "accuracies", DEEP),
    "an object": ("trials", "losses", '{"a": 1}'),
    "a reason that is no text": ("trials", "reason", b"3"),
    "rows of nothing": ("curves", "data", raw_blob({"flow_map": F64 | {"shape": [2**40, 0]}})),
    "a bomb": ("curves", "data", bomb(2 << 30)),
    "three axes": ("curves", "data", blob(curve=np.zeros((2, 2, 2)))),
    "whole numbers": ("curves", "data", blob(curve=np.zeros(2, np.int64))),
    "no metadata": ("curves", "data", zlib.compress(save({"curve": np.zeros(2)}))),
    "half a flow": ("curves", "data", blob(**{"start.d_a": np.zeros(2)})),
    "half a spread": ("curves", "data", blob(**{"flow_map": np.ones((2, 3)), "flow_spread.q10": np.ones((2, 3))})),
    "a spread of no map": ("curves", "data", blob(**{f"flow_spread.q{q}": np.ones((2, 3)) for q in (10, 50, 90)})),
    "a spread of another shape": (
        "curves",
        "data",
        blob(flow_map=np.ones((2, 3)), **{f"flow_spread.q{q}": np.ones((2, 4)) for q in (10, 50, 90)}),
    ),
    "a text": ("curves", "data", "text"),
    "every": (
        "curves",
        "data",
        zlib.compress(save({"curve": np.zeros(2)}, {"curve_every": "-1", "flow_every": "1"})),
    ),
}


@pytest.fixture
def path(tmp_path, make_trial):
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        store.enter(STUDY).keep([make_trial(3, 0, tests=TESTS), make_trial(5, 1, tests=TESTS)])
    return path


def plant(path, table, column, value):
    """Put a value into the first row of a table, with a new checksum if the value has a valid type."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.row_factory = sqlite3.Row
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))
        row = dict(connection.execute(f"SELECT * FROM {table} WHERE rowid = 1").fetchone())
        try:
            mark = checksum(METADATA.tables[table], row)
        except ValueError:
            return
        connection.execute(f"UPDATE {table} SET checksum = ? WHERE rowid = 1", (mark,))


def read_all(path, tmp_path):
    with Store(path) as store:
        store.overviews()
        entry = store.find("first")
        entry.done()
        entry.counts()
        entry.reasons()
        entry.summary()
        entry.result()
        export(entry, tmp_path / "out.json", curves=True)


@pytest.mark.parametrize(("table", "column", "value"), HARMFUL.values(), ids=HARMFUL)
def test_harm_is_damage_with_a_name(path, tmp_path, table, column, value):
    plant(path, table, column, value)
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match=r"store\.sqlite .*(holds|damaged|cannot be read)"):
        read_all(path, tmp_path)
    found = diagnose(path, tmp_path / "rescued.sqlite")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any(complaint.startswith(f"1 row of {table} cannot be used") for complaint in found.complaints)
    assert peak < 2 * MOST_BYTES
    with Store(tmp_path / "rescued.sqlite") as store:
        kept = [overview.done for overview in store.overviews()]
    assert kept == [2] if table == "tests" else kept in ([1], [0], [])


@pytest.mark.parametrize(
    "line", ["store show first", "study show first", "study status", "store export first -o o.csv"]
)
@pytest.mark.parametrize("harm", ["deep", "a date that is no text", "outcome"])
def test_a_command_ends_with_3_and_one_line(path, memspan_, line, harm):
    plant(path, *HARMFUL[harm])
    code, _, err = memspan_(f"{line} --store {path}")
    assert code == 3
    assert err.count("\n") == 1
    assert err.startswith("memspan: ")
    assert len(err) < 1000
    code, _, err = memspan_(f"store doctor --store {path}")
    assert code == 3
    assert "is damaged" in err


TABLES = {
    "a view without end": (
        "ALTER TABLE trials RENAME TO hidden; CREATE VIEW trials AS "
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS study FROM n"
    ),
    "other columns": "DROP TABLE trials; CREATE TABLE trials (a)",
    "no rowid": "DROP TABLE weights; CREATE TABLE weights (study PRIMARY KEY, data) WITHOUT ROWID",
    "no text": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = CAST(x'ff' AS TEXT) WHERE name = 'trials'"
    ),
}


@pytest.mark.parametrize("script", TABLES.values(), ids=TABLES)
def test_other_tables_are_damage_too(path, tmp_path, script):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    with pytest.raises(UnreadableFile):
        read_all(path, tmp_path)
    assert not diagnose(path, tmp_path / "rescued.sqlite").sound


def test_two_studies_of_one_name_are_not_both_saved(path, tmp_path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'UNIQUE (name)', 'CHECK (1)')")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'sqlite_autoindex_studies_1'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM studies").fetchone()) | {"id": 2}
        row["checksum"] = checksum(METADATA.tables["studies"], row)
        connection.execute(f"INSERT INTO studies VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    assert not diagnose(path, tmp_path / "rescued.sqlite").sound
    with Store(tmp_path / "rescued.sqlite") as store:
        assert store.names() == ["first"]


@pytest.fixture
def searched(tmp_path, make_trial):
    """A store with a search and its first trials."""
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        group = SEARCH.new_search().ask()[0]
        store.enter(SEARCH).keep([make_trial(group.length, k) for k in range(group.count)])
    return path


@pytest.mark.parametrize("column", ["length", "repetition"])
@pytest.mark.parametrize("value", [-1, 0, 2**31 - 1, 2**40])
def test_a_search_with_trials_that_no_search_can_have_is_damaged_or_ignores_them(
    searched, tmp_path, column, value
):
    plant(searched, "trials", column, value)
    plant(searched, "curves", column, value)
    message = None
    try:
        read_all(searched, tmp_path)
    except UnreadableFile as error:
        message = str(error)
    if message is None:  # the trial is no longer one of the first round, which is then not complete
        with Store(searched) as store:
            assert store.find("first").result().trials == ()
    else:
        assert re.search(r"store\.sqlite .*(holds|damaged|cannot be read)", message)
    diagnose(searched, tmp_path / "rescued.sqlite")


@pytest.mark.parametrize(
    "specification",
    [
        '{"kind": "search", "budget": "much"}',
        '{"kind": "search", "hidden": [3, 4]}',
        '{"kind": "search", "lengths": [3]}',
        '{"kind": "study", "width": 0.1}',
        '{"kind": null}',
        '{"kind": "' + "x" * 100_000 + '"}',
    ],
)
def test_a_search_that_cannot_be_one_is_damage(searched, tmp_path, specification):
    plant(searched, "studies", "specification", specification)
    with pytest.raises(UnreadableFile, match=r"^Study 'first' in .*store\.sqlite cannot be read ") as caught:
        read_all(searched, tmp_path)
    assert len(str(caught.value)) < 1000
    assert not diagnose(searched).sound
