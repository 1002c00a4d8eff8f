"""Running a study from the command line: what is printed, and how it is gone on with."""

import errno
import os
import shlex
from pathlib import Path

from memspan.cli.console import new_console
from memspan.cli.study.options import RunOptions
from memspan.errors import MemspanError
from memspan.execution.events import Event, Planned
from memspan.execution.listeners import listening
from memspan.execution.run import StudyRun, team_of
from memspan.runtime.files import demand_folder
from memspan.runtime.interrupts import ignore_interrupts
from memspan.runtime.notices import say
from memspan.runtime.passwords import without_passwords
from memspan.runtime.progress import plain
from memspan.store.database import StoreLost
from memspan.store.transactions import database
from memspan.study import Study, StudySummary, save_figures
from memspan.study.figures import draws_trials
from memspan.study.identity import default_name, folder_name


def run_and_print(study: Study, options: RunOptions) -> int:
    """Run a study, print its table and draw its figures; return the exit code."""
    name = study.name or default_name(study)
    output = options.output or Path("runs") / folder_name(study)
    if options.figures:
        demand_folder(output if options.output else output.parent)  # before hours are spent on what goes in
    said = options.progress == "json"  # everything, and nobody wants tables and figures
    drawn = options.figures and not said
    begun: list[Planned] = []

    def listen(event: Event) -> None:
        if isinstance(event, Planned):
            begun.append(event)

    make_team = team_of(options.processes, options.scheduler)
    try:
        with (
            listening(options.progress, listen) as tell,
            StudyRun(study, options.store, make_team, retry_failed=options.retry_failed, tell=tell) as running,
        ):
            running.run()
            result = running.result() if drawn and draws_trials(study) else running.summary()
    except (KeyboardInterrupt, MemspanError) as error:
        if isinstance(error, KeyboardInterrupt):
            ignore_interrupts()  # the end has begun, and is short
        if begun and not isinstance(error, StoreLost):
            _say_how_to_go_on(name, options)
        raise
    if not said:
        print_result(result)
        if drawn:
            _draw(result, output, default=options.output is None, needed=bool(begun[0].plan.groups))
        if result.failures and not options.retry_failed:
            print(f"{resume_command(name, options.store)} --retry-failed")
    return 1 if result.failures else 0


def _draw(result: StudySummary, output: Path, *, default: bool, needed: bool) -> None:
    """Save the figures and print their paths; where nothing was run the disk may be read-only."""
    try:
        if default:
            output.parent.mkdir(exist_ok=True)  # the choice is memspan's own
        print_paths(save_figures(result, output))
    except OSError as error:
        if needed or error.errno not in (errno.EROFS, errno.EACCES):
            raise
        say(f"memspan: no figures are drawn, as {output} cannot be written: {error.strerror}")


def _say_how_to_go_on(name: str, options: RunOptions) -> None:
    """On standard error, if there is anything to go on with."""
    more = f" --scheduler {shlex.quote(without_passwords(options.scheduler))}" if options.scheduler else ""
    command = resume_command(name, options.store) + more
    say(f"memspan: what was finished is kept; go on with\n  {command}")


def resume_command(name: str, store: str) -> str:
    """For the shell; without the password of a database."""
    usual = os.environ.get("MEMSPAN_STORE", "memspan.sqlite")
    options = [] if store == usual else ["--store", place(store)]
    named = [*options, "--", name] if name.startswith("-") else [name, *options]
    return plain(shlex.join(["memspan", "study", "resume", *named]))


def place(store: str) -> str:
    """As it may be shown."""
    return database(store).place


def print_result(result: StudySummary) -> None:
    """The table, what failed, and the answer."""
    console = new_console()
    console.print(result.table())
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}", markup=False)
    console.print(result.sentence, style="bold", markup=False)


def print_paths(figures: list[Path]) -> None:
    """A line each."""
    for path in figures:
        print(path)
