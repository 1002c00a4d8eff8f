"""A Dask cluster that carries out jobs. Everything that knows Dask is here."""

import asyncio
import contextlib
import logging
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from memspan._version import __version__
from memspan.errors import InvalidArgument
from memspan.execution.jobs import OtherVersion
from memspan.execution.memory import SHARE
from memspan.execution.teams import ExecutorFailed, Team
from memspan.runtime.passwords import without_passwords

SECONDS_TO_CONNECT = 10
SECONDS_BETWEEN_COUNTS = 2.0
SECONDS_TO_ANSWER = 6.0
SECONDS_WITHOUT_WORKERS = 60.0


class Dask(Team):
    """The workers of a Dask scheduler, which may be on many machines: by its address, or the file that it writes.

    A scheduler lets a task begin again on another worker when one dies, as often as its setting `allowed-failures`
    says, and blames every task that the worker had. So a death that it reports is its own only where it was alone.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed  # noqa: F401
        except ModuleNotFoundError:
            rule = "left out, unless Dask is installed: pip install 'memspan[dask]'"
            raise InvalidArgument("scheduler", rule, repr(without_passwords(address))) from None
        _demand_address(address)
        self._log = logging.getLogger("distributed.client")
        self._level = self._log.level
        self._log.setLevel(logging.CRITICAL)  # what goes wrong is said here, and in one line
        try:
            self.client = _client(address)
        except (OSError, ValueError) as error:
            got = without_passwords(address)
            raise InvalidArgument("scheduler", "the address of a Dask scheduler that answers", got) from error
        self.address = without_passwords(address)  # for messages
        try:
            slots = self._demand_workers()
        except BaseException:
            self.close()
            raise
        self._counted = self._manned = time.monotonic()
        self._count: Future[dict[str, int]] | None = None
        super().__init__(lambda: self.client.get_executor(pure=False), slots)

    def renew(self) -> None:
        """As in `Team`; here it is the scheduler that replaces workers."""

    def memory(self) -> int | None:
        """As in `Team`: the least of all workers, for each thread; a limit of 0 is none."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        each = [worker["memory_limit"] / worker["nthreads"] for worker in workers if worker["memory_limit"]]
        return int(min(each) * self.slots * SHARE) if each else None

    def check(self) -> None:
        """As in `Team`."""
        comm = self.client.scheduler_comm
        now = time.monotonic()
        late = self._count is not None and now - self._counted > SECONDS_TO_ANSWER
        if late or self.client.status != "running" or comm is None or comm.comm.closed():
            raise ExecutorFailed(self._silent())
        if self._count is not None and self._count.done():
            self._note_workers(self._count)
            self._count = None
        elif self._count is None and now - self._counted > SECONDS_BETWEEN_COUNTS:  # workers come and go
            self._counted = now
            ask = self.client.scheduler.ncores()
            self._count = asyncio.run_coroutine_threadsafe(ask, self.client.loop.asyncio_loop)

    def _note_workers(self, count: "Future[dict[str, int]]") -> None:
        try:
            threads = sum(count.result().values())
        except OSError as error:  # Dask's CommClosedError is one
            raise ExecutorFailed(self._silent()) from error
        self.slots = max(1, threads)
        if threads:
            self._manned = time.monotonic()
        elif time.monotonic() - self._manned > SECONDS_WITHOUT_WORKERS:
            raise ExecutorFailed(
                f"the scheduler {self.address} has had no workers for {SECONDS_WITHOUT_WORKERS:.0f} s; what was "
                "finished is kept"
            )

    def _silent(self) -> str:
        return f"the scheduler {self.address} does not answer any more; what was finished is kept"

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        with contextlib.suppress(Exception):  # it may be gone
            self.client.close(timeout=2)
        self._log.setLevel(self._level)

    def _demand_workers(self) -> int:
        """Threads of all workers; each has this memspan."""
        threads = self.client.nthreads()
        if not threads:
            rule = "the address of a Dask scheduler with workers"
            raise InvalidArgument("scheduler", rule, f"{self.address}, which has none")
        versions = self.client.run(_version, on_error="return")
        for worker, version in versions.items():
            if isinstance(version, Exception):
                raise OtherVersion(f"the worker {worker} cannot import memspan: {version}")
            if version != __version__:
                raise OtherVersion(
                    f"the worker {worker} has memspan {version}, and the study is run by {__version__}"
                )
        return sum(threads.values())


def _demand_address(address: str) -> None:
    """Dask waits for ever for a file that does not come, and long for a host of any name."""
    if address.endswith(".json"):
        if not Path(address).is_file():
            got = without_passwords(address)
            raise InvalidArgument("scheduler", "a file that a scheduler has written", got)
    elif ":" not in address:
        raise InvalidArgument("scheduler", "an address such as tcp://host:8786, or a .json file", address)


def _client(address: str) -> Any:
    from distributed import Client

    where = {"scheduler_file" if address.endswith(".json") else "address": address}
    options = {"timeout": SECONDS_TO_CONNECT, "set_as_default": False}
    return Client(**where, **options)  # type: ignore[no-untyped-call]


def _version() -> str:
    return __version__
