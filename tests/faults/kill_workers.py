"""Kills workers at random moments of a study, as the kernel does when memory is short; nothing may be lost.

python tests/faults/kill_workers.py [--kills 50] [--trials 200]
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from common import compare, coordinator, facts, kill_now_and_then, small_study, undisturbed

from memspan import StudyResult


def kill_workers(folder: Path, kills: int, trials: int, seed: int = 0) -> tuple[int, str, bool]:
    """How many were killed, what was found, and whether that is right."""
    study = small_study(trials)
    expected = undisturbed(study)
    began, killed, starts = time.monotonic(), 0, 0
    while True:
        running = coordinator(study, folder)
        starts += 1
        killed += kill_now_and_then(running, kills - killed, random.Random(seed + starts), (0.1, 1.5))
        _, err = running.communicate(timeout=600)
        if running.returncode != 0:
            return killed, f"the coordinator ended with {running.returncode}: {err}", False
        if killed >= kills or starts >= 20:
            break
        (folder / "store.sqlite").unlink()
    result = StudyResult.load(folder / "store.sqlite", study.name)
    found = facts(result)
    failed = sum(trial.status == "failed" for trial in result.trials)
    took = f"{failed} failed; {max(trial.attempts for trial in result.trials)} attempts at most; "
    return (
        killed,
        f"{compare(found, expected)}; {took}{time.monotonic() - began:.0f} s, {starts} runs",
        found == expected,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        killed, found, right = kill_workers(Path(name), options.kills, options.trials)
    print(f"{'PASS' if right else 'FAIL'}: {killed} workers killed; {found}")
    raise SystemExit(not right)
