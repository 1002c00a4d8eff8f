"""Run a study with one trial that always kills its worker.

    python tests/faults/poison.py [--dask]

Only this trial may fail, after three attempts. All others must be finished.
"""

import argparse
import tempfile
from pathlib import Path

from common import compare, coordinator, facts, small_study, undisturbed
from servers import dask_cluster

from memspan import load_study

LENGTH, REPETITION = 6, 5
SITE = f"""\
import multiprocessing, os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "memspan.execution.jobs":  # now memspan.study.group can be imported
            sys.meta_path.remove(self)
            poison()

def poison():
    from memspan.study import group
    sound = group.prepared

    def prepared(study, length, repetitions, engine=None):
        in_worker = multiprocessing.parent_process() is not None
        if in_worker and study.cell == "gru" and length == {LENGTH} and {REPETITION} in repetitions:
            os.kill(os.getpid(), signal.SIGKILL)
        return sound(study, length, repetitions, engine)

    group.prepared = prepared

sys.meta_path.insert(0, Finder())
"""


def poison(folder: Path, trials: int, dask: bool) -> tuple[str, bool]:
    """Return a line about the results, and whether they are right."""
    study = small_study(trials)
    expected = undisturbed(study)
    (folder / "poisoned").mkdir()
    (folder / "poisoned" / "sitecustomize.py").write_text(SITE)  # Python imports it when a process starts
    environment = {"PYTHONPATH": str(folder / "poisoned")}
    if dask:
        with dask_cluster(folder, environment=environment) as cluster:
            return _judge(folder, study, expected, "--scheduler", cluster.address)
    return _judge(folder, study, expected, environment=environment)


def _judge(folder, study, expected, *options, environment=None) -> tuple[str, bool]:
    running = coordinator(study, folder, "store.sqlite", *options, environment=environment)
    _, err = running.communicate(timeout=600)
    result = load_study(folder / "store.sqlite", study.name)
    failed = [trial for trial in result.trials if trial.outcome == "failed"]
    rest = {key: text for key, text in facts(result).items() if key not in {trial.key for trial in failed}}
    wanted = {key: text for key, text in expected.items() if key in rest}
    line = "; ".join(f"{tuple(t.key)} failed after {t.attempts} attempts: {t.reason}" for t in failed)
    right = (
        [(trial.configuration, trial.length, trial.repetition, trial.attempts) for trial in failed]
        == [(1, LENGTH, REPETITION, 3)]
        and rest == wanted
        and len(rest) == len(expected) - 1
    )
    return f"{line or 'no trial failed'}; the others: {compare(rest, wanted)}; {err.strip()[-500:]}", right


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found, right = poison(Path(name), options.trials, options.dask)
    print(f"{'PASS' if right else 'FAIL'}: {found}")
    raise SystemExit(not right)
