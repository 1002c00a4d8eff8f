"""Kill workers of a study at random moments, as the kernel does when memory is short.

    python tests/faults/kill_workers.py [--kills 50] [--trials 200] [--updates 2000]

No result may be lost. If three workers are killed while they run the same trial alone, memspan counts the trial as
the cause, and it has failed. The script runs failed trials again with --retry-failed, as a user would.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from common import compare, coordinator, kill_now_and_then, small_study, stored, undisturbed

from memspan import load_study

LENGTHS = 20, 40  # an update takes 0.1 ms, and trials are not solved soon


def kill_workers(folder: Path, kills: int, trials: int, updates: int = 2000) -> tuple[int, str, bool]:
    """Return the number of kills, a line about the results, and whether they are right."""
    study = small_study(trials, updates, LENGTHS)
    expected = undisturbed(study)
    began = time.monotonic()
    running = coordinator(study, folder)
    killed = kill_now_and_then(running, kills, random.Random(0), (0.1, 1.5))
    _, err = running.communicate(timeout=600)
    if running.returncode != 0:
        return killed, f"the coordinator ended with {running.returncode}: {err}", False
    took = time.monotonic() - began
    result = load_study(folder / "store.sqlite", study.name)
    failed = sum(trial.outcome == "failed" for trial in result.trials)
    most = max(trial.attempts for trial in result.trials)
    if failed:
        coordinator(study, folder, "store.sqlite", "--retry-failed").communicate(timeout=600)
    found = stored(folder / "store.sqlite", study)
    line = f"{took:.0f} s; at most {most} attempts per trial; {failed} failed and run again; then "
    return killed, line + compare(found, expected), found == expected


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--updates", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        killed, found, right = kill_workers(Path(name), options.kills, options.trials, options.updates)
    right = right and killed == options.kills
    print(f"{'PASS' if right else 'FAIL'}: {killed} workers killed; {found}")
    raise SystemExit(not right)
