"""The plain first form of a store: a folder with `study.json`, and one line of `trials.jsonl` for each trial."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from memspan.checkpoint import replace_file
from memspan.errors import InvalidArgument, UnreadableFile
from memspan.study.specification import Study
from memspan.study.trial import Trial

STUDY, TRIALS = "study.json", "trials.jsonl"


class Append(Protocol):
    """Keeps one more trial."""

    def __call__(self, trial: Trial) -> None:
        """Write it, and let the operating system have it at once."""


@contextmanager
def new_folder(folder: Path, study: Study) -> Iterator[Append]:
    """Make the folder of a new study and keep its trials in it as they come.

    Raises
    ------
    InvalidArgument
        When the folder holds a study already: nothing is ever written over.
    """
    if (folder / TRIALS).exists() or (folder / STUDY).exists():
        got = f"{str(folder)!r}, which `memspan show` can sum up"
        raise InvalidArgument("output", "a folder without a study in it", got)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgument(
            "output", "a folder that can be made", f"{str(folder)!r} ({error.strerror})"
        ) from None
    replace_file(folder / STUDY, (study.model_dump_json(indent=2) + "\n").encode())
    with (folder / TRIALS).open("x", encoding="utf-8") as file:

        def append(trial: Trial) -> None:
            file.write(trial.model_dump_json() + "\n")
            file.flush()

        yield append


def read_folder(folder: Path) -> tuple[Study, list[Trial]]:
    """The study in a folder, and its trials so far; a last line without its end is a trial that is not done.

    Raises
    ------
    UnreadableFile
        When a file is not what memspan wrote; the message names the line.
    """
    path = folder / STUDY
    if not path.is_file():
        raise UnreadableFile(f"{folder} is not the folder of a study: there is no {STUDY} in it")
    try:
        study = Study.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UnreadableFile(f"{path} is not a study of this version: {_complaint(error)}") from None
    trials, missing = [], set(study.keys)
    with (folder / TRIALS).open("rb") as file:
        for number, line in enumerate(file, start=1):
            place = f"{folder / TRIALS}, line {number}"
            if not line.endswith(b"\n"):
                break  # the last line, torn by whatever ended the study: that trial is not done
            try:
                trial = Trial.model_validate_json(line)
            except ValidationError as error:
                raise UnreadableFile(f"{place} is not a trial: {_complaint(error)}") from None
            key = trial.length, trial.repetition
            if trial.seed != study.seed or key not in missing:
                raise UnreadableFile(f"{place} belongs to another study, or is there twice: T={key[0]}, {key[1]}")
            missing.remove(key)
            trials.append(trial)
    return study, trials


def _complaint(error: ValidationError) -> str:
    """What is wrong and where, without the input: a line can be long."""
    first = error.errors(include_input=False)[0]
    return ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
