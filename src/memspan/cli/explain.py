"""`memspan explain`."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from memspan.cli.console import STORE, WHOLE, new_console
from memspan.cli.study.choose import the_entry
from memspan.errors import whole_number
from memspan.execution.teams import available_cores
from memspan.runtime.files import make_folder
from memspan.store import Store
from memspan.study.results import StudyResult
from memspan.why.attempt import ROUNDS, Attempt, limit_of, try_remedies
from memspan.why.explain import NETWORKS
from memspan.why.explain import explain as explain_result
from memspan.why.explanation import Explanation, table_of


def explain(
    *names: str,
    configuration: Annotated[int | None, WHOLE] = None,
    length: Annotated[tuple[int, ...], Parameter(metavar="INT", consume_multiple=True, negative="")] = (),
    networks: Annotated[int, WHOLE] = NETWORKS,
    try_: Annotated[bool, Parameter(name="--try", negative="")] = False,
    rounds: Annotated[int, WHOLE] = ROUNDS,
    store: Annotated[str, STORE] = "memspan.sqlite",
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None,
    output: Annotated[Path | None, Parameter(alias="-o", metavar="FOLDER", show_default=False)] = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Say what keeps a stored study or search from solving longer sequences, and what should lift the limit.

    At each length that fewer than half of the networks solved, some of the others are trained again. Training is a
    function of the key of a trial, so the weights are the same, and everything can be measured that was not
    stored. The verdict follows from criteria that are written in the documentation. It names changes that should
    help. Whether they do is tested with --try.

    **Why does the study stop where it does?**

        memspan explain first

    **And does the remedy help?** Makes the change, measures the span again, and explains what limits it then:

        memspan explain first --try

    Parameters
    ----------
    names
        Names of studies or searches, such as all of a comparison [default: the only one in the store].
    configuration
        Number of a single configuration to explain, counted from 1 [default: all].
    length
        Lengths T to explain [default: all that were trained].
    networks
        Most networks to train again at each length.
    try_
        Try the remedies. The new trainings are stored.
    rounds
        Most remedies to try, one after another.
    workers
        Number of worker processes with --try; 0 trains in the main process [default: one for each core].
    output
        Folder for a page of figures of each configuration. It is made if it does not exist.
    json_output
        Print a list as JSON on standard output, with `configuration`, `length`, `verdict`, `evidence`, `remedies`
        (`change`, `from`, `to`, `expected`) and `tried`. What is infinite is null.
    """
    with Store(store) as opened:
        entries = [the_entry(opened, name, configuration) for name in names or (None,)]
        parts = [part for entry in entries for part in entry.result().parts]
    if output is not None:
        make_folder(output)
    console, found = new_console(), []
    progress = not json_output
    for part in parts:
        explanations = explain_result(part, lengths=length or None, networks=networks, progress=progress)
        if not json_output:
            console.print(table_of(explanations))
            console.print(sentences(part, explanations), markup=False)
        attempts: list[Attempt] = []
        if try_:
            attempts = try_remedies(
                part,
                rounds=whole_number("rounds", rounds),
                networks=networks,
                store=store,
                workers=available_cores() if workers is None else workers,
                progress=progress,
                tell=lambda attempt: None if json_output else console.print(str(attempt), markup=False),
            )
        found += [numbers_of(one, part, attempts) for one in explanations]
    if json_output:
        print(json.dumps(found, allow_nan=False))
    return 0


def sentences(part: StudyResult, explanations: list[Explanation]) -> str:
    """Return what limits the span, with the remedies, as text."""
    limit = limit_of(part)
    if limit is None:
        return "At least half of the networks solve every length."
    said = [one for one in explanations if one.length == limit]
    if not said:
        return f"The span ends before T = {limit}."
    (one,) = said
    remedies = [f"{number}. {remedy}: {remedy.expected}" for number, remedy in enumerate(one.remedies, start=1)]
    return "\n  ".join([str(one), *remedies])


def numbers_of(one: Explanation, part: StudyResult, attempts: list[Attempt]) -> dict[str, Any]:
    """Return an explanation for JSON, with the attempts that began with it."""
    tried = attempts if one.length == limit_of(part) else []
    return one.numbers() | {"tried": [attempt.numbers() for attempt in tried]}
