"""`memspan study run`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.study.options import OPTIONS, Flags, RunOptions, specified
from memspan.cli.study.runner import run_and_print
from memspan.execution.run import StudyRun, team_of


def run(
    specification: Path | None = None,
    /,
    *,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # noqa: B008
    options: RunOptions = OPTIONS,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a study, or what is missing of it.

    Each trial is a function of its configuration, length and repetition, bit for bit, wherever it runs. So what is
    in the store is not run again: after an interruption the same command goes on, and more lengths, repetitions or
    values only add to what is there.

    **The assignment's network**, from lengths that it solves to lengths that it does not:

        memspan study run

    **Does an orthogonal R reach further?**

        memspan study run --init orthogonal --learning-rate 0.001 --lengths 10,20,30,50

    **Two cells and three sizes**, each combination, from a file and with another seed:

        memspan study run gates.toml --cell lstm,gru --hidden 16,32,64 --seed 1

    **Another task** (`memspan tasks` lists them):

        memspan study run --task adding/any --cell gru --lengths 10,20,40,80

    Parameters
    ----------
    specification
        TOML file of a study: any of the options below as keys, with a list where several values are meant.
    dry_run
        Only print how many trials are missing, how long they take at most, and how much memory they need.
    """
    study = specified(specification, flags)
    if not dry_run:
        return run_and_print(study, options)
    make_team = team_of(options.processes, options.scheduler)
    with StudyRun(study, options.store, make_team, retry_failed=options.retry_failed) as running:
        print(running.plan().sentence)
    return 0
