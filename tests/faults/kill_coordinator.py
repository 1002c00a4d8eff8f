"""Kill the coordinator at random moments, and start it again until the study is finished.

python tests/faults/kill_coordinator.py [--kills 20] [--trials 200]
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import psutil
from common import compare, coordinator, small_study, stored, undisturbed, workers_of


def kill_coordinator(folder: Path, kills: int, trials: int, seed: int = 0) -> tuple[int, str, bool]:
    """Return the number of kills, a line about the results, and whether they are right."""
    study, rng = small_study(trials), random.Random(seed)
    expected = undisturbed(study)
    killed, orphans = 0, 0
    while killed < kills:
        running = coordinator(study, folder)
        time.sleep(rng.uniform(0.5, 4.0))
        workers = workers_of(running.pid)
        running.kill()
        running.communicate()
        killed += 1
        _, alive = psutil.wait_procs(workers, timeout=10)
        orphans += len(alive)
    running = coordinator(study, folder)
    _, err = running.communicate(timeout=600)
    found = stored(folder / "store.sqlite", study)
    right = running.returncode == 0 and found == expected and not orphans
    return killed, f"{compare(found, expected)}; {orphans} workers left after 10 s; {err.strip()[-300:]}", right


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        killed, found, right = kill_coordinator(Path(name), options.kills, options.trials)
    print(f"{'PASS' if right else 'FAIL'}: the coordinator was killed {killed} times; {found}")
    raise SystemExit(not right)
