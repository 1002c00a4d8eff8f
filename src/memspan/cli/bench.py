"""`memspan bench`."""

from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, Token, convert

from memspan.bench import ENGINES, SIZES, Case, core_numbers, measure, work
from memspan.bench import save as save_benchmark
from memspan.cells import CELLS
from memspan.cli.console import JSON, OUTPUT, WHOLE, new_console, new_folder, print_json
from memspan.errors import whole_number
from memspan.runtime.progress import progress as show_progress
from memspan.runtime.renamed import warn_renamed

if TYPE_CHECKING:
    CellName = str
    EngineName = str
else:
    CellName, EngineName = Literal[*CELLS], Literal[*ENGINES]


def _names(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert names separated by spaces or commas. `fused` is the old name of the engine `compiled`."""
    split = [token.evolve(value=name) for token in tokens for name in token.value.split(",")]
    if any(token.value == "fused" for token in split):
        warn_renamed("the engine 'fused'", "'compiled'")
    return convert(kind, [token.evolve(value="compiled") if token.value == "fused" else token for token in split])


SEVERAL = Parameter(
    consume_multiple=True, negative="", converter=_names, show_default=",".join, metavar="NAME,..."
)
"""The settings of an option that takes one or several names."""


def _sizes(sizes: tuple[tuple[int, int, int], ...]) -> str:
    """The default sizes for the help, as they would be typed."""
    return ", ".join(" ".join(map(str, size)) for size in sizes)


def bench(
    *,
    cell: Annotated[tuple[CellName, ...], SEVERAL] = ("rnn", "gru", "lstm"),
    size: Annotated[
        tuple[tuple[int, int, int], ...], Parameter(negative="", metavar="T B H", show_default=_sizes)
    ] = SIZES,
    engine: Annotated[tuple[EngineName, ...], SEVERAL] = tuple(ENGINES),
    rounds: Annotated[int, WHOLE] = 5,
    cores: Annotated[int | None, Parameter(show_default=False), WHOLE] = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    output: Annotated[Path | None, OUTPUT] = None,
    progress: Literal["auto", "bar", "notebook", "lines", "none"] = "auto",
    json: Annotated[bool, JSON] = False,
) -> int:
    """Time training steps (forward pass, loss, backward pass) of memspan's engines, PyTorch and JAX.

    PyTorch and JAX are timed if they are installed. There is one table for one core and one for all cores. The
    column `roofline` is the time that the matrix products and tanh alone would take at the best rate measured on
    this machine. Before an engine is timed, its loss and gradient are compared with the readable engine's. The
    engines take turns; the tables show the median and the quartiles over the rounds.

    **An LSTM of a size that you choose**, on one core:

        memspan bench --cell lstm --size 100 32 64 --cores 1

    Parameters
    ----------
    cell
        One or several cells, such as --cell rnn,lstm.
    size
        Sequence length T, batch size B and hidden units H, such as --size 50 64 32. Repeat it for more sizes.
    engine
        One or several engines, such as --engine compiled,torch.
    rounds
        Number of rounds. Every engine is timed once in each round.
    cores
        Number of cores in the second table; 1 omits that table [default: all].
    quick
        Time only the first size, on one core, in shorter rounds. This takes about half a minute.
    output
        Folder for the timings as JSON, the tables, and a bar chart. It must not contain another benchmark.
    progress
        Display of progress. `auto` is a bar on a terminal and lines elsewhere.
    json
        Print the timings as JSON on standard output, as in the file `engine.json` of --output.
    """
    for numbers in size:
        for number in numbers:
            whole_number("size", number)
    chosen = core_numbers()[-1:] if quick and cores is None else core_numbers(cores)
    cases = [Case(name, *numbers) for name in cell for numbers in (size[:1] if quick else size)]
    engines = {name: ENGINES[name] for name in engine}
    if output is not None:
        new_folder(output, "engine.json")
    with show_progress(work(cases, chosen, rounds), "timing", "rounds", kind=progress) as tell:
        found = measure(cases, engines, cores=chosen, rounds=rounds, seconds=0.05 if quick else 0.2, tell=tell)
    console = new_console()
    console.quiet = json
    if json:
        print_json(loads(found.to_json()))
    for number in found.cores:
        console.print(found.table(number))
    for line in (*found.remarks, *found.wrong):
        console.print(line, soft_wrap=True)
    if output is not None:
        for path in save_benchmark(found, output):
            console.print(path, soft_wrap=True)
    return 1 if found.wrong else 0
