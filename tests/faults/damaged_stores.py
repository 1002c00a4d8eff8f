"""Stores that are damaged, cut off, foreign or too new: named as such, exit 3, and not a byte changed.

    python tests/faults/damaged_stores.py

What the doctor can still read of each is counted, and where studies are left, one of them is finished from it.
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
    """The first hundred bytes are zero."""
    _write(path, 0, bytes(100))


def zeroed_first_page(path: Path) -> None:
    """So is the whole first page, with the list of tables."""
    _write(path, 0, bytes(PAGE))


def no_sqlite(path: Path) -> None:
    """Another kind of file."""
    path.write_text("time,value\n1,2\n" * 100)


def foreign(path: Path) -> None:
    """A SQLite database of another program."""
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (a)")
        connection.commit()


def newer_schema(path: Path) -> None:
    """A schema that comes after ours."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def without_a_table(path: Path) -> None:
    """The right marks, and no trials."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE trials")


def cut_off(share: float) -> Callable[[Path], None]:
    """Only so much of it is left."""

    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * share))

    damage.__name__ = f"cut off after {share:.0%}"
    return damage


def random_page(seed: int) -> Callable[[Path], None]:
    """A page, not the first, is noise."""

    def damage(path: Path) -> None:
        rng = random.Random(seed)
        page = rng.randrange(1, path.stat().st_size // PAGE)
        _write(path, page * PAGE, rng.randbytes(PAGE))

    damage.__name__ = f"noise {seed}"
    return damage


def faults() -> Iterator[Callable[[Path], None]]:
    """Each damages a file."""
    yield from (zeroed_header, zeroed_first_page, no_sqlite, foreign, newer_schema, without_a_table)
    yield from (cut_off(share) for share in (0.0003, 0.01, 0.3, 0.7, 0.999))
    yield from (random_page(seed) for seed in range(10))


def sound_store(folder: Path, study: Study) -> Path:
    """A store with two studies."""
    path = folder / "sound.sqlite"
    run_study(study, path, progress=False)
    run_study(study.with_(name="another", cell="rnn"), path, progress=False)
    return path


def judge(sound: Path, damage: Callable[[Path], None], study: Study) -> tuple[str, bool]:
    """What was said of a damaged copy, and whether that is right."""
    path, rescued = sound.with_name("damaged.sqlite"), sound.with_name("rescued.sqlite")
    path.write_bytes(sound.read_bytes())
    rescued.unlink(missing_ok=True)
    damage(path)
    before = _digest(path)
    try:
        with Store(path) as store:
            seen = sum(overview.done for overview in store.overviews())
            said, named = f"not noticed when it was opened, {seen} trials", False
    except UnreadableFile as error:
        said, named = str(error).replace(str(path), "it"), True
    except MemspanError as error:
        said, named = f"{type(error).__name__}: {error}", False
    found = diagnose(path, rescued)
    with Store(rescued) as store:
        kept = {overview.name: overview.done for overview in store.overviews()}
    whole = "faults" not in kept or run_study(study, rescued, progress=False).complete
    untouched = _digest(path) == before
    right = named and untouched and not found.sound and whole
    return f"{said[:150]}; the doctor saved {kept or 'nothing'}{'' if untouched else '; IT WAS CHANGED'}", right


def exit_code(path: Path) -> tuple[int, str]:
    """Of the command line."""
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
        print(f"{'PASS' if code == 3 else 'FAIL'}: the command line ends with {code}: {err.strip()}")
    raise SystemExit(wrong or code != 3)
