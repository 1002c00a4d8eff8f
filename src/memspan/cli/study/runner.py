"""Running a study from the command line: its table and figures, and the command that continues it."""

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
    output = options.output or Path("runs") / folder_name(study.name or default_name(study))
    if options.figures:
        demand_folder(output if options.output else output.parent)  # before hours are spent on the figures
    as_json = options.progress == "json"  # for programs, which read neither tables nor figures
    drawn = options.figures and not as_json
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
            ignore_interrupts()  # the program is ending
        if begun and not isinstance(error, StoreLost):
            _say_how_to_continue(begun[0].name, options)
        raise
    if not as_json:
        print_result(result)
        if drawn:
            folder = options.output or Path("runs") / folder_name(running.name)
            _draw(result, folder, default=options.output is None, needed=bool(begun[0].plan.groups))
        if result.failures and not options.retry_failed:
            print(f"{resume_command(running.name, options.store)} --retry-failed")
    return 1 if result.failures else 0


def _draw(result: StudySummary, output: Path, *, default: bool, needed: bool) -> None:
    """Save the figures and print their paths. A read-only disk is an error only if trials were run."""
    try:
        if default:
            output.parent.mkdir(exist_ok=True)  # memspan chose this folder, not the user
        print_paths(save_figures(result, output))
    except OSError as error:
        if needed or error.errno not in (errno.EROFS, errno.EACCES):
            raise
        say(f"memspan: no figures: cannot write to {output}: {error.strerror}")


def _say_how_to_continue(name: str, options: RunOptions) -> None:
    """Print the command that continues the study, on standard error."""
    more = f" --scheduler {shlex.quote(without_passwords(options.scheduler))}" if options.scheduler else ""
    command = resume_command(name, options.store) + more
    say(f"memspan: finished trials are stored. To continue:\n  {command}")


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
    """Print the table, the reasons of failed trials, and the longest length solved."""
    console = new_console()
    console.print(result.table())
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}", markup=False)
    console.print(result.sentence, style="bold", markup=False)


def print_paths(figures: list[Path]) -> None:
    """Print one path a line."""
    for path in figures:
        print(path)
