"""The SHA-256 of all trained weights: in this process, in 1, 2 and 4 others, on Dask, resumed, and in PostgreSQL.

python tests/faults/same_bits.py
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from servers import dask_cluster, missing, postgres_server

from memspan import Study, StudyResult, load_study, run_study
from memspan.execution.events import Event, Finished


def digest(result: StudyResult) -> str:
    """Of all weights, in the order of the keys."""
    return hashlib.sha256("".join(trial.digest for trial in result.trials).encode()).hexdigest()[:16]


def everywhere(study: Study, folder: Path, processes: tuple[int, ...] = (1, 2, 4)) -> Iterator[tuple[str, str]]:
    """Where it was run, and what came out."""
    yield "in this process", digest(run_study(study, progress=False))
    for workers in processes:
        yield f"{workers} processes", digest(run_study(study, workers=workers, progress=False))
    for after in (1, len(study.keys) // 2):
        store = folder / f"resumed-{after}.sqlite"
        yield f"stopped after {after} trials, resumed", digest(resumed(study, store, after))
    if not missing("dask"):
        with dask_cluster(folder) as cluster:
            yield "Dask", digest(run_study(study, scheduler=cluster.address, progress=False))
    if not missing("postgres"):
        with postgres_server(folder) as server:
            yield "2 processes, PostgreSQL", digest(run_study(study, server.url, workers=2, progress=False))
            yield "read from PostgreSQL", digest(load_study(server.url, study.name))


def resumed(study: Study, store: Path, after: int) -> StudyResult:
    """Stop a study after so many trials, and go on."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += len(event.trials) if isinstance(event, Finished) else 0
        if seen >= after:
            raise KeyboardInterrupt

    try:
        run_study(study, store, progress=False, listen=listen)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("it was not stopped")
    return run_study(study, store, workers=2, progress=False)


def main() -> None:
    """Print where and what, and whether all are one."""
    study = Study(cell=("rnn", "lstm"), lengths=(4, 7), hidden=9, batch=16, updates=60, repetitions=5, name="bits")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        for where, what in everywhere(study, Path(name)):
            found[where] = what
            print(f"  {what}  {where}, {time.monotonic() - began:.1f} s", flush=True)
            began = time.monotonic()
    one = len(set(found.values())) == 1
    print(f"{'PASS' if one else 'FAIL'}: {len(set(found.values()))} different of {len(found)}")
    raise SystemExit(not one)


if __name__ == "__main__":
    main()
