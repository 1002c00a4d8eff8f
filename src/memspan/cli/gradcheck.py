"""`memspan gradcheck`."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from memspan.cli.console import WHOLE, new_console
from memspan.errors import whole_number
from memspan.figures.sweep import save_sweep
from memspan.gradcheck import gradient_check, step_size_sweep
from memspan.network import Network
from memspan.runtime.files import make_folder
from memspan.study.choices import CellName, InitializerName, TaskName
from memspan.tasks import get_task, whole_numbers

WIDE = 120
"""Columns from which on there is room for the gradients themselves."""


def gradcheck(
    *,
    cell: CellName = "rnn",
    task: TaskName = "recall",
    task_parameters: Annotated[dict[str, float] | None, Parameter(show_default=False)] = None,
    init: InitializerName | None = None,
    length: Annotated[int, WHOLE] = 20,
    batch: Annotated[int, WHOLE] = 4,
    hidden: Annotated[int, WHOLE] = 8,
    seed: Annotated[int, WHOLE] = 0,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> int:
    """Check the gradient of a network on a task: every weight, and every time step on its own scale.

    **An LSTM over 50 steps**, and a figure of the step-size sweep in the folder `sweep`:

        memspan gradcheck --cell lstm --length 50 --output sweep

    Parameters
    ----------
    cell
        The recurrent cell.
    task
        The task, which also says with which loss.
    task_parameters
        Of the task, if not its own, such as --task-parameters.items 3.
    init
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
    chosen, H = get_task(task, **whole_numbers(task_parameters or {})), whole_number("hidden", hidden)
    x, y = chosen.sample(length, batch, np.random.default_rng(for_data))
    _, features, outputs, output_steps = chosen.shape(length)
    network = Network(cell, features, H, outputs, init=init, output_steps=output_steps, rng=for_weights)
    if output is not None:
        make_folder(output)
    report = gradient_check(network, x, y, chosen.make_loss())
    console = new_console()
    console.print(report.table(wide=console.width >= WIDE))
    if output is not None:
        save_sweep(step_size_sweep(network, x, y, chosen.make_loss()), output)
        print(output / "step-sweep.png")
    return 0 if report else 1
