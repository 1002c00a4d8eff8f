"""`memspan explain`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from memspan.cli.completers import STUDY
from memspan.cli.console import JSON, OUTPUT, STORE, WHOLE, new_console, print_json, print_paths
from memspan.cli.pages import NAME as REPORT
from memspan.cli.pages import demand_no_other, save_report
from memspan.cli.study.choose import the_entry
from memspan.errors import InvalidArgument, NotFound, shown, whole_number
from memspan.execution.teams import available_cores
from memspan.runtime.files import make_folder
from memspan.runtime.progress import plain
from memspan.store import Store
from memspan.store.entry import Entry
from memspan.study.choices import split
from memspan.study.identity import folder_name
from memspan.study.results import StudyResult
from memspan.study.search import Search
from memspan.why.attempt import BUDGET, LONGEST, ROUNDS, Attempt, limit_of, try_remedies
from memspan.why.explain import NETWORKS
from memspan.why.explain import explain as explain_result
from memspan.why.explanation import Explanation, table_of
from memspan.why.page import save_page


def explain(
    *names: Annotated[str, STUDY],
    configuration: Annotated[int | None, WHOLE] = None,
    lengths: Annotated[
        tuple[str, ...], Parameter(metavar="INT,...", consume_multiple=True, negative="", show_default=False)
    ] = (),
    networks: Annotated[int, WHOLE] = NETWORKS,
    try_: Annotated[bool, Parameter(name="--try", negative="")] = False,
    rounds: Annotated[int, WHOLE] = ROUNDS,
    budget: Annotated[str, Parameter(metavar="TEXT")] = BUDGET,
    longest: Annotated[int, WHOLE] = LONGEST,
    store: Annotated[str, STORE] = "memspan.sqlite",
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None,
    output: Annotated[Path | None, OUTPUT] = None,
    json: Annotated[bool, JSON] = False,
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
    lengths
        Lengths T to explain, such as 30,40 [default: all that were trained].
    networks
        Most networks to train again at each length.
    try_
        Try the remedies. The new trainings are stored.
    rounds
        Most remedies to try, one after another.
    budget
        With --try, for a study: most trainings of a search for the span. A stored search has its own.
    longest
        With --try, for a study: longest sequence length T of a search for the span.
    workers
        Number of worker processes with --try; 0 trains in the main process [default: one for each core].
    output
        Folder for a page of figures of each configuration, and a report. It is made if it does not exist.
    json
        Print a list as JSON on standard output, with `configuration`, `length`, `verdict`, `evidence`, `remedies`
        (`change`, `from`, `to`, `expected`) and `tried`. What is infinite is null.
    """
    chosen = wholes("lengths", lengths)
    rounds, networks = whole_number("rounds", rounds), whole_number("networks", networks)
    workers = available_cores() if workers is None else whole_number("workers", workers, least=0)
    with Store(store) as opened:
        entries = [the_entry(opened, name, configuration) for name in names or (None,)]
        results = {entry.name: _finished(entry) for entry in entries}
    folders = _folders(output, [*results])
    console, progress = new_console(), not json
    console.quiet = json
    search: Any = {"budget": budget, "longest": longest}
    Search(**search)  # an error comes before any work
    how: dict[str, Any] = search | {"rounds": rounds, "networks": networks, "store": store, "workers": workers}
    found: list[dict[str, Any]] = []
    for name, result in results.items():
        explained: list[Explanation] = []
        for part in result.parts:
            explanations = explain_result(part, lengths=chosen, networks=networks, progress=progress)
            console.print(table_of(explanations))
            console.print(sentences(part, explanations))
            tell = partial(_print, console)
            attempts = try_remedies(part, **how, progress=progress, tell=tell) if try_ else []
            found += [numbers_of(one, part, attempts) for one in explanations]
            explained += explanations
        if name in folders:
            written = save_page(result, explained, folders[name])
            written += [save_report(result, name, folders[name], store, explanations=explained)]
            if not json:
                print_paths(path for path in written if path.suffix in (".png", ".gif", ".html"))
    if json:
        print_json(found)
    return 0


def _folders(output: Path | None, names: list[str]) -> dict[str, Path]:
    """Return the folder for the pages of each study, whose parent is made now; none without --output."""
    if output is None:
        return {}
    folders = {name: output if len(names) == 1 else output / folder_name(name) for name in names}
    for folder in folders.values():
        demand_no_other(folder / REPORT)
    make_folder(output)
    return folders


def _finished(entry: Entry) -> StudyResult:
    """Return the result of a study; refuse one of which no trial has run to its end."""
    result = entry.result()
    if not any(row.share.trials for part in result.parts for row in part.summaries()):
        raise NotFound(f"No trial of {plain(entry.name)} has run to its end, so there is nothing to explain yet.")
    return result


def _print(console: Console, attempt: Attempt) -> None:
    console.print(str(attempt), style="bold")


def wholes(name: str, texts: tuple[str, ...]) -> list[int] | None:
    """Return the whole numbers of an option, such as `30,40`; None without any."""
    items = split(texts) if texts else []
    if wrong := [item for item in items if not item.strip().isdecimal()]:
        raise InvalidArgument(name, "whole numbers such as 30,40", shown(wrong[0]))
    return [int(item) for item in items] or None


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
