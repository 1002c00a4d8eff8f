"""Open stores that are damaged, truncated, foreign or too new.

    python tests/faults/damaged_stores.py

memspan must name the damage, exit with code 3 and not change the file. The script counts the trials that the
doctor recovers from each store, and finishes a recovered study.
"""

import hashlib
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from common import small_study

from memspan import MemspanError, Store, Study, UnreadableFile, run_study
from memspan.store.repair import diagnose

PAGE = 4096


def zeroed_header(path: Path) -> None:
    """Overwrite the first hundred bytes with zeros."""
    _write(path, 0, bytes(100))


def zeroed_first_page(path: Path) -> None:
    """Overwrite the first page, which holds the list of tables, with zeros."""
    _write(path, 0, bytes(PAGE))


def no_sqlite(path: Path) -> None:
    """Replace the store by another kind of file."""
    path.write_text("time,value\n1,2\n" * 100)


def foreign(path: Path) -> None:
    """Replace the store by a SQLite database of another program."""
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (a)")
        connection.commit()


def newer_schema(path: Path) -> None:
    """Set a schema version newer than memspan's."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def without_a_table(path: Path) -> None:
    """Drop the table of trials."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE trials")


def cut_off(share: float) -> Callable[[Path], None]:
    """Truncate the file to a share of its size."""

    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * share))

    damage.__name__ = f"cut off after {share:.0%}"
    return damage


def random_page(seed: int) -> Callable[[Path], None]:
    """Overwrite a random page, not the first, with noise."""

    def damage(path: Path) -> None:
        rng = random.Random(seed)
        page = rng.randrange(1, path.stat().st_size // PAGE)
        _write(path, page * PAGE, rng.randbytes(PAGE))

    damage.__name__ = f"noise {seed}"
    return damage


def faults() -> Iterator[Callable[[Path], None]]:
    """The functions that damage a store."""
    yield from (zeroed_header, zeroed_first_page, no_sqlite, foreign, newer_schema, without_a_table)
    yield from (cut_off(share) for share in (0.0003, 0.01, 0.3, 0.7, 0.999))
    yield from (random_page(seed) for seed in range(10))


def sound_store(folder: Path, study: Study) -> Path:
    """Make a store with two studies."""
    path = folder / "sound.sqlite"
    run_study(study, path, progress=False)
    run_study(study.with_(name="another", cell="rnn"), path, progress=False)
    return path


def judge(sound: Path, damage: Callable[[Path], None], study: Study) -> tuple[str, bool]:
    """Return memspan's message about a damaged copy, and whether memspan behaved correctly."""
    path, rescued = sound.with_name("damaged.sqlite"), sound.with_name("rescued.sqlite")
    path.write_bytes(sound.read_bytes())
    rescued.unlink(missing_ok=True)
    damage(path)
    before = _digest(path)
    try:
        with Store(path) as store:
            seen = sum(overview.done for overview in store.overviews())
            message, named = f"opened without an error, {seen} trials", False
    except UnreadableFile as error:
        message, named = str(error).replace(str(path), "the store"), True
    except MemspanError as error:
        message, named = f"{type(error).__name__}: {error}", False
    found = diagnose(path, rescued)
    with Store(rescued) as store:
        kept = {overview.name: overview.done for overview in store.overviews()}
    whole = "faults" not in kept or run_study(study, rescued, progress=False).complete
    untouched = _digest(path) == before
    right = named and untouched and not found.sound and whole
    changed = "" if untouched else "; THE FILE WAS CHANGED"
    return f"{message[:150]}; the doctor recovered {kept or 'nothing'}{changed}", right


def exit_code(path: Path) -> tuple[int, str]:
    """Run `memspan store ls`; return its exit code and standard error."""
    command = [sys.executable, "-m", "memspan", "store", "ls", "--store", str(path)]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.returncode, found.stderr


def _write(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    wrong = 0
    study = small_study(40, updates=20)
    with tempfile.TemporaryDirectory() as name:
        sound = sound_store(Path(name), study)
        for damage in faults():
            found, right = judge(sound, damage, study)
            wrong += not right
            print(f"{'PASS' if right else 'FAIL'}: {damage.__name__}: {found}")
        zeroed_header(sound)
        code, err = exit_code(sound)
        print(f"{'PASS' if code == 3 else 'FAIL'}: `memspan store ls` ended with {code}: {err.strip()}")
    raise SystemExit(wrong or code != 3)
