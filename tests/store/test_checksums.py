"""Every row has a checksum. `data/version-2.sqlite`, of schema 2, gets them when a run first writes to it."""

import hashlib
import random
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest
from flipped_bits import of_postgres, of_sqlite, unnoticed
from sqlalchemy import delete, select

from memspan import NotFound, Store, Study, UnreadableFile, load_study
from memspan.store.checksums import checksum, sealed, verify
from memspan.store.repair import diagnose
from memspan.store.schema import METADATA, VERSION, configurations, curves, tests, trials, weights
from memspan.study import Key

OLD = Path(__file__).parent / "data" / "version-2.sqlite"
STUDY = Study(
    cell=("rnn", "lstm"), lengths=(3, 5), repetitions=2, test_lengths=(7, 9), keep_weights=1, name="first"
)
TESTS = [{"length": length, "accuracy": 0.5, "loss": 0.3} for length in STUDY.test_lengths]


@pytest.fixture
def old(tmp_path):
    """A store of schema 2."""
    return Path(shutil.copy(OLD, tmp_path / "old.sqlite"))


@pytest.fixture
def kept(opened, make_trial):
    """A study with some of its trials in a store."""
    entry = opened.enter(STUDY)
    entry.keep(
        [
            make_trial(3, 0, weights=b"weights", tests=TESTS),
            make_trial(5, 1, tests=TESTS),
            make_trial(3, 1, "failed"),
        ]
    )
    return entry


def everything(store, name="first"):
    entry = store.find(name)
    found = [(trial.model_dump_json(), entry.weights(trial.key)) for trial in entry.trials()]
    return [repr(store.overviews()), found, entry.reasons(), entry.counts()]


def as_json(result):
    return [trial.model_dump_json() for trial in result.trials]


def query(path, line):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(line).fetchall()


# --- what is in it --------------------------------------------------------------------------------------


def test_it_is_that_of_the_bytes_that_the_documentation_says():
    row = {"study": 1, "configuration": 2, "specification": "ä"}
    values = [b"i1", b"i2", b"s" + "ä".encode()]
    content = b"configurations" + struct.pack("<3q", 2, 2, 3) + b"".join(values)
    assert checksum(configurations, row) == hashlib.blake2b(content, digest_size=16).digest()


def test_nothing_is_not_zero(opened, kept):
    rows = opened.transact(lambda connection: connection.execute(select(trials)).mappings().all())
    failed = dict(next(row for row in rows if row["outcome"] == "failed"))
    assert failed["loss"] is None
    other = failed | {"loss": 0.0}
    assert checksum(trials, failed) != checksum(trials, other) == checksum(trials, failed | {"loss": -0.0})


def test_a_column_that_is_younger_than_checksums_counts_only_if_it_is_set():
    """So rows that are older than the column keep their checksums."""
    key = {"study": 1, "configuration": 0, "length": 3, "repetition": 0}
    texts = dict.fromkeys(("reason", "accuracies", "losses", "engine", "worker", "memspan", "digest"), "x")
    numbers = {"updates": 4, "accuracy": 0.5, "loss": None, "seconds": 1.0, "cpu_seconds": 1.0, "attempts": 1}
    old = {**key, **texts, **numbers, "outcome": "solved"}
    assert checksum(trials, old) == checksum(trials, old | {"version": None})
    assert len({checksum(trials, old | {"version": version}) for version in (None, 0, 1, 2)}) == 4
    with pytest.raises(KeyError, match="digest"):  # an older column may not be missing
        checksum(trials, {name: value for name, value in old.items() if name != "digest"})


def test_no_two_rows_are_the_same_bytes():
    row = {"study": 1, "configuration": 12, "specification": "x"}
    assert checksum(configurations, row) != checksum(configurations, row | {"study": 11, "configuration": 2})
    key = {"study": 1, "configuration": 0, "length": 3, "repetition": 0, "data": b""}
    assert checksum(curves, key) != checksum(weights, key)


def test_a_value_of_another_kind_is_refused():
    row = {"study": 1, "configuration": 2, "specification": 3}
    with pytest.raises(ValueError, match="specification cannot be int"):
        checksum(configurations, row)
    with pytest.raises(ValueError, match="study cannot be NoneType"):
        verify(configurations, row | {"study": None})
    right = sealed(configurations, row | {"specification": "{}"})
    verify(configurations, right)
    with pytest.raises(ValueError, match="its checksum does not match"):
        verify(configurations, right | {"specification": "[]"})


# --- what is noticed ------------------------------------------------------------------------------------


def other_value(value):
    match value:
        case None:
            return 0.25
        case int():
            return value + 64
        case float():
            return value / 2 + 0.125
        case str():
            return value + " "
    return bytes([value[0] ^ 1]) + value[1:]


def change(place, table, column):
    """Change a column of the last row of a table."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            rowid, value = connection.execute(f'SELECT rowid, "{column}" FROM {table}').fetchall()[-1]
            connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (other_value(value), rowid))
        return
    import psycopg

    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        ctid, value = connection.execute(f'SELECT ctid::text, "{column}" FROM memspan.{table}').fetchall()[-1]
        update = f'UPDATE memspan.{table} SET "{column}" = %s WHERE ctid = %s'
        connection.execute(update, (other_value(value), ctid))


@pytest.mark.parametrize(
    ("table", "column"),
    [(column.table.name, column.name) for table in METADATA.sorted_tables for column in table.c],
)
def test_a_changed_value_of_any_column_is_noticed(place, opened, kept, table, column):
    change(place, table, column)
    with pytest.raises((UnreadableFile, NotFound)):  # a changed name is not found
        everything(opened)


def test_a_score_at_a_length_that_is_not_asked_for_is_checked_too(place, opened, kept):
    change(place, "tests", "accuracy")
    less = opened.enter(STUDY.with_(test_lengths=7))
    with pytest.raises(UnreadableFile, match="its checksum does not match"):
        list(less.trials())


def test_scores_that_vanish_are_missing(place, opened, kept):
    """Like weights: the trial is computed again, to the same bits."""
    before = kept.done()
    opened.transact(lambda connection: connection.execute(delete(tests)), writes=True)
    assert before - kept.done() == {Key(0, 3, 0), Key(0, 5, 1)}


@pytest.mark.parametrize("table", ["configurations", "trials", "curves"])
def test_a_row_that_vanishes_is_noticed(place, opened, kept, table):
    if isinstance(place, Path):
        query(place, f"DELETE FROM {table}")
    else:
        import psycopg

        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(f"DELETE FROM memspan.{table}")
    with pytest.raises(UnreadableFile, match=r"without their|cannot be NoneType"):
        list(opened.find("first").trials())


def test_what_changed_in_an_index_is_noticed_when_the_store_is_opened(tmp_path, make_trial):
    """The table is intact, but a query that reads only the index would be wrong."""
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        store.enter(STUDY.with_(keep_weights=0)).keep([make_trial(3, k) for k in range(2)])
    page = int(query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_trials_1'")[0][0])
    content = bytearray(path.read_bytes())
    content[page * 4096 - 2] ^= 4  # of the first key that was inserted: the length
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="is damaged"):
        Store(path)


@pytest.mark.parametrize("column", ["checksum", "outcome"])
def test_a_column_of_another_name_is_damage(tmp_path, make_trial, column):
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        store.enter(STUDY).keep([make_trial(3, 1)])
    query(path, f"ALTER TABLE trials RENAME COLUMN {column} TO other")
    with pytest.raises(UnreadableFile, match=r"is damaged \(no such column: trials"):
        load_study(path, "first")
    assert f"trials cannot be read: no such column: {column}" in diagnose(path).complaints


# --- stores of schema 2 ---------------------------------------------------------------------------------


def test_a_store_without_checksums_is_read_and_not_written_to(old):
    with Store(old) as store:
        names = store.names()
        assert [overview.done for overview in store.overviews()] == [8, 2]
        assert len([*store.find(names[0]).trials()]) == 8
        assert store.find(names[0]).weights(Key(0, 3, 0))
        assert store.find("diverging").counts() == {4: {"diverged": 2}}
    assert old.read_bytes() == OLD.read_bytes()
    assert diagnose(old).sound


def test_the_first_write_adds_checksums_to_all_rows(old, make_trial):
    before = load_study(old, "diverging")
    first = Store(old).names()[0]
    with Store(old) as store:
        store.enter(STUDY).keep([make_trial(3, 0, weights=b"weights", tests=TESTS)])
    assert as_json(load_study(old, "diverging")) == as_json(before)
    assert query(old, "PRAGMA user_version") == [(VERSION,)]
    for table in METADATA.tables:
        assert query(old, f"SELECT count(*) FROM {table} WHERE length(checksum) IS NOT 16") == [(0,)]
    was, now = load_study(OLD, first), load_study(old, first)
    assert as_json(now) == as_json(was)
    query(old, "UPDATE trials SET updates = updates + 1 WHERE study = 1 AND repetition = 1")
    with pytest.raises(UnreadableFile, match="its checksum does not match"):
        load_study(old, first)


def test_a_row_that_has_lost_its_checksum_is_damaged(old):
    with Store(old) as store:
        store.enter(STUDY)
    query(old, "UPDATE trials SET checksum = NULL WHERE study = 2")
    with pytest.raises(UnreadableFile, match="its checksum does not match"):
        load_study(old, "diverging")
    assert not diagnose(old).sound


def test_a_store_on_a_server_gets_its_checksums_too(postgres, make_trial):
    import psycopg

    postgres.clear()
    study = STUDY.with_(keep_weights=0, test_lengths=())
    with Store(postgres.url, create=True) as store:
        store.enter(study).keep([make_trial(3, k, version=1) for k in range(2)])
        before = everything(store)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP TABLE memspan.tests")
        connection.execute("ALTER TABLE memspan.trials DROP COLUMN version")
        for table in METADATA.tables.keys() - {"tests"}:
            connection.execute(f"ALTER TABLE memspan.{table} DROP COLUMN checksum")
        connection.execute("UPDATE memspan.about SET version = 2")
    with Store(postgres.url) as store, Store(postgres.url) as other:
        assert everything(store) == before
        store.enter(study)
        assert everything(store) == everything(other) == before
    change(postgres.url, "trials", "accuracy")
    with pytest.raises(UnreadableFile, match="its checksum does not match"):
        load_study(postgres.url, "first")


# --- any bit --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_flipped_bit_of_a_file_is_noticed_or_harmless(tmp_path):
    found = of_sqlite(tmp_path, 100, random.Random(1))
    assert unnoticed(found) == 0, found
    assert found["noticed"] > 10


@pytest.mark.slow
def test_a_flipped_bit_of_a_value_on_a_server_is_noticed(postgres):
    postgres.clear()
    found = of_postgres(postgres.url, 40, random.Random(1))
    assert found == {"noticed": 40}
