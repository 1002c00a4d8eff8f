"""`memspan gradcheck`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from memspan.cells import CELLS, get_cell
from memspan.cli.completers import among
from memspan.cli.console import JSON, NAME, OUTPUT, TASK_PARAMETERS, WHOLE, new_console, print_json
from memspan.errors import whole_number, whole_seed
from memspan.figures.style import save
from memspan.figures.sweep import draw_sweep
from memspan.gradcheck import gradient_check, step_size_sweep
from memspan.network import Network
from memspan.runtime.files import make_folder
from memspan.study.choices import InitializerName
from memspan.tasks import TASKS, get_task, whole_numbers

WIDE = 120
"""The width of a console, in characters, from which the table also shows the gradients."""


def gradcheck(
    *,
    cell: Annotated[str, Parameter(completer=among(CELLS)), NAME] = "rnn",
    task: Annotated[str, Parameter(completer=among(TASKS)), NAME] = "recall",
    task_parameters: Annotated[dict[str, float] | None, TASK_PARAMETERS] = None,
    init: InitializerName | None = None,
    gain: float = 1.0,
    recurrent_gain: float = 1.0,
    length: Annotated[int, WHOLE] = 20,
    batch: Annotated[int, WHOLE] = 4,
    hidden: Annotated[int, WHOLE] = 8,
    seed: Annotated[int, WHOLE] = 0,
    output: Annotated[Path | None, OUTPUT] = None,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check the gradients of a network on a task: for every weight, and for every time step on its own scale.

    The backward pass is compared with the complex step, which is exact up to rounding. Exits with 1 if a
    comparison fails.

    **An LSTM over 50 steps**, and a figure of the errors of numerical derivatives against their step size:

        memspan gradcheck --cell lstm --length 50 --output sweep

    Parameters
    ----------
    cell
        Recurrent cell of the network, or the import path of a cell of your own. `memspan cells` lists them.
    task
        Task of the sequences and the loss, or the import path of a task of your own. `memspan tasks` lists them.
    task_parameters
        Parameters of the task, each an option such as --task-parameters.items 3.
    init
        Initializer of the weights [default: the cell's own].
    gain
        Factor of the initial weights; `orthogonal` and `identity` apply it to R alone.
    recurrent_gain
        Factor of the initial R alone.
    length
        Sequence length T.
    batch
        Number of sequences B in the batch.
    hidden
        Number of hidden units H.
    seed
        Seed of the weights and the sequences, a whole number of at least 0.
    output
        Folder for the figure of the error against the step size. Without it no figure is drawn.
    json
        Print the report as JSON on standard output: `subject`, `passed`, `verdict` and the list `comparisons`.
    """
    for_weights, for_data = np.random.SeedSequence(whole_seed("seed", seed)).spawn(2)
    chosen, H = get_task(task, **whole_numbers(task_parameters or {})), whole_number("hidden", hidden)
    x, y = chosen.sample(length, batch, np.random.default_rng(for_data))
    _, features, outputs, output_steps = chosen.shape(length)
    options = {"init": init, "gain": gain, "recurrent_gain": recurrent_gain, "output_steps": output_steps}
    network = Network(get_cell(cell), features, H, outputs, rng=for_weights, **options)  # type: ignore[arg-type]
    if output is not None:
        make_folder(output)
    report = gradient_check(network, x, y, chosen.make_loss())
    console = new_console()
    console.quiet = json
    console.print(report.table(wide=console.width >= WIDE))
    if json:
        numbers = {"subject": report.subject, "passed": report.passed, "verdict": report.verdict}
        print_json(numbers | {"comparisons": [asdict(one) for one in report.comparisons]})
    if output is not None:
        save(draw_sweep, step_size_sweep(network, x, y, chosen.make_loss()), output, "step-sweep")
        console.print(output / "step-sweep.png", soft_wrap=True)
    return 0 if report else 1
