"""`memspan report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.completers import STUDY
from memspan.cli.console import STORE, WHOLE, print_paths
from memspan.cli.pages import NAME, demand_no_other
from memspan.cli.study.choose import the_entry
from memspan.errors import InvalidArgument, whole_number
from memspan.report import Report
from memspan.store import Store
from memspan.store.entry import Entry
from memspan.study.figures import draws_trials
from memspan.study.results import StudyResult, StudySummary
from memspan.why.explain import NETWORKS
from memspan.why.explain import explain as explain_result
from memspan.why.explanation import Explanation


def report(
    *names: Annotated[str, STUDY],
    configuration: Annotated[int | None, WHOLE] = None,
    output: Annotated[Path, Parameter(alias="-o", metavar="FILE")] = Path(NAME),
    title: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    why: bool = True,
    networks: Annotated[int, WHOLE] = NETWORKS,
    store: Annotated[str, STORE] = "memspan.sqlite",
) -> int:
    """Write a page with the answer of stored studies and searches, and its reasons, down to every trial.

    The page is one file that needs no network. Tables too large for it are CSV files beside it. For the verdicts
    some networks are trained again, as by `memspan explain`; --no-why leaves them out.

    **The only study in the store:**

        memspan report

    **Two studies side by side:**

        memspan report first second --output both.html

    Parameters
    ----------
    names
        Names of studies or searches [default: the only one in the store].
    configuration
        Number of a single configuration to show, counted from 1 [default: all].
    output
        File of the page. An older report of this name is replaced.
    title
        Title of the page [default: the names].
    why
        Say why each length is not solved.
    networks
        Most networks to train again at each length.
    """
    if not output.absolute().parent.is_dir():
        raise InvalidArgument("output", "in an existing folder", str(output))
    demand_no_other(output)
    networks = whole_number("networks", networks)
    with Store(store) as opened:
        entries = [the_entry(opened, name, configuration) for name in names or (None,)]
        page = Report(title if title is not None else ", ".join(entry.name for entry in entries))
        for entry in entries:
            result = result_of(entry)
            explanations = explained(result, networks) if why else ()
            page.add(result, entry.name, explanations=explanations, overview=opened.overview(entry.name))
    print_paths([page.save(output)])
    return 0


def result_of(entry: Entry) -> StudySummary:
    """Return the result of an entry with its trials, or its summary if it is large."""
    return entry.result() if draws_trials(entry.study) else entry.summary()


def explained(result: StudySummary, networks: int = NETWORKS) -> Sequence[Explanation]:
    """Return the explanations of a result; none of a summary, or if a gradient is truncated, as the page says."""
    truncated = any(one.truncate is not None for one in result.study.configurations)
    if truncated or not isinstance(result, StudyResult):
        return ()
    return explain_result(result, networks=networks)
