"""`memspan study resume`."""

from typing import Annotated

from cyclopts import Parameter

from memspan.cli.completers import STUDY
from memspan.cli.console import JSON, print_json
from memspan.cli.study.choose import a_study, the_one
from memspan.cli.study.options import OPTIONS, RunOptions
from memspan.cli.study.runner import run_and_print
from memspan.runtime.notices import say
from memspan.store import Store


def resume(
    name: Annotated[str | None, STUDY] = None,
    /,
    *,
    options: RunOptions = OPTIONS,
    reuse: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Continue an unfinished study: run its missing trials.

    **The only unfinished study** in the store:

        memspan study resume

    **A study chosen by its name:**

        memspan study resume gates --workers 4

    Parameters
    ----------
    name
        Name of the study [default: the only unfinished study].
    reuse
        Copy the missing trials that another study or search of the store has, instead of training them again.
    json
        Print the results as JSON on standard output, as `memspan study show --json` does, and draw no figures.
        If there is nothing to resume, the document is null.
    """
    with Store(options.store) as opened:
        if name is None:
            unfinished = [
                found for found in opened.overviews() if found.trials is not None and found.done < found.trials
            ]
            if not unfinished:
                say(f"memspan: nothing to resume: every study in {opened.place} is finished")
                if json:
                    print_json(None)
                return 0
            name = the_one(unfinished).name
        study = a_study(opened.find(name))
    return run_and_print(study, options, reuse=reuse, json=json)
