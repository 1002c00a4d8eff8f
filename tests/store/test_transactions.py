import multiprocessing
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from memspan import InvalidArgument, MemspanError, Store, Study, UnreadableFile
from memspan.store import sqlite, transactions
from memspan.store.database import NoStore, StoreFailed
from memspan.store.postgres import PostgreSQL
from memspan.store.schema import APPLICATION, VERSION
from memspan.store.sqlite import SQLite, whole_size
from memspan.store.transactions import database


def pragma(path, name):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_new_file_bears_its_marks(tmp_path):
    path = tmp_path / "below" / "store.sqlite"
    settings = {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1}
    with Store(path, create=True) as store:
        for name, value in settings.items():
            asked = text(f"PRAGMA {name}")
            assert store.transact(lambda connection, asked=asked: connection.execute(asked).scalar()) == value
    assert pragma(path, "application_id") == APPLICATION
    assert pragma(path, "user_version") == VERSION
    assert path.stat().st_size == whole_size(path.read_bytes()[:100])
    assert [file.name for file in path.parent.iterdir()] == ["store.sqlite"]


def test_a_store_that_is_not_there_is_not_made_by_reading(tmp_path):
    with pytest.raises(
        NoStore, match=r"No store at .*none.sqlite. Run `memspan study run` first, or pass --store."
    ):
        Store(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("store", ["", "a\0b", 3, None, "mysql://host/x", "sqlite:///x", b"x"])
def test_a_bad_place_is_refused(store):
    with pytest.raises(InvalidArgument, match="store must be a path, or "):
        database(store)


def test_a_url_is_told_from_a_path():
    assert isinstance(database("postgresql://me:secret@host/x"), PostgreSQL)
    assert isinstance(database("postgres.sqlite"), SQLite)
    assert isinstance(database(Path("postgresql:x")), SQLite)


def test_a_password_is_never_shown():
    place = database("postgresql://me:secret@host/x").place
    assert "secret" not in place
    assert place == "postgresql://me:***@host/x"
    with pytest.raises(InvalidArgument) as error:
        database("postgresql://me:secret@host:port/x")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "Postgresql://me:secret@127.0.0.1:1/x",
        "postgresql+psycopg2://me:secret@host/x",
        "mysql://me:secret@host/x",
        "mysql://me:sec/secret@host/x",
        "sqlite://me:secret@host",
        "postgresql:/me:secret@host:port/x",
        "postgres:me:secret@host",
        "postgresql://me@127.0.0.1:1/x?password=secret",
        "postgresql://me@127.0.0.1:1/x?sslpassword=secret",
        "postgresql://me@127.0.0.1:1/x?password='secret",
        Path("postgresql://me:secret@host/x"),
        "postgresql://me:secret@127.0.0.1:1/x",
        "postgresql://me:secret@127.0.0.1:1/x?nothing=1",
    ],
    ids=str,
)
def test_no_password_is_in_what_is_said(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MemspanError) as error:
        Store(address)
    assert "secret" not in str(error.value)
    assert "secret" not in repr(error.value)
    assert error.value.__context__ is None or error.value.__suppress_context__


def test_a_scheme_is_one_whatever_its_letters():
    assert isinstance(database("PostgreSQL://me:secret@host/x"), PostgreSQL)


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(InvalidArgument, match="store must be a file"):
        Store(tmp_path, create=True)


def test_a_store_in_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((InvalidArgument, NotADirectoryError)):
        Store(tmp_path / "file" / "store.sqlite", create=True)


def test_an_empty_file_becomes_a_store_but_is_none_to_read(tmp_path):
    path = tmp_path / "store.sqlite"
    path.touch()
    with pytest.raises(NoStore):
        Store(path)
    with Store(path, create=True) as store:
        assert store.overviews() == []


def test_a_server_that_does_not_answer_is_named(tmp_path, postgres):
    with pytest.raises(StoreFailed, match=r"postgresql://127.0.0.1:1/x cannot be used as a store: "):
        Store("postgresql://127.0.0.1:1/x")


def test_a_schema_of_something_else_is_no_store(postgres):
    import psycopg

    postgres.clear()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA memspan")
    with pytest.raises(UnreadableFile, match="has a schema memspan, but it is not a memspan store"):
        Store(postgres.url)
    postgres.clear()
    with pytest.raises(NoStore, match="No store at postgresql://"):
        Store(postgres.url)
    with Store(postgres.url, create=True), psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("UPDATE memspan.about SET version = 99")
    with pytest.raises(UnreadableFile, match="was made by a newer memspan: its schema is 99"):
        Store(postgres.url)
    postgres.clear()


def enter(place, number):
    with Store(place, create=True) as store:
        store.enter(Study(name="same"))
        store.enter(Study(name=f"own {number}"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_that_make_the_same_store_at_once_make_one(kind, tmp_path, request):
    place = str(tmp_path / "store.sqlite")
    if kind == "postgres":
        server = request.getfixturevalue("postgres")
        server.clear()
        place = server.url
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=enter, args=(place, number)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    with Store(place) as store:
        names = [overview.name for overview in store.overviews()]
    assert sorted(names) == ["own 0", "own 1", "own 2", "own 3", "own 4", "own 5", "same"]


def test_a_store_that_another_process_writes_to_is_waited_for(tmp_path, make_trial):
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        entry = store.enter(Study(name="a", keep_weights=0))
        store.transact.database.patience = 0.0
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(
                StoreFailed, match=r"store.sqlite cannot be used: database is locked\. Trials stored before"
            ):
                entry.keep([make_trial(5, 0)])
            other.execute("ROLLBACK")
        entry.keep([make_trial(5, 0)])
        assert len(entry.done()) == 1


def test_a_wait_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(transactions, "SECONDS_TO_TELL", 0.5)
    monkeypatch.setattr(sqlite, "MILLISECONDS_TO_WAIT", 100)
    monkeypatch.setattr(transactions, "SECONDS_TO_PAUSE", 0.1)
    path, told = tmp_path / "store.sqlite", []
    with Store(path, create=True) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store.transact.waiting = lambda *what: told.append(what)
        store.transact.database.patience = 1.5
        store.enter(Study(name="a"))
        assert told == []
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="locked"):
            store.enter(Study(name="b"))
    assert told == [("database is locked", 1.5)]


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_another_process_may_take_its_time(tmp_path, make_trial, lock):
    """A transaction waits longer than SQLite itself does."""
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        entry = store.enter(Study(name="a", keep_weights=0))
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute(lock)
            timer = threading.Timer(1.5, other.execute, ["COMMIT"])
            timer.start()
            if lock == "BEGIN IMMEDIATE":
                entry.keep([make_trial(5, 0)])
            else:
                with Store(path) as again:
                    assert again.names() == ["a"]
            assert not other.in_transaction
            timer.join()


@pytest.mark.parametrize(
    ("state", "passes"), [(None, True), ("08006", True), ("57P01", True), ("40001", True), ("54000", False)]
)
def test_only_what_passes_is_tried_again(state, passes):
    cause = type("Cause", (Exception,), {"sqlstate": state})("why")
    error = OperationalError("SELECT", {}, cause)
    assert PostgreSQL("postgresql://x/y").passes(error) is passes


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store(path, create=True):
        pass
    path.chmod(0o400)
    with pytest.raises(StoreFailed, match="readonly"):
        Store(path)


@pytest.mark.parametrize("name", ["a?b.sqlite", "run%201.sqlite", ":memory:", "a#b", "ü.sqlite"])
def test_a_path_is_a_path_whatever_is_in_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with Store(name, create=True) as store:
        store.enter(Study(name="a"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Store(name) as store:
        assert [overview.name for overview in store.overviews()] == ["a"]
