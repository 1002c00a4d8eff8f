"""`memspan gradcheck`."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from memspan.commands.console import new_console
from memspan.errors import whole_number
from memspan.figures.sweep import save_sweep
from memspan.gradcheck import gradient_check, step_size_sweep
from memspan.network import Network
from memspan.study.specification import CellName, StartName, TaskName
from memspan.tasks import get_task


def gradcheck(
    *,
    cell: CellName = "rnn",
    task: TaskName = "recall",
    start: StartName | None = None,
    length: int = 20,
    batch: int = 4,
    hidden: int = 8,
    seed: int = 0,
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
    chosen, H = get_task(task), whole_number("hidden", hidden)
    x, y = chosen.sample(np.random.default_rng(for_data), length, batch)
    _, features, outputs, read_out = chosen.shape(length)
    network = Network(cell, features, H, outputs, init=start, read_out=read_out, rng=for_weights)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    report = gradient_check(network, x, y, chosen.new_loss())
    new_console().print(report.table())
    if output is not None:
        save_sweep(step_size_sweep(network, x, y, chosen.new_loss()), output)
        print(output / "step-sweep.png")
    return 0 if report else 1
