"""`memspan predict`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from memspan.cli.console import WHOLE, new_console
from memspan.cli.fields import given, options_of
from memspan.figures.needed import demand_few, draw_needed
from memspan.figures.style import save
from memspan.runtime.files import make_folder
from memspan.study.study import Study
from memspan.why.predict import predict as predict_one
from memspan.why.predict import search_of
from memspan.why.prediction import needed_record

FIELDS = (
    *("cell", "task", "task_parameters", "gain", "recurrent_gain", "init", "hidden"),
    *("optimizer", "learning_rate", "clip", "batch", "updates", "seed"),
)
USUAL: dict[str, Any] = {"optimizer": "momentum", "learning_rate": "0.03"}
if TYPE_CHECKING:
    Options = Any
else:
    Options = options_of(Study, FIELDS, USUAL)


def predict(
    *,
    options: Annotated[Options, Parameter(name="*")] = Options(),  # noqa: B008
    width: float = 0.25,
    longest: Annotated[int, WHOLE] = 300,
    output: Annotated[Path | None, Parameter(alias="-o", metavar="FOLDER")] = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Predict the span of networks without training them, for gradient descent.

    At first every network gives the same answer to all sequences. It leaves this plateau after a number of updates
    that grows steeply with the length. The number follows from the initial weights, the task and the optimiser,
    and the predicted length is the one at which half of the networks leave the plateau with the updates given.
    Leaving is necessary for solving and not sufficient, so the measured span (`memspan span`) may be shorter.

    The prediction holds for `sgd` and `momentum`. It does not hold for Adam and RMSprop, whose steps do not follow
    the size of the gradient.

    **Three cells at three gains:**

        memspan predict --cell rnn,gru,lstm --gain 0.5,0.8,1

    **What do larger batches and more updates bring?**

        memspan predict --batch 16,64,256
        memspan predict --updates 500,1500,5000

    Parameters
    ----------
    width
        Stop when half of the interval of the length is at most this part of it.
    longest
        Longest sequence length T to look at.
    output
        Folder for the figure as PNG and SVG and its numbers as CSV. It is made if it does not exist. Without it
        nothing is drawn.
    json_output
        Print a list as JSON on standard output, with `configuration`, `length_predicted`, `low`, `high`, `limit`,
        `lambda_1` (the largest Lyapunov exponent before training) and `needed_by_length` (the quartiles of the
        updates needed at each length). What is infinite or unknown is null.
    """
    configurations = Study(**{**USUAL, **given(options)}).configurations
    for configuration in configurations:
        search_of(configuration, width, longest)  # an error comes before any work
    if output is not None:
        demand_few(len(configurations))
        make_folder(output)
    found = [predict_one(one, width=width, longest=longest, progress=not json_output) for one in configurations]
    if json_output:
        print(json.dumps([one.numbers() for one in found], allow_nan=False))
    else:
        console = new_console()
        for one in found:
            console.print(one.table())
            console.print(str(one), style="bold", markup=False)
    if output is not None:
        save(draw_needed, needed_record(found), output, "needed")
        if not json_output:
            print(output / "needed.png")
    return 0
