"""`memspan flow`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.table import Table

from memspan.cli.console import JSON, OUTPUT, WHOLE, new_console, print_json
from memspan.cli.fields import given, options_of
from memspan.errors import InvalidArgument, whole_number
from memspan.figures.flow import FlowsByLag, draw_flows
from memspan.figures.style import save
from memspan.runtime.files import make_folder
from memspan.shapes import PerStep
from memspan.study import Study
from memspan.study.flow import flow_record

FIELDS = (
    *("cell", "options", "gain", "recurrent_gain", "init", "hidden", "task", "task_parameters"),
    *("truncate", "batch", "seed"),
)
CAPTION = "Norms of dL/da[t]; the median if there are several seeds."
USUAL: dict[str, Any] = {"cell": "rnn,lstm,gru", "repetitions": 1, "dtype": "float64"}
if TYPE_CHECKING:
    Options = Any
else:
    Options = options_of(Study, FIELDS, {"cell": USUAL["cell"]})


def flow(
    *,
    options: Annotated[Options, Parameter(name="*")] = Options(),  # noqa: B008
    length: Annotated[int, WHOLE] = 50,
    output: Annotated[Path, OUTPUT] = Path(),
    json: Annotated[bool, JSON] = False,
) -> int:
    """Draw the gradient that reaches each time step of untrained networks, all in one figure.

    The networks and the batch are those with which a study of the same settings starts, in float64. `flow.png` has
    a line for each network: the norm of dL/da[t] against the lag, the number of steps before the end, on a
    logarithmic axis. The table shows the norm at both ends, and the factor by which it changes with each step
    back: below 1 the gradient vanishes, above 1 it explodes.

    **Three cells, with initial weights of four sizes:**

        memspan flow --cell rnn,lstm,gru --gain 0.5,1,2,4

    **Only R scaled, by three factors, over 200 steps, with five seeds:**

        memspan flow --cell rnn --init orthogonal --recurrent-gain 0.9,1,1.1 --length 200 --seed 0,1,2,3,4

    Parameters
    ----------
    length
        Sequence length T.
    output
        Folder for the figure as PNG and SVG and its numbers as CSV. It is made if it does not exist.
    json
        Print the list `networks` as JSON on standard output, and the `figure`. A network has the fields that
        differ, medians over seeds, `last` (at lag 0), `first` (at the largest lag) and `factor`, and for each seed
        `norms`, from the first time step to the last.
    """
    typed = given(options)
    seeds = Study(seed=typed.pop("seed", 0)).values()["seed"]
    study = study_of(typed, whole_number("length", length))
    record = flow_record(study, study.lengths[0], seeds)
    make_folder(output)
    if not json:
        new_console().print(flow_table(record))
    save(draw_flows, record, output, "flow")
    if json:
        print_json(
            {"length": study.lengths[0], "networks": numbers_of(record), "figure": str(output / "flow.png")}
        )
    else:
        print(output / "flow.png")
    return 0


def study_of(typed: dict[str, Any], length: int) -> Study:
    """Return the study of these options at one length. An error about the length names `--length`."""
    try:
        return Study(**{**USUAL, **typed, "lengths": length}).loaded()
    except InvalidArgument as error:
        raise InvalidArgument("length", *error.args[1:]) if error.name == "lengths" else error from None


def numbers_of(record: FlowsByLag) -> list[dict[str, Any]]:
    """Return what JSON has of each network."""
    (networks,) = record.panels.values()
    found = []
    for values, lines in networks.items():
        medians = [float(np.median([measure(line) for line in lines])) for measure in MEASURES]
        numbers = dict(zip(("last", "first", "factor"), medians, strict=True))
        found.append(dict(zip(record.fields, values, strict=True)) | numbers | {"norms": lines})
    return found


def flow_table(record: FlowsByLag) -> Table:
    """Return the table of the norms at both ends and the factor per step, medians over the seeds."""
    table = Table(*record.fields, caption=CAPTION, caption_justify="left")
    (networks,) = record.panels.values()
    first = next(iter(networks.values()))[0]
    for heading in ("at lag 0", f"at lag {len(first) - 1}", "factor per step"):
        table.add_column(heading, justify="right")
    for values, lines in networks.items():
        table.add_row(*values, *(_number(np.median([measure(line) for line in lines])) for measure in MEASURES))
    return table


def factor(norms: PerStep) -> Any:
    """Return the factor by which the norm changes with each step back in time, a geometric mean."""
    with np.errstate(all="ignore"):
        return np.exp((np.log(norms[0]) - np.log(norms[-1])) / (len(norms) - 1))


MEASURES = (lambda norms: norms[-1], lambda norms: norms[0], factor)


def _number(value: Any) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"
