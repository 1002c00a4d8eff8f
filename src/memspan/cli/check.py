"""`memspan check`."""

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memspan.cells import CELLS, Cell
from memspan.cli.completers import among
from memspan.cli.console import JSON, WHOLE, new_console, print_json
from memspan.errors import InvalidArgument, did_you_mean, shown, whole_number
from memspan.runtime.imports import EXAMPLES, entry_points, imported, is_factory, is_path, made
from memspan.runtime.progress import plain
from memspan.study.choices import option
from memspan.tasks import TASKS, Task
from memspan.testing import ContractReport, check_cell, check_model, check_task


def check(
    part: Annotated[str, Parameter(completer=among((*CELLS, *TASKS)))],
    /,
    *,
    hidden: Annotated[int, WHOLE] = 8,
    options: Annotated[dict[str, str] | None, Parameter(metavar="TEXT", show_default=False)] = None,
    compiled: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check a cell, a model or a task: does it keep the contracts on which every measurement rests?

    The gradient of a cell or a model is compared with the complex step at every time step. Exits with 1 if a
    contract is broken.

    **A cell, a PyTorch or JAX model, or a task of your own**, in mypkg/cells.py and mypkg/tasks.py:

        memspan check mypkg.cells:mine
        memspan check mypkg.tasks:Mine

    Parameters
    ----------
    part
        The import path of a cell, of a task, or of a function (features, outputs, hidden) that returns a PyTorch
        or JAX model. Or the name of a cell or a task of memspan's.
    hidden
        Number of hidden units H of a model.
    options
        Further arguments of the function that returns the cell or the model, such as --options.layers 2.
    compiled
        Also compare the compiled engine with the readable one, for a cell. This takes about ten seconds.
    json
        Print the report as JSON on standard output: `subject`, `kept` (the rule of each contract, by its name),
        `broken` (a list with `contract`, `rule`, `found` and `cause`), `unchecked` and `notes`.
    """
    given = {name: option(name, value) for name, value in (options or {}).items()}
    found = _imported(part)
    report = _checked(part, found, given, whole_number("hidden", hidden), compiled)
    if json:
        print_json(_numbers(report))
    else:
        _print(report, new_console())
    return 0 if report else 1


def _imported(part: str) -> Any:
    """Return the part of a name or an import path."""
    known = {**CELLS, **TASKS}
    if part in known:
        return known[part]
    named = entry_points("cell") | entry_points("task")
    path = named.get(part, part)
    if not is_path(path):
        rule = f"an import path such as {EXAMPLES['cell']}, or the name of a cell or a task"
        raise InvalidArgument("part", rule, shown(part), did_you_mean(part, [*known, *named]))
    return imported("part", path)


def _checked(part: str, found: Any, options: dict[str, Any], hidden: int, compiled: bool) -> ContractReport:
    if is_factory(found):
        return check_model(found, hidden=hidden, options=options, raises=False)
    if not isinstance(found, Cell | Task):
        found = made("part", part, found, (Cell, Task), options)
    elif options:
        raise InvalidArgument("options", f"left out for {part}, which takes none", options)
    if isinstance(found, Cell):
        return check_cell(found, compiled=compiled, raises=False)
    return check_task(found, raises=False)


def _numbers(report: ContractReport) -> dict[str, Any]:
    """Return what JSON has of a report."""
    names = ("contract", "rule", "found", "cause")
    broken = [{name: getattr(one, name) for name in names} for one in report.broken]
    facts = {"subject": report.subject, "kept": report.kept, "broken": broken}
    return facts | {"unchecked": report.unchecked, "notes": report.notes}


def _print(report: ContractReport, console: Console) -> None:
    """Print what was found of each contract, the broken ones last."""
    table = Table(title=plain(report.subject), title_justify="left")
    table.add_column("contract", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("rule, or what was found", overflow="fold")
    for name, rule in report.kept.items():
        note = report.notes.get(name, "")
        table.add_row(name, "kept", plain(f"{rule} {note[:1].upper()}{note[1:]}.".removesuffix(" .")))
    for broken in report.broken:
        table.add_row(broken.contract, Text("broken", style="bold"), plain(f"{broken.found}.{broken.advice}"))
    console.print(table)
    if report.unchecked:
        print(f"Not checked, because of that: {', '.join(report.unchecked)}.")
    count = len(report.broken)
    print(f"{count} contract{'s are' if count != 1 else ' is'} broken." if count else "All contracts are kept.")
