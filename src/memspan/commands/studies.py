"""`memspan study` and `memspan show`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from memspan.commands.console import WHOLE, new_console
from memspan.errors import whole_number
from memspan.study import Study, StudyResult, run_study, save_figures
from memspan.study.execution import WorkerDied, available_cores


def study(
    *,
    study: Annotated[Study, Parameter(name="*")] = Study(),  # noqa: B008  (frozen)
    output: Annotated[Path | None, Parameter(alias="-o", show_default=False)] = None,
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None,
    progress: Literal["auto", "bar", "notebook", "lines", "none"] = "auto",
) -> int:
    """Train networks on a task, several at each length, and say which length is the longest they solve.

    Writes study.json, trials.jsonl (one trial a line, as they end) and five figures as PNG and SVG, each with its
    numbers as CSV. The same seed gives the same results, bit for bit, whatever the workers; more lengths or
    repetitions change no trial that was there before.

    **The assignment's network**, from lengths that it solves to lengths that it does not:

        memspan study

    **Does an orthogonal start reach further?**

        memspan study --start orthogonal --learning-rate 0.001 --lengths 10,20,30,50

    **An LSTM**, quickly:

        memspan study --cell lstm --hidden 16 --lengths 5 10 --repetitions 4 --updates 500

    **Another task** (`memspan tasks` lists them):

        memspan study --task adding/any --cell gru --lengths 10,20,40,80

    Parameters
    ----------
    output
        A new folder for the results [default: runs/ and the time].
    workers
        Processes [default: one for each core].
    progress
        How to show progress.
    """
    name = f"{study.task.replace('/', '-')}-{study.cell}"
    folder = output or Path("runs") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{name}"
    cores = available_cores() if workers is None else whole_number("workers", workers)
    try:
        result = run_study(study, folder, workers=cores, progress=progress)
    except (KeyboardInterrupt, WorkerDied):
        print(f"What was finished is in {folder}; `memspan show {folder}` sums it up.", file=sys.stderr)
        raise
    _print(result, save_figures(result, folder))
    return 1 if all(trial.status == "failed" for trial in result.trials) else 0


def show(folder: Path) -> int:
    """Print the table of a study that was run before, and draw its figures again.

    Parameters
    ----------
    folder
        What --output of `memspan study` named.
    """
    result = StudyResult.load(folder)
    _print(result, save_figures(result, folder))
    return 0


def _print(result: StudyResult, figures: list[Path]) -> None:
    console = new_console()
    console.print(result.table())
    for reason in result.failures:
        console.print(f"A trial failed: {reason}", markup=False)
    console.print(result.sentence, style="bold")
    for path in figures:
        print(path)
