"""`memspan predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from memspan.cli.console import JSON, OUTPUT, WHOLE, new_console, print_json
from memspan.cli.fields import given, options_of
from memspan.figures.needed import demand_few, draw_needed
from memspan.figures.style import save
from memspan.runtime.files import make_folder
from memspan.study.study import Study
from memspan.why.predict import prepared_prediction
from memspan.why.prediction import needed_record

FIELDS = (
    *("cell", "options", "task", "task_parameters", "gain", "recurrent_gain", "init", "hidden"),
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
    output: Annotated[Path | None, OUTPUT] = None,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Predict what limits the span of networks, without training them.

    At first every network gives the same answer to all sequences. It leaves this plateau after a number of updates
    that grows steeply with the length. The number follows from the initial weights, the task and the optimiser,
    and the predicted length is the one at which half of the networks leave the plateau with the updates given.
    Leaving is necessary for solving and not sufficient, so the measured span (`memspan span`) may be shorter.

    This holds for `sgd` and `momentum`. Adam does not follow the size of the gradient, and at some update noise
    alone throws the recurrent weights of a tanh network far above the critical gain. For `adam` the prediction is
    this update by length, and no span. `rmsprop` is refused.

    A PyTorch model needs a linear read-out for the first of these, as `Steps` and `Sequence` have it.

    **Three cells at three gains:**

        memspan predict --cell rnn,gru,lstm --gain 0.5,0.8,1

    **What do larger batches and more updates bring?**

        memspan predict --batch 16,64,256
        memspan predict --updates 500,1500,5000

    **When does noise throw networks that Adam trains?**

        memspan predict --optimizer adam --learning-rate 0.003,0.01

    Parameters
    ----------
    width
        Stop when half of the interval of the length is at most this part of it.
    longest
        Longest sequence length T to look at.
    output
        Folder for the figure as PNG and SVG and its numbers as CSV. It is made if it does not exist. Without it
        nothing is drawn.
    json
        Print a list as JSON on standard output, with `configuration`, `length_predicted`, `low`, `high`, `limit`,
        `lambda_1` (the largest Lyapunov exponent before training) and `needed_by_length` (the quartiles of the
        updates needed at each length). With Adam also `thrown_by_length` (the quartiles of the updates until noise
        throws R, and the share of networks thrown within the updates given), `thrown_from` (the length from which
        on this share is above one half) and `at_once`. What is infinite or unknown is null.
    """
    # An error comes before any work.
    configurations = Study(**{**USUAL, **given(options)}).loaded().configurations
    prepared = [prepared_prediction(one, width, longest) for one in configurations]
    if output is not None:
        demand_few(len(configurations))
        make_folder(output)
    found = [make(not json) for make in prepared]
    if json:
        print_json([one.numbers() for one in found])
    else:
        console = new_console()
        for one in found:
            console.print(one.table())
            console.print(str(one), style="bold")
    if output is not None:
        save(draw_needed, needed_record(found), output, "needed")
        if not json:
            print(output / "needed.png")
    return 0
