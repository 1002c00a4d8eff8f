"""`memspan study extend`."""

from typing import Annotated

from cyclopts import Parameter

from memspan.cli.completers import STUDY
from memspan.cli.console import JSON, WHOLE
from memspan.cli.study.choose import a_study, the_one
from memspan.cli.study.options import OPTIONS, RunOptions
from memspan.cli.study.runner import run_and_print
from memspan.errors import InvalidArgument, NotFound
from memspan.store import Store
from memspan.study import Study


def extend(
    name: Annotated[str | None, STUDY] = None,
    /,
    *,
    lengths: Annotated[
        tuple[str, ...] | None, Parameter(consume_multiple=True, negative="", metavar="INT,...")
    ] = None,
    repetitions: Annotated[int | None, WHOLE] = None,
    options: RunOptions = OPTIONS,
    reuse: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Add lengths or repetitions to a stored study, and run the missing trials.

    All other settings are those of the stored study.

    **Up to 20 repetitions of the only study** in the store:

        memspan study extend --repetitions 20

    **Up to 40 repetitions, and two more lengths, of a study chosen by its name:**

        memspan study extend gates --repetitions 40 --lengths 120,160

    Parameters
    ----------
    name
        Name of the study [default: the only one in the store].
    lengths
        Sequence lengths T to add to those of the study, such as 120,160.
    repetitions
        Number of networks trained at each length, including those already trained.
    reuse
        Copy the missing trials that another study or search of the store has, instead of training them again.
    json
        Print the results as JSON on standard output, as `memspan study show --json` does, and draw no figures.
    """
    with Store(options.store) as opened:
        if name is None:
            studies = [found for found in opened.overviews() if found.trials is not None]
            name = the_one(studies, f"No study in {opened.place} yet. Run `memspan study run` first.").name
        study = a_study(opened.find(name))
    return run_and_print(extended(study, lengths, repetitions), options, reuse=reuse, json=json)


def extended(study: Study, lengths: tuple[str, ...] | None, repetitions: int | None) -> Study:
    """The study with more lengths, more repetitions, or both."""
    if lengths is None and repetitions is None:
        raise NotFound("Nothing to add: pass --lengths, --repetitions or both.")
    if repetitions is not None:
        if repetitions < study.repetitions:
            raise InvalidArgument("repetitions", f"at least {study.repetitions}, as in the store", repetitions)
        study = study.with_(repetitions=repetitions)
    if lengths is not None:
        study = study.with_(lengths={*study.lengths, *study.with_(lengths=lengths).lengths})
    return study
