"""Kills the Dask scheduler in the middle of a study: a clear message within ten seconds, and it can be resumed.

python tests/faults/scheduler_killed.py
"""

import signal
import tempfile
import time
from pathlib import Path

from common import compare, coordinator, rows_in, small_study, stored, undisturbed
from servers import dask_cluster, wait_until


def scheduler_killed(folder: Path, trials: int = 80) -> tuple[str, bool]:
    """What was found, and whether that is right."""
    study = small_study(trials)
    expected = undisturbed(study)
    store = folder / "store.sqlite"
    with dask_cluster(folder) as cluster:
        running = coordinator(study, folder, "store.sqlite", "--scheduler", cluster.address)
        wait_until(lambda: rows_in(store) > 0)
        cluster.scheduler.send_signal(signal.SIGKILL)
        began = time.monotonic()
        _, err = running.communicate(timeout=60)
        took = time.monotonic() - began
    before = rows_in(store)
    told = [line for line in err.splitlines() if line.startswith("memspan:")]
    resumed = coordinator(study, folder)
    resumed.communicate(timeout=600)
    found = stored(store, study)
    right = running.returncode == 4 and took < 10 and "scheduler" in told[-1] and found == expected
    clean = "Traceback" not in err
    return (
        f"ended with {running.returncode} after {took:.1f} s, {before} trials kept, "
        f"{'no' if clean else 'a'} traceback: {told}; then {compare(found, expected)}"
    ), right and 0 < before < trials and clean


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found, right = scheduler_killed(Path(name))
    print(f"{'PASS' if right else 'FAIL'}: {found}")
    raise SystemExit(not right)
