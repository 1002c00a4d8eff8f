"""Compare the SHA-256 of all trained weights of a study, and of a search, between different ways to run it.

    python tests/faults/same_bits.py

Each runs in this process, in 1, 2 and 4 worker processes, interrupted and resumed, on Dask, and with PostgreSQL.
All weights must be equal to the last bit.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from servers import dask_cluster, missing, postgres_server

from memspan import Search, Study, StudyResult, load_study, run_search, run_study
from memspan.execution.events import Event, Finished


def digest(result: StudyResult) -> str:
    """Hash all weights in the order of the keys."""
    return hashlib.sha256("".join(trial.digest for trial in result.trials).encode()).hexdigest()[:16]


def run(work: Study | Search, *store: str | Path, **options: Any) -> StudyResult:
    """Run a study or a search."""
    return (run_study if isinstance(work, Study) else run_search)(work, *store, progress=False, **options)


def everywhere(
    work: Study | Search, folder: Path, processes: tuple[int, ...] = (1, 2, 4)
) -> Iterator[tuple[str, str]]:
    """Run a study or a search in each way; yield the way and the digest of the weights."""
    alone = run(work)
    yield "in this process", digest(alone)
    for workers in processes:
        yield f"{workers} processes", digest(run(work, workers=workers))
    for after in (1, len(alone.trials) // 2):
        store = folder / f"resumed-{after}.sqlite"
        yield f"stopped after {after} trials, resumed", digest(resumed(work, store, after))
    if not missing("dask"):
        with dask_cluster(folder) as cluster:
            yield "Dask", digest(run(work, scheduler=cluster.address))
    if not missing("postgres"):
        with postgres_server(folder) as server:
            yield "2 processes, PostgreSQL", digest(run(work, server.url, workers=2))
            yield "read from PostgreSQL", digest(load_study(server.url, work.name))


def resumed(work: Study | Search, store: Path, after: int) -> StudyResult:
    """Interrupt a study or a search after a number of trials, then resume it."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += len(event.trials) if isinstance(event, Finished) else 0
        if seen >= after:
            raise KeyboardInterrupt

    try:
        run(work, store, listen=listen)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("it was not interrupted")
    return run(work, store, workers=2)


def same(work: Study | Search) -> bool:
    """Print each way to run a study or a search with its digest, and whether all digests are equal."""
    found = {}
    print(f"{work.what}:")
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        for way, bits in everywhere(work, Path(name)):
            found[way] = bits
            print(f"  {bits}  {way}, {time.monotonic() - began:.1f} s", flush=True)
            began = time.monotonic()
    different = len(set(found.values()))
    print(f"{'PASS' if different == 1 else 'FAIL'}: {len(found)} runs, {different} different digests")
    return different == 1


def main() -> None:
    """Compare the ways to run a study, and those to run a search."""
    how = {"hidden": 9, "batch": 16, "name": "bits"}
    study = Study(**how, cell=("rnn", "lstm"), lengths=(4, 7), updates=60, repetitions=5)
    search = Search(**how, updates=400, width=0.2)
    raise SystemExit(not all([same(study), same(search)]))


if __name__ == "__main__":
    main()
