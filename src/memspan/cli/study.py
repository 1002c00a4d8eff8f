"""`memspan study`: run, resume, status, show, schema."""

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import App, Parameter
from pydantic import create_model
from rich.table import Table

from memspan.cli.console import STORE, WHOLE, new_console, shown
from memspan.errors import InvalidArgument, MemspanError, whole_number
from memspan.execution.events import Event, Planned
from memspan.execution.run import planned, ran
from memspan.execution.teams import available_cores
from memspan.runtime.interrupts import ignore_interrupts
from memspan.runtime.progress import plain
from memspan.store import Store
from memspan.store.databases import database
from memspan.store.store import Overview
from memspan.study import Study, StudySummary, save_figures
from memspan.study.figures import draws_trials
from memspan.study.identity import default_name, folder_name

study = App(
    name="study", help="Train networks on a task, several at each length: which length is the longest they solve?"
)

Progress = Literal["auto", "bar", "notebook", "lines", "json", "none"]


def _flags() -> Any:
    """A class with an option for each field of a study, whose texts the study itself will judge."""
    fields: dict[str, Any] = {}
    for name, field in Study.model_fields.items():
        kind: Any = dict[str, str] if name == "parameters" else tuple[str, ...]
        choices, default = _choices(field.annotation), field.get_default()
        parts = [str(field.description)] + [f"Of {', '.join(choices)}."] * bool(choices)
        written = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        parts += [f"[default: {written}]"] * (default not in (None, {}))
        option = Parameter(help=" ".join(parts), consume_multiple=True, negative="")
        fields[name] = (Annotated[kind | None, option], None)
    return create_model("Flags", **fields)


def _choices(annotation: Any) -> tuple[str, ...]:
    """Of a field that takes one of a few names: these."""
    if all(isinstance(argument, str) for argument in get_args(annotation)):
        return get_args(annotation)
    return next((found for argument in get_args(annotation) if (found := _choices(argument))), ())


Flags = _flags()


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """How a study is run, and what becomes of it.

    Attributes
    ----------
    store
        Where results are kept: a SQLite file, or a URL such as postgresql://user@host/database.
    output
        A folder for the figures [default: one for each study in runs/].
    figures
        Whether to draw them.
    workers
        Processes [default: one for each core; 0 for none but this one].
    scheduler
        The address of a Dask scheduler, or the .json file that it writes: its workers are used instead.
    retry_failed
        Run the trials again that failed by the machine's fault.
    progress
        How to show progress; json is for other programs, a line for each event on standard output.
    """

    store: Annotated[str, STORE] = "memspan.sqlite"
    output: Annotated[Path | None, Parameter(alias="-o", show_default=False)] = None
    figures: bool = True
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None
    scheduler: str | None = None
    retry_failed: Annotated[bool, Parameter(negative="")] = False
    progress: Progress = "auto"

    @property
    def processes(self) -> int:
        """How many there are to be."""
        return available_cores() if self.workers is None else whole_number("workers", self.workers, least=0)


OPTIONS = Options()


def _specified(specification: Path | None, flags: Any) -> Study:
    """The study of a file, with what the options change."""
    given = {name: value for name, value in dict(flags).items() if value is not None}
    for name, values in given.items():
        if specification is None and name != "name" and any(value.endswith(".toml") for value in values):
            raise InvalidArgument("the study file", "before the options", f"among the values of {name}")
    if "name" in given:
        given["name"] = " ".join(given["name"])
    return Study(**given) if specification is None else Study.read(specification, **given)


@study.command
def run(
    specification: Path | None = None,
    /,
    *,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # type: ignore[valid-type]  # noqa: B008
    options: Options = OPTIONS,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a study, or what is missing of it.

    Each trial is a function of its configuration, length and repetition, bit for bit, wherever it runs. So what is
    in the store is not run again: after an interruption the same command goes on, and more lengths, repetitions or
    values only add to what is there.

    **The assignment's network**, from lengths that it solves to lengths that it does not:

        memspan study run

    **Does an orthogonal start reach further?**

        memspan study run --start orthogonal --learning-rate 0.001 --lengths 10,20,30,50

    **Two cells and three sizes**, each combination, from a file and with another seed:

        memspan study run gates.toml --cell lstm,gru --hidden 16,32,64 --seed 1

    **Another task** (`memspan tasks` lists them):

        memspan study run --task adding/any --cell gru --lengths 10,20,40,80

    Parameters
    ----------
    specification
        A TOML file with any of the options below as keys; lists make several configurations.
    dry_run
        Only say what there is to do, how long it takes at most, and how much memory.
    """
    asked = _specified(specification, flags)
    if not dry_run:
        return _run(asked, options)
    place, processes, scheduler = options.store, options.processes, options.scheduler
    with planned(asked, place, processes, scheduler, retry_failed=options.retry_failed) as plan:
        print(plan.sentence)
    return 0


@study.command
def resume(
    name: str | None = None,
    /,
    *,
    options: Options = OPTIONS,
) -> int:
    """Go on with a study that was not finished.

    Parameters
    ----------
    name
        Which [default: the only one that is not finished].
    """
    with Store(options.store) as opened:
        found = opened.find(name).study if name is not None else _unfinished(opened.overviews())
    return _run(found, options)


@study.command
def status(name: str | None = None, /, *, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """Say how far a study is, or all of them.

    Parameters
    ----------
    name
        Which.
    store
        Where it is kept.
    """
    with Store(store) as opened:
        if name is None:
            new_console().print(overview_table(opened.overviews()))
            return 0
        entry = opened.find(name)
        counts, reasons = entry.counts(), entry.reasons()
    each = entry.study.repetitions * len(entry.study.configurations)
    done = sum(sum(outcomes.values()) for outcomes in counts.values())
    total = each * len(entry.study.lengths)
    state = "finished" if done == total else f"not finished: {total - done:,} trials are missing"
    table = Table()
    for heading in ("length", "done", "solved", "unsolved", "diverged", "failed"):
        table.add_column(heading, justify="right")
    for length in entry.study.lengths:
        outcomes = counts.get(length, {})
        numbers = [str(outcomes.get(heading, 0)) for heading in ("solved", "unsolved", "diverged", "failed")]
        table.add_row(str(length), f"{sum(outcomes.values())}/{each}", *numbers)
    console = new_console()
    console.print(f"{shown(name)}: {done:,} of {total:,} trials, {state}", soft_wrap=True)
    console.print(table)
    for reason in reasons:
        console.print(f"A trial failed: {plain(reason)}", markup=False)
    if done < total:
        print(resume_command(name, store))
    return 0


@study.command
def show(
    name: str | None = None,
    /,
    *,
    configuration: Annotated[int | None, WHOLE] = None,
    store: Annotated[str, STORE] = "memspan.sqlite",
    output: Annotated[Path | None, Parameter(alias="-o", show_default=False)] = None,
) -> int:
    """Print the table of a study, and draw its figures if there is a folder for them.

    Parameters
    ----------
    name
        Which [default: the only one].
    configuration
        Of a study with several: only this one, counted from 1.
    store
        Where it is kept.
    output
        A folder for the figures.
    """
    with Store(store) as opened:
        entry = opened.find(name if name is not None else _only(opened.overviews()))
        if configuration is not None:
            number, most = whole_number("configuration", configuration), len(entry.study.configurations)
            if number > most:
                raise InvalidArgument("configuration", f"at most {most}", number)
            entry = entry.of_configuration(number - 1)
        drawn = output is not None and draws_trials(entry.study)
        result = entry.result() if drawn else entry.summary()
    _print(result, [] if output is None else save_figures(result, output))
    return 0


@study.command
def schema() -> int:
    """Print the JSON schema of the study file, for editors that complete and check it.

    With `#:schema memspan.schema.json` as first line of a TOML file, editors that use Taplo know it.
    """
    print(json.dumps(Study.model_json_schema(), indent=2))
    return 0


def _run(asked: Study, options: Options) -> int:
    name = asked.name or default_name(asked)
    output = options.output or Path("runs") / folder_name(asked)
    if options.figures and output.exists() and not output.is_dir():  # before hours are spent on what goes in
        raise InvalidArgument("output", "a folder", repr(str(output)))
    said = options.progress == "json"  # everything, and nobody wants tables and figures
    drawn = options.figures and not said
    begun: list[Planned] = []

    def listen(event: Event) -> None:
        if isinstance(event, Planned):
            begun.append(event)

    try:
        with ran(
            asked,
            options.store,
            workers=options.processes,
            scheduler=options.scheduler,
            retry_failed=options.retry_failed,
            progress=options.progress,
            listen=listen,
        ) as done:
            result = done.result() if drawn and draws_trials(asked) else done.summary()
    except (KeyboardInterrupt, MemspanError) as error:
        if isinstance(error, KeyboardInterrupt):
            ignore_interrupts()  # the end has begun, and is short
        if begun:
            _say_how_to_go_on(name, options)
        raise
    if not said:
        _print(result, save_figures(result, output) if drawn else [])
        if result.failures and not options.retry_failed:
            print(f"{resume_command(name, options.store)} --retry-failed")
    return 1 if result.failures else 0


def _say_how_to_go_on(name: str, options: Options) -> None:
    """On standard error, if there is anything to go on with."""
    more = f" --scheduler {shlex.quote(options.scheduler)}" if options.scheduler else ""
    command = resume_command(name, options.store) + more
    print(f"memspan: what was finished is kept; go on with\n  {command}", file=sys.stderr)


def resume_command(name: str, store: str) -> str:
    """For the shell; without the password of a database."""
    usual = os.environ.get("MEMSPAN_STORE", "memspan.sqlite")
    options = [] if store == usual else ["--store", place(store)]
    named = [*options, "--", name] if name.startswith("-") else [name, *options]
    return plain(shlex.join(["memspan", "study", "resume", *named]))


def place(store: str) -> str:
    """As it may be shown."""
    return database(store).place


def _unfinished(overviews: list[Overview]) -> Study:
    return _one(
        [found for found in overviews if found.done < found.trials], "of a study that is not finished"
    ).study


def _only(overviews: list[Overview]) -> str:
    return _one(overviews, "of a study").name


def _one(found: list[Overview], what: str) -> Overview:
    if len(found) != 1:
        names = ", ".join(repr(overview.name) for overview in found) or "no such study"
        raise InvalidArgument("name", f"given, {what}", f"none; there is {names}")
    return found[0]


def overview_table(overviews: list[Overview]) -> Table:
    """A row for each study."""
    table = Table()
    for heading in ("study", "task", "cell"):
        table.add_column(heading, overflow="fold")
    for heading in ("configurations", "done", "solved", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("since", no_wrap=True)
    for found in overviews:
        names = [", ".join(found.study.values()[field]) for field in ("task", "cell")]
        counts = [str(found.counts.get(outcome, 0)) for outcome in ("solved", "failed")]
        done = f"{found.done:,}/{found.trials:,}"
        number = str(len(found.study.configurations))
        table.add_row(shown(found.name), *names, number, done, *counts, shown(found.created[:10]))
    return table


def _print(result: StudySummary, figures: list[Path]) -> None:
    console = new_console()
    console.print(result.table())
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}", markup=False)
    console.print(result.sentence, style="bold", markup=False)
    for path in figures:
        print(path)
