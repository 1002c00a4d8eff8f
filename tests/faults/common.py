"""Shared code of the fault scripts: a study of many small trials, and the comparison of its results."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil

from memspan import Study, StudyResult, load_study, run_study
from memspan.study.trial import ACCIDENTAL

SPECIFICATION = """\
cell = ["rnn", "gru"]
lengths = {lengths}
hidden = 8
batch = 32
updates = {updates}
threshold = 1.0
final_batches = 2
repetitions = {repetitions}
name = "faults"
"""


def small_study(trials: int, updates: int = 400, lengths: tuple[int, int] = (3, 6)) -> Study:
    """A study of `trials` trials, with two cells and two lengths."""
    return Study(
        cell=("rnn", "gru"),
        lengths=lengths,
        hidden=8,
        batch=32,
        updates=updates,
        threshold=1.0,
        final_batches=2,
        repetitions=trials // 4,
        name="faults",
    )


def facts(result: StudyResult) -> dict:
    """The fields of every trial that must be equal whatever happened."""
    return {trial.key: trial.model_dump_json(exclude=set(ACCIDENTAL)) for trial in result.trials}


def undisturbed(study: Study) -> dict:
    """The facts of a study that ran undisturbed in this process."""
    return facts(run_study(study, progress=False))


def stored(store: Path | str, study: Study) -> dict:
    """The facts of a study in a store."""
    return facts(load_study(store, study.name))


def coordinator(
    study: Study,
    folder: Path,
    store: str = "store.sqlite",
    *options: str,
    environment: dict | None = None,
    before: Callable[[], None] | None = None,
) -> subprocess.Popen:
    """Start `memspan study run` in a new process and a new session."""
    specification = folder / "study.toml"
    shape = {"lengths": [*study.lengths], "updates": study.updates, "repetitions": study.repetitions}
    specification.write_text(SPECIFICATION.format(**shape))
    command = [sys.executable, "-m", "memspan", "study", "run", specification.name, "--store", store]
    workers = [] if {"--workers", "--scheduler"} & {*options} else ["--workers", "2"]
    return subprocess.Popen(
        [*command, *workers, "--progress", "none", "--no-figures", *options],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )


def rows_in(store: Path) -> int:
    """The number of trials in a SQLite store; 0 if the store does not exist."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM trials").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def workers_of(process: int) -> list[psutil.Process]:
    """The worker processes of a coordinator, oldest first, without multiprocessing's helper process."""
    try:
        children = psutil.Process(process).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def kill_now_and_then(
    running: subprocess.Popen, kills: int, rng: random.Random, apart: tuple[float, float]
) -> int:
    """Kill workers of a coordinator at random moments; return how many were killed before it ended."""
    killed = 0
    while killed < kills and running.poll() is None:
        time.sleep(rng.uniform(*apart))
        if victims := workers_of(running.pid):
            try:
                os.kill(rng.choice(victims).pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
    return killed


def compare(found: dict, expected: dict) -> str:
    """Describe the differences of two sets of results in one line."""
    different = sum(found.get(key) != expected[key] for key in expected)
    unexpected = len(set(found) - set(expected))
    return f"{len(found)} of {len(expected)} results, {unexpected} unexpected, {different} different"
