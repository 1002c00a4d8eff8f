"""Running a study from the command line: its table and figures, and the command that continues it."""

import errno
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from memspan.cli.console import new_console, print_json, print_paths
from memspan.cli.pages import NAME as REPORT
from memspan.cli.pages import demand_no_other, save_report
from memspan.cli.study.options import RunOptions
from memspan.errors import Conflict, MemspanError
from memspan.execution.events import Event, Listener, Planned, Searching
from memspan.execution.listeners import listening
from memspan.execution.run import StudyRun
from memspan.execution.running import team_of
from memspan.runtime.files import demand_folder, demand_writable
from memspan.runtime.interrupts import ignore_interrupts
from memspan.runtime.notices import say
from memspan.runtime.passwords import without_passwords
from memspan.runtime.progress import plain
from memspan.store.database import StoreLost
from memspan.store.transactions import database
from memspan.study import Study, StudySummary, save_figures
from memspan.study.experiment import Experiment
from memspan.study.figures import draws_trials
from memspan.study.identity import default_name, folder_name
from memspan.study.search_result import SearchResult

Begun = TypeVar("Begun", Planned, Searching)
"""The event with which work begins: before it, nothing is in the store."""


def run_and_print(study: Study, options: RunOptions, *, reuse: bool = False, json: bool = False) -> int:
    """Run a study, print its table and draw its figures, or print it as JSON; return the exit code."""
    output = figures_folder(study, options)
    quiet = json or options.progress == "json"  # for programs, which read neither tables nor figures
    make_team = team_of(options.processes, options.scheduler)
    how = {"retry_failed": options.retry_failed, "reuse": reuse}
    with (
        followed(Planned, lambda plan: resume_command(plan.name, options.store), options, quiet=json) as follow,
        StudyRun(study, options.store, make_team, **how, tell=follow[0]) as running,
    ):
        running.run()
        result = running.result() if options.figures and not quiet and draws_trials(study) else running.summary()
    if json:
        print_json(result.numbers() | {"name": running.name})
    if not quiet:
        print_result(result)
        if options.figures:
            folder = output if options.output else output.parent / folder_name(running.name)
            save = partial(save_pages, result, running.name, folder, options.store)
            draw(save, folder, options, needed=bool(follow[1][0].plan.groups))
        if result.failures and not options.retry_failed:
            print(f"{resume_command(running.name, options.store)} --retry-failed")
    return 1 if result.failures else 0


def figures_folder(experiment: Experiment, options: RunOptions) -> Path:
    """Return the folder for the figures, and check it before hours are spent on its contents."""
    name = experiment.name or default_name(experiment)
    output = options.output or Path("runs") / folder_name(name)
    if options.figures and options.output:
        demand_writable(output)
    elif options.figures:
        demand_folder(output.parent)  # on a read-only disk too, where a finished study may lie
    if options.figures:
        demand_no_other(output / REPORT)
    return output


def save_pages(result: StudySummary, name: str, folder: Path, store: str) -> list[Path]:
    """Draw the figures of a study in the store, and write its report. Return the paths."""
    return [*save_figures(result, folder), save_report(result, name, folder, store)]


def draw(save: Callable[[], list[Path]], output: Path, options: RunOptions, *, needed: bool) -> None:
    """Save figures and print their paths. A read-only disk is an error only if trials were run."""
    try:
        if options.output is None:
            output.parent.mkdir(exist_ok=True)  # memspan chose this folder, not the user
        print_paths(save())
    except OSError as error:
        if needed or error.errno not in (errno.EROFS, errno.EACCES):
            raise
        say(f"memspan: no figures: cannot write to {output}: {error.strerror}")


@contextmanager
def followed(
    kind: type[Begun], command: Callable[[Begun], str], options: RunOptions, *, quiet: bool = False
) -> Iterator[tuple[Listener, list[Begun]]]:
    """Show the events of a run. If an interrupt or an error ends the block, say how to continue.

    Parameters
    ----------
    kind : type
        `Planned` or `Searching`.
    command : callable
        Returns the command that continues, from the first of these events.
    options : RunOptions
    quiet : bool
        Whether to show progress only if the user chose a kind of progress.

    Yields
    ------
    listener, list
        The listener to the run's events, and the events so far with which work began.
    """
    if quiet and options.progress == "json":
        raise Conflict("--json prints one document, --progress json a line for each event. Choose one.")
    begun: list[Begun] = []

    def listen(event: Event) -> None:
        if isinstance(event, kind):
            begun.append(event)

    try:
        with listening("none" if quiet and options.progress == "auto" else options.progress, listen) as tell:
            yield tell, begun
    except (KeyboardInterrupt, MemspanError) as error:
        if isinstance(error, KeyboardInterrupt):
            ignore_interrupts()  # the program is ending
        if begun and not isinstance(error, StoreLost):
            more = f" --scheduler {shlex.quote(without_passwords(options.scheduler))}" if options.scheduler else ""
            say(f"memspan: finished trials are stored. To continue:\n  {command(begun[0])}{more}")
        raise


def resume_command(name: str, store: str) -> str:
    """Return the command that continues a study, quoted for the shell, without the password of a database."""
    default = os.environ.get("MEMSPAN_STORE", "memspan.sqlite")
    options = [] if store == default else ["--store", place(store)]
    named = [*options, "--", name] if name.startswith("-") else [name, *options]
    return plain(shlex.join(["memspan", "study", "resume", *named]))


def place(store: str) -> str:
    """Return the address of the store without its password."""
    return database(store).place


def print_result(result: StudySummary) -> None:
    """Print the table, the reasons of failed trials, the answer, and why a search ended."""
    console = new_console()
    if any(result.rows):  # a search has none before the end of its first round
        console.print(result.table())
    if (tests := result.table_of_tests()) is not None:
        console.print(tests)
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}")
    console.print(result.sentence, style="bold")
    if isinstance(result, SearchResult) and result.ended:
        console.print(f"The search ended: {result.ended}.")
