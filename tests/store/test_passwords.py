"""The password of a server can be given in three ways that `ps` does not show, and is never printed."""

import os
import subprocess
import sys

import pytest
import servers

from memspan import Store

SECRET = "open-sesame"
SMALL = "--hidden 4 --batch 4 --updates 3 --final-batches 1 --evaluation-samples 10 --lengths 2 --repetitions 1"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that accepts `guest` only with the password."""
    servers.demand("postgres")
    with servers.postgres_server(tmp_path_factory.mktemp("guarded")) as server:
        server.add_user("guest", SECRET)
        Store(server.url, create=True).close()
        yield server


def address(server, login="guest"):
    return server.url.replace("memspan@", f"{login}@")


def memspan(line, folder, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MEMSPAN_"))}
    command = [sys.executable, "-m", "memspan", *line.split()]
    options = {"capture_output": True, "text": True, "cwd": folder, "env": {**clean, **environment}}
    return subprocess.run(command, **options)


def store_variable(server, folder):
    return {"MEMSPAN_STORE": address(server, f"guest:{SECRET}")}


def password_variable(server, folder):
    return {"MEMSPAN_STORE": address(server), "PGPASSWORD": SECRET}


def password_file(server, folder):
    file = folder / ("pgpass.conf" if os.name == "nt" else ".pgpass")
    file.write_text(f"127.0.0.1:{server.port}:*:guest:{SECRET}\n")
    file.chmod(0o600)
    return {"MEMSPAN_STORE": address(server), "HOME": str(folder), "PGPASSFILE": str(file)}


def home_file(server, folder):
    return {name: value for name, value in password_file(server, folder).items() if name != "PGPASSFILE"}


WAYS = [store_variable, password_variable, password_file]
if os.name == "posix":
    WAYS.append(home_file)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_password_need_not_be_an_argument(guarded, tmp_path, way):
    environment = way(guarded, tmp_path)
    found = memspan("store ls", tmp_path, **environment)
    assert (found.returncode, found.stderr) == (0, "")
    wrong = {name: value.replace(SECRET, "wrong") for name, value in environment.items()}
    if way in (password_file, home_file):
        (tmp_path / ".pgpass").unlink()
    found = memspan("store ls", tmp_path, **wrong)
    assert found.returncode == 4
    assert "wrong" not in found.stderr


@pytest.mark.slow
def test_a_run_prints_no_password_and_stores_none(guarded, tmp_path, memspan_, monkeypatch):
    environment = store_variable(guarded, tmp_path)
    run = f"study run {SMALL} --name secret --workers 0"
    found = memspan(f"{run} --progress json", tmp_path, **environment)
    assert found.returncode == 0, found.stderr
    said = found.stdout + found.stderr
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for line in (
        "study status secret",
        "store show secret",
        "study run --help",
        "store show nothing",
        f"study resume secret --workers 0 --store {environment['MEMSPAN_STORE']} --no-figures",
        f"study run {SMALL} --name secret --learning-rate 1 --workers 0",
        f"store ls {environment['MEMSPAN_STORE']}",
        f"study show {environment['MEMSPAN_STORE']}",
        f"study run {environment['MEMSPAN_STORE']}",
        f"study run {SMALL} --scheduler {environment['MEMSPAN_STORE'].replace('postgresql', 'tcp')}",
        f"store doctor --store {environment['MEMSPAN_STORE']}",
        f"store ls --store={environment['MEMSPAN_STORE'].replace('postgresql', 'postgresql+psycopg2')}",
    ):
        _, out, err = memspan_(line)
        said += out + err
    assert SECRET not in said
    import psycopg

    with psycopg.connect(guarded.url) as connection:
        for table in ("studies", "configurations", "trials", "curves", "weights"):
            rows = connection.execute(f"SELECT t::text FROM memspan.{table} t").fetchall()
            assert SECRET not in repr(rows)
