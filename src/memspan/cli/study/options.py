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
    """How a study is run, and where its results go.

    Attributes
    ----------
    output
        Folder for the figures [default: one for each study in runs/].
    figures
        Whether to draw the figures at the end.
    workers
        Number of processes; 0 runs everything in this one [default: one for each core].
    scheduler
        Address of a Dask scheduler, or the .json file that it writes. Its workers are used instead of processes.
    retry_failed
        Run trials again that failed for a reason outside the study, such as memory that ran out.
    progress
        How progress is shown; `auto` takes a bar on a terminal, and lines elsewhere. `json` prints each event as a
        line on standard output, for other programs.
    """

    store: Annotated[str, STORE] = "memspan.sqlite"
    output: Annotated[Path | None, Parameter(alias="-o", show_default=False)] = None
    figures: bool = True
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None
    scheduler: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
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
    typed = given(flags)
    for name, values in typed.items():
        if specification is None and name != "name" and any(value.endswith(".toml") for value in values):
            raise InvalidArgument("the study file", "before the options", f"among the values of {name}")
    if "name" in typed:
        typed["name"] = " ".join(typed["name"])
    return Study(**typed) if specification is None else Study.read(specification, **typed)
