"""What each command does; the options are the parameters."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from memspan.bench import ENGINES, SIZES, Case, core_numbers, measure, work
from memspan.bench import save as save_benchmark
from memspan.errors import InvalidArgument, whole_number
from memspan.figures.sweep import save_sweep
from memspan.gradcheck import gradient_check, step_size_sweep
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.progress import progress as show_progress
from memspan.study import Study, StudyResult, run_study, save_figures
from memspan.study.execution import WorkerDied, available_cores
from memspan.study.specification import CellName, StartName
from memspan.tasks import Recall

if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[*ENGINES]


def study(
    *,
    study: Annotated[Study, Parameter(name="*")] = Study(),  # noqa: B008  (frozen)
    output: Annotated[Path | None, Parameter(alias="-o", show_default=False)] = None,
    workers: Annotated[int | None, Parameter(show_default=False)] = None,
    progress: Literal["auto", "bar", "notebook", "lines", "none"] = "auto",
) -> int:
    """Train networks on the memory task, several at each length, and say which length is the longest they solve.

    Writes study.json, trials.jsonl (one trial a line, as they end) and five figures as PNG and SVG, each with its
    numbers as CSV. The same seed gives the same results, bit for bit, whatever the workers; more lengths or
    repetitions change no trial that was there before.

    **The assignment's network**, from lengths that it solves to lengths that it does not:

        memspan study

    **Does an orthogonal start reach further?**

        memspan study --start orthogonal --learning-rate 0.001 --lengths 10,20,30,50

    **An LSTM**, quickly:

        memspan study --cell lstm --hidden 16 --lengths 5 10 --repetitions 4 --updates 500

    Parameters
    ----------
    output
        A new folder for the results [default: runs/ and the time].
    workers
        Processes [default: one for each core].
    progress
        How to show progress.
    """
    folder = output or Path("runs") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{study.cell}"
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


def gradcheck(
    *,
    cell: CellName = "rnn",
    start: StartName | None = None,
    length: int = 20,
    batch: int = 4,
    hidden: int = 8,
    seed: int = 0,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> int:
    """Check the gradient of a network on the memory task: every weight, and every time step on its own scale.

    **An LSTM over 50 steps**, and a figure of the step-size sweep in the folder `sweep`:

        memspan gradcheck --cell lstm --length 50 --output sweep

    Parameters
    ----------
    cell
        The recurrent cell.
    start
        Initial weights [default: the cell's own].
    length
        Sequence length T.
    batch
        Sequences B.
    hidden
        Hidden units H.
    seed
        Of the weights and the sequences.
    output
        A folder for the figure of error against step size.
    """
    for_weights, for_data = np.random.SeedSequence(whole_number("seed", seed, least=0)).spawn(2)
    network = Network(cell, 1, whole_number("hidden", hidden), 1, init=start, rng=for_weights)
    x, y = Recall().sample(np.random.default_rng(for_data), length, batch)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    report = gradient_check(network, x, y, MSELoss())
    _console().print(report.table())
    if output is not None:
        save_sweep(step_size_sweep(network, x, y, MSELoss()), output)
        print(output / "step-sweep.png")
    return 0 if report else 1


def bench(
    *,
    cell: Annotated[tuple[CellName, ...], Parameter(consume_multiple=True, negative="")] = ("rnn", "gru", "lstm"),
    size: Annotated[tuple[tuple[int, int, int], ...], Parameter(negative="")] = SIZES,
    engine: Annotated[tuple[EngineName, ...], Parameter(consume_multiple=True, negative="")] = tuple(ENGINES),
    rounds: int = 5,
    cores: Annotated[int | None, Parameter(show_default=False)] = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    progress: Literal["auto", "bar", "notebook", "lines", "none"] = "auto",
) -> int:
    """Time a forward pass, loss and backward pass of memspan's engines beside PyTorch and JAX, where installed.

    First on one core, then on all. `limit` is the time of the matrix products and the tanh alone, at the best rate
    measured on this machine. Before an engine is timed it must find the right loss and gradient. The engines take
    turns, and the table has the medians and quartiles of the rounds.

    **An LSTM of your own size**, on one core alone:

        memspan bench --cell lstm --size 100 32 64 --cores 1

    Parameters
    ----------
    cell
        The cells.
    size
        T, B and H, such as --size 50 64 32; may be given again.
    engine
        The engines.
    rounds
        How often each is timed.
    cores
        The cores of the second table; 1 leaves it out [default: all].
    quick
        The first size, one core, and shorter timings: half a minute.
    output
        A folder for the record as JSON, the table, and a bar chart; no other benchmark may be in it.
    progress
        How to show progress.
    """
    chosen = core_numbers()[-1:] if quick and cores is None else core_numbers(cores)
    cases = [Case(name, *numbers) for name in cell for numbers in (size[:1] if quick else size)]
    engines = {name: ENGINES[name] for name in engine}
    if output is not None:
        _new_folder(output, "engine.json")
    with show_progress(work(cases, chosen, rounds), "timing", "rounds", kind=progress) as tell:
        found = measure(cases, engines, cores=chosen, rounds=rounds, seconds=0.05 if quick else 0.2, tell=tell)
    console = _console()
    for number in found.cores:
        console.print(found.table(number))
    for line in (*found.remarks, *found.wrong):
        print(line)
    if output is not None:
        for path in save_benchmark(found, output):
            print(path)
    return 1 if found.wrong else 0


def _new_folder(output: Path, record: str) -> None:
    """Make it before hours are spent on what goes into it."""
    if (output / record).exists():
        raise InvalidArgument("output", f"a folder without {record}, which would be lost", output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgument("output", "a folder that can be made", f"{output}: {error.strerror}") from error


def _print(result: StudyResult, figures: list[Path]) -> None:
    console = _console()
    console.print(result.table())
    for reason in result.failures:
        console.print(f"A trial failed: {reason}", markup=False)
    console.print(result.sentence, style="bold")
    for path in figures:
        print(path)


def _console() -> Console:
    """Standard output; a file or a pipe is given room for the widest table."""
    console = Console()
    return console if console.is_terminal else Console(width=140)
