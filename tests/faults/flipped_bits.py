"""Flip single bits of a store or a checkpoint. memspan must notice each flip, or read the same data as before.

    python tests/faults/flipped_bits.py [FLIPS]

In a SQLite store or a checkpoint, any bit of the file is flipped. In a PostgreSQL store it is a bit of a value in
a table, because memspan sees only values and not the server's files. A flip is `noticed` if memspan raises an
error, `harmless` if it reads the same data, and otherwise `unnoticed`. The doctor must call a SQLite store unsound
unless the flip is harmless. The script makes FLIPS flips of each, by default 2,000.
"""

import random
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import servers

from memspan import (
    RNN,
    Adam,
    Batches,
    Chain,
    ClipByNorm,
    Learner,
    MemspanError,
    MSELoss,
    Recall,
    Search,
    Store,
    Study,
    run_search,
    run_study,
)
from memspan.store.repair import diagnose
from memspan.store.schema import METADATA

SMALL = {"hidden": 4, "batch": 4, "updates": 3, "final_batches": 1}
STUDIES = [
    Study(**SMALL, cell=("rnn", "gru"), lengths=(3, 6), repetitions=3, name="faults"),
    Study(**SMALL, lengths=3, repetitions=2, keep_weights=2, test_lengths=(4, 5), name="another"),
]
SEARCH = Search(**SMALL, groups=1, repetitions=2, budget="4", name="search")


def make_store(place: Path | str) -> None:
    """Make a store of a search and two studies, with weights, scores at other lengths and a failed trial."""
    for study in STUDIES:
        run_study(study, place, progress=False)
    run_search(SEARCH, place, progress=False)
    with Store(place) as store:
        trial = next(store.find("another").trials())
        failed = trial.model_copy(update={"repetition": 2, "outcome": "failed", "reason": "MemoryError: no room"})
        store.enter(STUDIES[1].with_(repetitions=3)).keep([failed])


def contents(place: Path | str) -> list:
    """Everything that can be read from a store."""
    found: list = []
    with Store(place) as store:
        found += map(repr, store.overviews())
        for name in ("faults", "another", "search"):
            entry = store.find(name)
            found += [repr(entry.study), entry.done(), entry.done(but_failed=True), entry.counts()]
            found += [(trial.model_dump_json(), entry.weights(trial.key)) for trial in entry.trials()]
            found += [entry.reasons(), entry.summary().sentence]
    return found


def judged(read: Callable[[], object], sound: object) -> str:
    """Return the verdict on a flip: noticed, harmless or unnoticed."""
    try:
        return "harmless" if read() == sound else "unnoticed"
    except MemspanError:
        return "noticed"
    except Exception as error:
        return f"unnoticed: {type(error).__name__}: {error}"


def of_sqlite(folder: Path, flips: int, rng: random.Random) -> Counter:
    """Flip random bits of a SQLite file; count the verdicts."""
    make_store(folder / "sound.sqlite")
    sound, whole = contents(folder / "sound.sqlite"), (folder / "sound.sqlite").read_bytes()
    found: Counter = Counter()
    path = folder / "flipped.sqlite"
    for _ in range(flips):
        damaged = _flipped(whole, rng)
        path.write_bytes(damaged)
        verdict = judged(lambda: contents(path), sound)
        found[verdict] += 1
        path.write_bytes(damaged)  # opening the store may have written to the file
        if verdict != "harmless" and diagnose(path).sound:
            found["unnoticed by the doctor"] += 1
    return found


def of_postgres(url: str, flips: int, rng: random.Random) -> Counter:
    """Flip random bits of values in tables, including keys; count the verdicts."""
    import psycopg

    make_store(url)
    sound = contents(url)
    found: Counter = Counter()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SET session_replication_role = replica"
        )  # switches off foreign keys, which do not stop a damaged disk
        while found.total() < flips:
            table = rng.choice([*METADATA.tables.values()])
            rows = connection.execute(f"SELECT ctid::text, * FROM memspan.{table.name}").fetchall()
            ctid, *values = rng.choice(rows)
            column, value = rng.choice([*zip(table.c, values, strict=True)])
            change = f'UPDATE memspan.{table.name} SET "{column.name}" = %s WHERE ctid = %s RETURNING ctid::text'
            try:
                ((now,),) = connection.execute(change, (flipped(value, rng), ctid)).fetchall()
            except (psycopg.errors.UniqueViolation, psycopg.errors.DataError, UnicodeDecodeError):
                continue  # the table cannot hold the flipped value
            found[judged(lambda: contents(url), sound)] += 1
            connection.execute(change, (value, now))
    assert contents(url) == sound
    return found


def flipped(value: object, rng: random.Random) -> object:
    """A value of the same type with one bit flipped; None and empty strings become other values."""
    match value:
        case None:
            return "1"
        case int():
            return value ^ (1 << rng.randrange(31))
        case float():
            return struct.unpack("<d", _flipped(struct.pack("<d", value), rng))[0]
        case str():
            return _flipped(value.encode(), rng).decode() if value else "x"
    return _flipped(value, rng)


def _flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def of_a_checkpoint(folder: Path, flips: int, rng: random.Random) -> Counter:
    """Flip random bits of a checkpoint; count the verdicts."""
    path = folder / "learner.safetensors"
    batches, optimizer = Batches(Recall(), length=5, batch=4, rng=1), Chain(ClipByNorm(1.0), Adam(1e-2))
    learner = Learner(RNN(1, 8, 1, rng=0), MSELoss(), batches, optimizer, engine="readable")
    learner.fit(20, evaluate_every=10, progress=False)
    learner.save(path)

    def read() -> str:
        found = Learner.load(path, engine="readable")
        learned = found.model.parameters.tolist(), [part.tolist() for part in found.state]
        parts = found.updates, found.batches.position, found.optimizer, found.task, found.loss, found.threshold
        return repr((learned, found.history.arrays(), found.model, parts))

    sound, whole = read(), path.read_bytes()
    found: Counter = Counter()
    for _ in range(flips):
        path.write_bytes(_flipped(whole, rng))
        found[judged(read, sound)] += 1
    return found


def unnoticed(counts: Counter) -> int:
    """The number of unnoticed flips."""
    return sum(count for verdict, count in counts.items() if verdict.startswith("unnoticed"))


if __name__ == "__main__":
    flips = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "a SQLite store": of_sqlite(folder, flips, random.Random(0)),
            "a checkpoint": of_a_checkpoint(folder, flips, random.Random(0)),
        }
        if reason := servers.missing("postgres"):
            print(f"SKIP: a PostgreSQL store: {reason}")
        else:
            (folder / "server").mkdir()
            with servers.postgres_server(folder / "server") as server:
                found["a PostgreSQL store"] = of_postgres(server.url, flips, random.Random(0))
    for kind, counts in found.items():
        print(f"{'FAIL' if unnoticed(counts) else 'PASS'}: {flips:,} flips of {kind}: {dict(counts)}")
    raise SystemExit(any(map(unnoticed, found.values())))
