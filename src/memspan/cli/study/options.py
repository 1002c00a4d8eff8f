"""The options of `memspan study run`, `extend` and `resume`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from memspan.cli.console import OUTPUT, STORE, WHOLE
from memspan.cli.fields import given, options_of
from memspan.errors import Conflict, whole_number
from memspan.execution.teams import available_cores
from memspan.study import Study
from memspan.study.comparison import Comparison
from memspan.study.search import Search

Progress = Literal["auto", "bar", "notebook", "lines", "json", "none"]


Flags = options_of(Study)
Kind = TypeVar("Kind", Study, Search, Comparison)


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """Options about running a study, search or comparison and saving its results.

    Attributes
    ----------
    output
        Folder for figures and report [default: a folder in runs/ with the name of the study, search or
        comparison].
    figures
        Draw the figures and write the report at the end.
    workers
        Number of worker processes; 0 trains in the main process [default: one for each core].
    scheduler
        Address of a Dask scheduler, or its scheduler file (.json). Trials then run on its workers.
    retry_failed
        Run failed trials again, such as those that ran out of memory.
    progress
        Display of progress. `auto` is a bar on a terminal and lines elsewhere. `json` prints one line of JSON for
        each event, for other programs, and no table.
    """

    store: Annotated[str, STORE] = "memspan.sqlite"
    output: Annotated[Path | None, OUTPUT] = None
    figures: bool = True
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None
    scheduler: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    retry_failed: Annotated[bool, Parameter(negative="")] = False
    progress: Progress = "auto"

    @property
    def processes(self) -> int:
        """The number of worker processes to start: by default one for each core, or none with a scheduler."""
        if self.workers is not None:
            return whole_number("workers", self.workers, least=0)
        return available_cores() if self.scheduler is None else 0


OPTIONS = RunOptions()


def specified(kind: type[Kind], specification: Path | None, flags: Any) -> Kind:
    """Return the study, search or comparison of the file, changed by the options."""
    typed = given(flags)
    for name, values in typed.items():
        if specification is None and name != "name" and any(value.endswith(".toml") for value in values):
            raise Conflict(
                f"The {kind.what} file must come before the options; it was taken as a value of {name}."
            )
    typed = {name: _as_typed(name, values) for name, values in typed.items()}
    return kind(**typed) if specification is None else kind.read(specification, **typed)


def _as_typed(name: str, values: Any) -> Any:
    """Return the values of an option as one text, so that a message shows what was typed."""
    if isinstance(values, dict) or not values:
        return values
    return (" " if name == "name" else ",").join(values)
