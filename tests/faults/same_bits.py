"""Compare the SHA-256 of all trained weights of a study between different ways to run it.

    python tests/faults/same_bits.py

The study runs in this process, in 1, 2 and 4 worker processes, interrupted and resumed, on Dask, and with
PostgreSQL. All weights must be equal to the last bit.
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
    """Hash all weights in the order of the keys."""
    return hashlib.sha256("".join(trial.digest for trial in result.trials).encode()).hexdigest()[:16]


def everywhere(study: Study, folder: Path, processes: tuple[int, ...] = (1, 2, 4)) -> Iterator[tuple[str, str]]:
    """Run the study in each way; yield the way and the digest of the weights."""
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
    """Interrupt a study after a number of trials, then resume it."""
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
        raise AssertionError("the study was not interrupted")
    return run_study(study, store, workers=2, progress=False)


def main() -> None:
    """Print each way with its digest, and whether all digests are equal."""
    study = Study(cell=("rnn", "lstm"), lengths=(4, 7), hidden=9, batch=16, updates=60, repetitions=5, name="bits")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        for way, bits in everywhere(study, Path(name)):
            found[way] = bits
            print(f"  {bits}  {way}, {time.monotonic() - began:.1f} s", flush=True)
            began = time.monotonic()
    different = len(set(found.values()))
    print(f"{'PASS' if different == 1 else 'FAIL'}: {len(found)} runs, {different} different digests")
    raise SystemExit(different != 1)


if __name__ == "__main__":
    main()
