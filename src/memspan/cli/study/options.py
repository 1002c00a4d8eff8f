"""The options of `memspan study run` and `resume`: one for each field of a study, and how it is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter
from pydantic import create_model

from memspan.cli.console import STORE, WHOLE
from memspan.errors import InvalidArgument, whole_number
from memspan.execution.teams import available_cores
from memspan.study import Study

Progress = Literal["auto", "bar", "notebook", "lines", "json", "none"]


def _flags() -> Any:
    """A class with an option for each field of a study, whose texts the study itself will judge."""
    fields: dict[str, Any] = {}
    for name, field in Study.model_fields.items():
        kind: Any = dict[str, str] if name == "task_parameters" else tuple[str, ...]
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
class RunOptions:
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
        """How many worker processes to start: by default as many as there are cores; none with a scheduler."""
        if self.workers is not None:
            return whole_number("workers", self.workers, least=0)
        return available_cores() if self.scheduler is None else 0


OPTIONS = RunOptions()


def specified(specification: Path | None, flags: Any) -> Study:
    """The study of a file, with what the options change."""
    given = {name: value for name, value in dict(flags).items() if value is not None}
    for name, values in given.items():
        if specification is None and name != "name" and any(value.endswith(".toml") for value in values):
            raise InvalidArgument("the study file", "before the options", f"among the values of {name}")
    if "name" in given:
        given["name"] = " ".join(given["name"])
    return Study(**given) if specification is None else Study.read(specification, **given)
