"""The options of `memspan study run` and `resume`: one for each field of a study, and how it is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from memspan.cli.console import STORE, WHOLE
from memspan.cli.fields import given, options_of
from memspan.errors import InvalidArgument, whole_number
from memspan.execution.teams import available_cores
from memspan.study import Study

Progress = Literal["auto", "bar", "notebook", "lines", "json", "none"]


Flags = options_of(Study.model_fields)


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
        """How many there are to be."""
        return available_cores() if self.workers is None else whole_number("workers", self.workers, least=0)


OPTIONS = RunOptions()


def specified(specification: Path | None, flags: Any) -> Study:
    """The study of a file, with what the options change."""
    typed = given(flags)
    for name, values in typed.items():
        if specification is None and name != "name" and any(value.endswith(".toml") for value in values):
            raise InvalidArgument("the study file", "before the options", f"among the values of {name}")
    if "name" in typed:
        typed["name"] = " ".join(typed["name"])
    return Study(**typed) if specification is None else Study.read(specification, **typed)
