"""`memspan span`."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from memspan.cli.console import JSON, print_json
from memspan.cli.fields import options_of
from memspan.cli.pages import save_report
from memspan.cli.study.options import OPTIONS, RunOptions, specified
from memspan.cli.study.runner import draw, figures_folder, followed, print_result
from memspan.execution.events import Searching
from memspan.execution.running import team_of
from memspan.execution.search import SearchRun
from memspan.runtime.passwords import without_passwords
from memspan.study.figures import save_span
from memspan.study.search import Search
from memspan.study.search_result import SearchResult

if TYPE_CHECKING:
    Flags = Any
else:
    Flags = options_of(Search)


def span(
    specification: Path | None = None,
    /,
    *,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # noqa: B008
    options: RunOptions = OPTIONS,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Find the span: the length that a network solves with probability one half, with an interval.

    The search raises the length until trainings fail, and then trains where it learns most. Each round depends
    on earlier results alone. So the same command gives the same trainings and the same span on any number of
    processes, and continues after an interruption.

    It ends when half of the interval is at most --width of the span, when the next round could exceed the
    --budget, or when the span lies beyond --longest. A round could take all updates of all its trainings, so a
    budget in time steps may end a search before it is spent.

    **The tanh network on the memory task:**

        memspan span

    **Another cell, more precisely** (the trainings of the first search are used again):

        memspan span --cell gru --learning-rate 0.003 --width 0.2
        memspan span --cell gru --learning-rate 0.003 --width 0.1

    **The length that nine of ten networks solve, for at most 20 million time steps:**

        memspan span --share 0.9 --budget 20Msteps

    Parameters
    ----------
    specification
        TOML file of a search. Its keys are the options that describe the search, with `_` for `-`.
        Options of the run, such as --workers, are no keys.
    json
        Print the result as JSON on standard output: `span`, `low`, `high`, `level`, `share`, `left_censored`,
        `right_censored`, `fits`, `trainings`, `steps_trained`, `ended`, `seconds`. An open end is null.
        `trainings` and `steps_trained` include stored and failed trainings; `ended` says why the search ended;
        `seconds` is the time that this command took. If all trainings failed there is no estimate, and
        `left_censored`, `right_censored` and `fits` are null too.
    """
    began = time.perf_counter()
    result = run(specified(Search, specification, flags), options, quiet=json)
    if json:
        print_json(numbers_of(result, time.perf_counter() - began))
    return 1 if result.failures else 0


def run(search: Search, options: RunOptions, *, quiet: bool) -> SearchResult:
    """Run a search; unless `quiet`, print its table and draw its figure."""
    output = figures_folder(search, options)
    make_team = team_of(options.processes, options.scheduler)
    with (
        followed(Searching, lambda _: same_command(), options, quiet=quiet) as (tell, begun),
        SearchRun([search], options.store, make_team, retry_failed=options.retry_failed, tell=tell) as running,
    ):
        running.run()
        (result,), (name,) = running.results(), running.names
    if not quiet and options.progress != "json":
        print_result(result)
        if options.figures:
            draw(
                lambda: [*save_span(result, output), save_report(result, name, output, options.store)],
                output,
                options,
                needed=bool(begun[0].keys),
            )
        if result.failures and not options.retry_failed:
            print(f"{same_command()} --retry-failed")
    return result


def same_command() -> str:
    """Return the command that is running, quoted for the shell, without passwords."""
    return without_passwords(shlex.join(["memspan", *sys.argv[1:]]))


def numbers_of(result: SearchResult, seconds: float) -> dict[str, Any]:
    """Return the result of a search for JSON. What is unknown, because every training failed, is None."""
    estimate, asked = result.estimate, {"level": result.search.level, "share": result.search.share}
    names = ("span", "low", "high", "level", "share", "left_censored", "right_censored", "fits")
    found = {name: getattr(estimate, name, asked.get(name)) for name in names}
    found |= {"trainings": result.path.trainings, "steps_trained": result.steps_trained}
    return found | {"ended": result.ended, "seconds": round(seconds, 3)}
