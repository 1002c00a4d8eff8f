"""A Dask cluster that runs jobs. No other module uses Dask."""

import asyncio
import contextlib
import logging
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from memspan._version import __version__
from memspan.errors import InvalidArgument, shown
from memspan.execution.jobs import OtherVersion
from memspan.execution.memory import SHARE
from memspan.execution.teams import ExecutorFailed, Team
from memspan.runtime.passwords import without_passwords

SECONDS_TO_CONNECT = 10
SECONDS_BETWEEN_COUNTS = 2.0  # between two counts of the workers
SECONDS_TO_ANSWER = 6.0
SECONDS_WITHOUT_WORKERS = 60.0  # after which the study ends


class Dask(Team):
    """The workers of a Dask scheduler, which may run on several machines.

    If a worker is killed, the scheduler starts all its tasks again on other workers, up to `allowed-failures`
    times, and counts a failure for each of them. So a task is known to be the cause only if it ran alone.

    Parameters
    ----------
    address : str
        The address of the scheduler, or the path of the `.json` file that it writes.

    Raises
    ------
    InvalidArgument
        If Dask is not installed, no scheduler answers at the address, or it has no workers.
    OtherVersion
        If a worker cannot import memspan, or has another version.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed  # noqa: F401
        except ModuleNotFoundError:
            rule = "left out because Dask is not installed (pip install 'memspan[dask]')"
            raise InvalidArgument("scheduler", rule, without_passwords(shown(address))) from None
        _demand_address(address)
        self._log = logging.getLogger("distributed.client")
        self._level = self._log.level
        self._log.setLevel(logging.CRITICAL)  # memspan reports failures itself, in one line
        try:
            self.client = _client(address)
        except (OSError, ValueError) as error:
            got = without_passwords(address)
            raise InvalidArgument("scheduler", "the address of a running Dask scheduler", got) from error
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
        """Do nothing: the scheduler replaces workers."""

    def memory(self) -> int | None:
        """Return the bytes that all slots may use: the smallest limit per thread, times the number of slots.

        A worker whose limit is 0 has none.
        """
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
        elif self._count is None and now - self._counted > SECONDS_BETWEEN_COUNTS:
            self._counted = now
            request = self.client.scheduler.ncores()
            self._count = asyncio.run_coroutine_threadsafe(request, self.client.loop.asyncio_loop)

    def _note_workers(self, count: "Future[dict[str, int]]") -> None:
        """Set the number of slots to the current number of threads, which changes as workers join and leave."""
        try:
            threads = sum(count.result().values())
        except OSError as error:  # Dask's CommClosedError is one
            raise ExecutorFailed(self._silent()) from error
        self.slots = max(1, threads)
        if threads:
            self._manned = time.monotonic()
        elif time.monotonic() - self._manned > SECONDS_WITHOUT_WORKERS:
            raise ExecutorFailed(
                f"The scheduler {self.address} has had no workers for {SECONDS_WITHOUT_WORKERS:.0f} s. All "
                "finished trials are kept."
            )

    def _silent(self) -> str:
        return f"The scheduler {self.address} no longer answers. All finished trials are kept."

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        with contextlib.suppress(Exception):  # the scheduler may have ended
            self.client.close(timeout=2)
        self._log.setLevel(self._level)

    def _demand_workers(self) -> int:
        """Return the number of threads of all workers; raise unless each has this version of memspan."""
        threads = self.client.nthreads()
        if not threads:
            rule = "the address of a Dask scheduler with workers"
            raise InvalidArgument("scheduler", rule, f"{self.address}, which has none")
        versions = self.client.run(_version, on_error="return")
        for worker, version in versions.items():
            if isinstance(version, Exception):
                raise OtherVersion(f"The worker {worker} cannot import memspan: {version}.")
            if version != __version__:
                raise OtherVersion(f"The worker {worker} has memspan {version}, the coordinator {__version__}.")
        return sum(threads.values())


def _demand_address(address: str) -> None:
    """Refuse a missing file, for which Dask would wait for ever, and a host without a port."""
    if address.endswith(".json"):
        if not Path(address).is_file():
            got = without_passwords(address)
            raise InvalidArgument("scheduler", "an existing file, written by a Dask scheduler", got)
    elif ":" not in address:
        raise InvalidArgument("scheduler", "an address such as tcp://host:8786, or a .json file", address)


def _client(address: str) -> Any:
    from distributed import Client

    where = {"scheduler_file" if address.endswith(".json") else "address": address}
    options = {"timeout": SECONDS_TO_CONNECT, "set_as_default": False}
    return Client(**where, **options)  # type: ignore[no-untyped-call]


def _version() -> str:
    return __version__
