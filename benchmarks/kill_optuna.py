"""Kill Optuna's workers like memspan's: 200 trials in two processes, SIGKILL at 50 random moments.

    pip install optuna
    python benchmarks/kill_optuna.py [--kills 50] [--trials 200] [--updates 2000]

Optuna also stores its studies in SQLite (RDBStorage), with a heartbeat of one second, and retries trials whose
heartbeat has stopped (RetryHeartbeatStaleTrialCallback). Its points form a grid. The script replaces a killed
process at once and starts two more processes at the end, as memspan's study is resumed. For memspan it runs
tests/faults/kill_workers.py. It writes results/kills.md and .json.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "faults"))
from common import small_study
from kill_workers import LENGTHS, kill_workers

from memspan.study.group import run_trial

RESULTS = Path(__file__).parent / "results"
SECONDS_MORE = 40.0
"""Time for the processes after the last kill; results that are missing then count as lost."""


def optuna_study(folder: str, trials: int):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder}/optuna.db",
        engine_kwargs={"connect_args": {"timeout": 30}},
        heartbeat_interval=1,
        grace_period=2,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=10),
    )
    grid = {"k": list(range(trials))}
    return optuna.create_study(
        storage=storage, study_name="kills", sampler=optuna.samplers.GridSampler(grid), load_if_exists=True
    )


def work(folder: str, trials: int, updates: int) -> None:
    """Run a worker; the points of the grid are the trials of the study that memspan runs."""
    study = small_study(trials, updates, LENGTHS)
    keys = study.keys

    def objective(trial) -> float:
        key = keys[trial.suggest_int("k", 0, trials - 1)]
        return run_trial(study.configurations[key.configuration], key.length, key.repetition).loss

    optuna_study(folder, trials).optimize(objective)


def kill_optuna(folder: str, kills: int, trials: int, updates: int) -> dict:
    """Kill workers of an Optuna study, and count the trials by outcome."""
    import optuna

    rng = random.Random(1)
    optuna_study(folder, trials)

    def start() -> subprocess.Popen:
        size = ["--trials", str(trials), "--updates", str(updates)]
        return subprocess.Popen([sys.executable, __file__, "--work", folder, *size])

    workers, killed, began = [start(), start()], 0, time.monotonic()
    while killed < kills and any(worker.poll() is None for worker in workers):
        time.sleep(rng.uniform(0.1, 1.5))
        k = rng.randrange(2)
        if workers[k].poll() is None:
            os.kill(workers[k].pid, signal.SIGKILL)
            workers[k].wait()
            killed += 1
            workers[k] = start()
    ended = [_ends(workers), _ends([start(), start()])]
    found = optuna_study(folder, trials).get_trials(deepcopy=False)
    complete = Counter(t.params["k"] for t in found if t.state == optuna.trial.TrialState.COMPLETE)
    return {
        "version": optuna.__version__,
        "killed": killed,
        "ended": ended,
        "seconds": time.monotonic() - began,
        "points_done": len(complete),
        "points_missing": trials - len(complete),
        "done_more_than_once": sum(count - 1 for count in complete.values()),
        "still_running": sum(t.state == optuna.trial.TrialState.RUNNING for t in found),
        "failed": sum(t.state == optuna.trial.TrialState.FAIL for t in found),
    }


def _ends(workers: list[subprocess.Popen]) -> list[int | None]:
    """Return the exit codes after `SECONDS_MORE`; None for workers still running, which are killed."""
    until = time.monotonic() + SECONDS_MORE
    while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
        time.sleep(0.2)
    ended = [worker.poll() for worker in workers]
    for worker in workers:
        worker.kill()
    return ended


def markdown(found: dict) -> str:
    ours, theirs = found["memspan"], found["optuna"]
    names = ("killed", "points_done", "points_missing", "done_more_than_once", "still_running", "failed")
    row = " | ".join(str(theirs[name]) for name in names)
    return f"""# Workers killed at random moments

{found["trials"]} trials of {found["updates"]:,} updates in two processes; {found["kills"]} times SIGKILL to one of
the processes, 0.1 to 1.5 s apart.

| | killed | results | missing | kept more than once | left as running | left as failed |
|---|---:|---:|---:|---:|---:|---:|
| memspan | {ours["killed"]} | {found["trials"]} | 0 | 0 | 0 | 0 |
| Optuna {theirs["version"]}, SQLite, grid, heartbeat 1 s | {row} |

memspan: {ours["found"]}.
All results are equal, bit for bit, to those of an undisturbed run. A trial fails if its worker is killed three
times while it runs no other trial; `--retry-failed` runs it again.

Optuna's killed processes were replaced at once. They had {SECONDS_MORE:.0f} s after the last kill, and two more
were started at the end; the exit codes were {theirs["ended"]} (None: still running). Optuna keeps interrupted
trials as failed and retries them as new trials. `benchmarks/kill_optuna.py` repeats the measurement.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--work", metavar="FOLDER")
    options = parser.parse_args()
    if options.work:
        work(options.work, options.trials, options.updates)
        return
    with tempfile.TemporaryDirectory() as name:
        killed, line, right = kill_workers(Path(name), options.kills, options.trials, options.updates)
        assert right, line
        theirs = kill_optuna(name, options.kills, options.trials, options.updates)
    found = {"kills": options.kills, "trials": options.trials, "updates": options.updates, "optuna": theirs}
    found["memspan"] = {"killed": killed, "found": line}
    print(markdown(found))
    (RESULTS / "kills.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "kills.md").write_text(markdown(found))


if __name__ == "__main__":
    main()
