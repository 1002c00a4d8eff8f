"""The report as a file: where it is written, and what it never replaces."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memspan.errors import Conflict, InvalidArgument
from memspan.runtime.files import special
from memspan.store import Store
from memspan.study.comparison_result import Compared
from memspan.study.results import StudySummary

if TYPE_CHECKING:
    from memspan.why import Explanation

NAME = "report.html"
"""The name of the page that other commands write into their folder."""
GENERATOR = b'<meta name="generator" content="memspan'
"""What every report has, and a page of another program has not."""
HEAD = 2000  # bytes in which it stands


def demand_no_other(path: Path) -> None:
    """Raise if a report must not be written there: only an older report is replaced.

    Called before hours are spent on what the report says.
    """
    if kind := special(path):
        raise InvalidArgument("output", "a regular file or a new one", f"{path}, which is {kind}")
    if path.exists() and path.stat().st_size and GENERATOR not in path.read_bytes()[:HEAD]:
        raise Conflict(f"{path} exists and is no report of memspan. Choose another --output.")


def save_report(
    result: StudySummary | Compared,
    name: str,
    folder: Path,
    store: str,
    stored: str = "",
    explanations: "Sequence[Explanation]" = (),
) -> Path:
    """Write the report of a result into a folder, and return its path.

    Parameters
    ----------
    result : StudySummary or Compared
    name : str
        The title.
    folder : path
    store, stored : str
        Where the result is stored, and under which name; of a comparison, that of its first search. By default it
        is `name`.
    explanations : sequence of Explanation
    """
    from memspan.report import Report  # now, because a run begins sooner without it

    with Store(store) as opened:
        overview = opened.overview(stored or name)
    page = Report(name).add(result, name, explanations=explanations, overview=overview)
    return page.save(folder / NAME)
