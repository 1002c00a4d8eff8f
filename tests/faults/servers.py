"""Servers and the browser for tests, on this machine. Each server stops at the end of its `with` block."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SECONDS_TO_START = 60


def missing(server: str) -> str:
    """The reason why a server cannot be started on this machine; empty if it can."""
    if server == "dask":
        try:
            import distributed  # noqa: F401
        except ModuleNotFoundError:
            return "Dask is not installed: pip install 'memspan[dask]'"
        return ""
    if server == "browser":
        try:
            import axe_playwright_python  # noqa: F401
            import playwright  # noqa: F401
        except ModuleNotFoundError:
            return "Playwright or axe is not installed: pip install playwright axe-playwright-python"
        return "" if browser_program() else "Chromium is not installed (Debian: chromium)"
    try:
        import psycopg  # noqa: F401
    except ModuleNotFoundError:
        return "psycopg is not installed: pip install 'memspan[postgres]'"
    return "" if _postgres_program("initdb") else "PostgreSQL is not installed (Debian: postgresql)"


def browser_program() -> str | None:
    """The program of Chromium on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def demand(server: str) -> None:
    """If a server cannot be started, skip the test with the reason; in CI, fail."""
    import pytest

    if reason := missing(server):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@dataclass
class Cluster:
    """A scheduler and its workers, each a process."""

    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]
    log: Path


@contextmanager
def dask_cluster(folder: Path, workers: int = 2, environment: dict | None = None) -> Iterator[Cluster]:
    """Start `dask scheduler` and several `dask worker` with one thread each."""
    file, log = folder / "scheduler.json", folder / "dask.log"
    # Dask must not retry tasks itself: it reports each killed worker at once, and the coordinator counts them.
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", **(environment or {})}
    started: list[subprocess.Popen] = []

    def start(*command: str) -> subprocess.Popen:
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
                env={**os.environ, **settings},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        started.append(process)
        return process

    try:
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        scheduler = start("dask_scheduler", *options)
        wait_until(lambda: _is_json(file))
        address = json.loads(file.read_text())["address"]
        more = ("--nthreads", "1", "--no-dashboard", "--death-timeout", "30", "--local-directory", str(folder))
        teams = [start("dask_worker", address, *more) for _ in range(workers)]
        from distributed import Client

        with Client(address, timeout=SECONDS_TO_START, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=SECONDS_TO_START)
        yield Cluster(address, scheduler, teams, log)
    finally:
        for process in started:  # an orderly shutdown would take seconds
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in started:
            process.wait()


@contextmanager
def postgres_server(folder: Path) -> Iterator["Postgres"]:
    """Start a new PostgreSQL server with an empty database."""
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")


class Postgres:
    """A PostgreSQL server that can be stopped and started again.

    PostgreSQL refuses to run as root, so for root it runs as the user postgres.
    """

    def __init__(self, folder: Path) -> None:
        self.user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if self.user:
            for above in (folder, *folder.parents):
                if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001:
                    above.chmod(above.stat().st_mode | 0o011)
            self.data.mkdir()
            shutil.chown(self.data, self.user, self.user)
        options = ("--pgdata", str(self.data), "--auth", "trust", "--username", "memspan", "--no-sync")
        self._run("initdb", *options, "--encoding", "UTF8", "--locale", "C")

    @property
    def url(self) -> str:
        """The store's URL for memspan."""
        return f"postgresql://memspan@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run(
            "pg_ctl", "--pgdata", str(self.data), "-o", settings, "-l", str(self.data / "log"), "-w", "start"
        )

    def stop(self, how: str = "fast") -> None:
        """Stop the server: `fast` rolls back open transactions, `immediate` simulates a crash."""
        self._run("pg_ctl", "--pgdata", str(self.data), "-m", how, "-w", "stop")

    def clear(self) -> None:
        """Drop memspan's tables."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS memspan CASCADE")

    def add_user(self, name: str, password: str) -> None:
        """Add a user who needs a password; all other users need none."""
        import psycopg

        rules = self.data / "pg_hba.conf"
        rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{password}'")
            connection.execute("SELECT pg_reload_conf()")

    def _run(self, program: str, *options: str) -> None:
        found = subprocess.run(
            [_postgres_program(program), *options],
            user=self.user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS_TO_START,
        )
        if found.returncode:
            raise RuntimeError(f"{program}: {found.stderr}")


def _postgres_program(name: str) -> str | None:
    """Find a program of PostgreSQL; Debian does not put these in PATH."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(kept[-1]) if kept else None)


def wait_until(condition, seconds: float = SECONDS_TO_START) -> None:
    """Wait until a condition holds; raise TimeoutError after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{condition} did not hold within {seconds} s")
        time.sleep(0.05)


def _is_json(file: Path) -> bool:
    """Whether a file exists and holds complete JSON."""
    try:
        return bool(json.loads(file.read_text()))
    except (FileNotFoundError, ValueError):
        return False
