"""`memspan study resume`."""

from memspan.cli.study.choose import the_one
from memspan.cli.study.options import OPTIONS, RunOptions
from memspan.cli.study.runner import run_and_print
from memspan.store import Store
from memspan.store.store import Overview
from memspan.study import Study


def resume(
    name: str | None = None,
    /,
    *,
    options: RunOptions = OPTIONS,
) -> int:
    """Go on with a study that was not finished.

    **The only one** in the store that is not finished:

        memspan study resume

    **One by its name:**

        memspan study resume gates --workers 4

    Parameters
    ----------
    name
        Name of the study [default: the only one that is not finished].
    """
    with Store(options.store) as opened:
        found = opened.find(name).study if name is not None else _unfinished(opened.overviews())
    return run_and_print(found, options)


def _unfinished(overviews: list[Overview]) -> Study:
    return the_one(
        [found for found in overviews if found.done < found.trials], "of a study that is not finished"
    ).study
