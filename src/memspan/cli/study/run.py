"""`memspan study run`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.console import JSON, print_json
from memspan.cli.study.options import OPTIONS, Flags, RunOptions, specified
from memspan.cli.study.runner import run_and_print
from memspan.execution.run import StudyRun
from memspan.execution.running import team_of
from memspan.study import Study


def run(
    specification: Path | None = None,
    /,
    *,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # noqa: B008
    options: RunOptions = OPTIONS,
    reuse: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, JSON] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a study: train every configuration at every length, several times.

    The result of a trial depends only on its configuration, length and repetition, to the last bit. So trials that
    are in the store are not run again: the same command continues after an interruption, and with more lengths,
    repetitions or values it runs only the new trials.

    **The first study**: a tanh network, from lengths that it solves to lengths that it does not:

        memspan study run

    **Does a network with an orthogonal initial R solve longer lengths?**

        memspan study run --init orthogonal --learning-rate 0.001 --lengths 10,20,30,50

    **All combinations of two cells and three sizes**, other settings from a file, with another seed:

        memspan study run gates.toml --cell lstm,gru --hidden 16,32,64 --seed 1

    **A grid around a search**, whose trainings are used again:

        memspan span --budget 64
        memspan study run --lengths 20,22,24,26 --reuse

    **Another task** (`memspan tasks` lists them):

        memspan study run --task adding/any --cell gru --lengths 10,20,40,80

    Parameters
    ----------
    specification
        TOML file of a study. Its keys are the options that describe the study, with `_` for `-`; several values
        are a list. Options of the run, such as --workers, are no keys.
    reuse
        Copy the missing trials that another study or search of the store has, instead of training them again.
    json
        Print the results as JSON on standard output, as `memspan study show --json` does, and draw no figures.
    dry_run
        Only print how many trials are missing, the longest time that they can take, and the memory that they need
        (with --json: `trials`, `processes`, `at_most_seconds` and the `bytes` of each process).
    """
    study = specified(Study, specification, flags)
    if not dry_run:
        return run_and_print(study, options, reuse=reuse, json=json)
    make_team = team_of(options.processes, options.scheduler)
    with StudyRun(study, options.store, make_team, retry_failed=options.retry_failed, reuse=reuse) as running:
        plan = running.plan()
    if json:
        numbers = {"trials": plan.trials, "processes": plan.slots, "at_most_seconds": plan.seconds}
        print_json(numbers | {"bytes": plan.bytes})
    else:
        print(plan.sentence)
    return 0
