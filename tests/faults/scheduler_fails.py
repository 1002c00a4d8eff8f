"""Kill or stop the Dask scheduler, or kill its workers, in the middle of a study.

    python tests/faults/scheduler_fails.py

memspan must end with a message within 10 s (within 75 s without workers, because new ones may connect), and the
study can be resumed.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import compare, coordinator, rows_in, small_study, stored, undisturbed
from servers import Cluster, dask_cluster, wait_until


def killed(cluster: Cluster) -> None:
    """Send SIGKILL to the scheduler."""
    cluster.scheduler.kill()


def hung(cluster: Cluster) -> None:
    """Send SIGSTOP to the scheduler: its connections stay open, but it does not answer."""
    cluster.scheduler.send_signal(signal.SIGSTOP)


def deserted(cluster: Cluster) -> None:
    """Send SIGKILL to all workers and to the processes that would restart them."""
    for worker in cluster.workers:
        os.killpg(worker.pid, signal.SIGKILL)


def scheduler_fails(
    folder: Path, fault: Callable[[Cluster], None], seconds: float = 10, trials: int = 80
) -> tuple[str, bool]:
    """Return a line about the results, and whether memspan behaved correctly."""
    study = small_study(trials, 1500, (20, 40))
    expected = undisturbed(study)
    store = folder / "store.sqlite"
    with dask_cluster(folder) as cluster:
        running = coordinator(study, folder, "store.sqlite", "--scheduler", cluster.address)
        wait_until(lambda: rows_in(store) > 0)
        fault(cluster)
        began = time.monotonic()
        _, err = running.communicate(timeout=120)
        took = time.monotonic() - began
    before = rows_in(store)
    messages = [line for line in err.splitlines() if line.startswith("memspan:")]
    resumed = coordinator(study, folder)
    resumed.communicate(timeout=600)
    found = stored(store, study)
    right = running.returncode == 4 and took < seconds and "scheduler" in messages[-1] and found == expected
    clean = "Traceback" not in err
    return (
        f"ended with {running.returncode} after {took:.1f} s, {before} trials kept, "
        f"{'no' if clean else 'a'} traceback: {messages}; then {compare(found, expected)}"
    ), right and 0 < before < trials and clean


if __name__ == "__main__":
    codes = []
    for fault, seconds in ((killed, 10), (hung, 10), (deserted, 75)):
        with tempfile.TemporaryDirectory() as name:
            found, right = scheduler_fails(Path(name), fault, seconds)
        print(f"{'PASS' if right else 'FAIL'}: {fault.__name__}: {found}", flush=True)
        codes.append(not right)
    raise SystemExit(any(codes))
