"""`memspan doctor`."""

from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from memspan.cli.console import JSON, STORE, new_console, print_json
from memspan.cli.doctor.finding import Finding, State
from memspan.cli.doctor.installation import installation
from memspan.runtime.notices import say
from memspan.runtime.progress import plain


def doctor(
    *,
    store: Annotated[str, STORE] = "memspan.sqlite",
    quick: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check memspan on this machine: versions, BLAS, cores, the store, extras, and a self-test of ten seconds.

    The self-test checks a gradient, compares the compiled engine with the readable one, and runs a small study in
    a process of its own. Nothing is written outside a temporary folder and Numba's cache. Exits with 1 if
    something is broken. `memspan store doctor` examines a damaged store.

    **Is everything in order?**

        memspan doctor

    Parameters
    ----------
    quick
        Leave out the self-test.
    json
        Print it as JSON on standard output: `sound`, and the list `findings` with `part`, `found`, `state` (ok,
        missing or broken) and `advice`.
    """
    findings = installation(store)
    if not quick:
        from memspan.cli.doctor.selftest import selftest  # which trains, and so imports what takes long

        say("memspan: testing itself, for about ten seconds")
        findings += selftest()
    broken = [one for one in findings if one.state is State.BROKEN]
    if json:
        print_json({"sound": not broken, "findings": [one.numbers() for one in findings]})
    else:
        console: Any = new_console()
        console.print(_table(findings))
        console.print(_sentence(broken), style="bold")
    return 1 if broken else 0


def _table(findings: list[Finding]) -> Table:
    table = Table()
    table.add_column("part", no_wrap=True)
    table.add_column("found", overflow="fold")
    table.add_column("state")
    for one in findings:
        text = f"{one.found}. {one.advice}" if one.advice else one.found
        style = "bold" if one.state is State.BROKEN else ""
        table.add_row(one.part, plain(text), Text(one.state, style=style))
    return table


def _sentence(broken: list[Finding]) -> str:
    if not broken:
        return "Nothing is broken."
    return f"Broken: {', '.join(one.part for one in broken)}."
