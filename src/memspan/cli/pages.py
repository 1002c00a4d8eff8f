"""The report as a file: where it is written, and what it never replaces."""

from pathlib import Path

from memspan.errors import Conflict, InvalidArgument
from memspan.runtime.files import special
from memspan.store import Store
from memspan.study.comparison_result import Compared
from memspan.study.results import StudySummary

NAME = "report.html"
"""The name of the page that other commands write into their folder."""
GENERATOR = b'<meta name="generator" content="memspan'
"""What every report has, and a page of another program has not."""
HEAD = 2000  # bytes in which it stands


def demand_new(path: Path) -> None:
    """Raise if a report must not be written there: a file that is no report is not replaced."""
    if kind := special(path):
        raise InvalidArgument("output", "a regular file or a new one", f"{path}, which is {kind}")
    if not path.absolute().parent.is_dir():
        raise InvalidArgument("output", "in an existing folder", str(path))
    if path.exists() and path.stat().st_size and GENERATOR not in path.read_bytes()[:HEAD]:
        raise Conflict(f"{path} exists and is no report of memspan. Choose another --output.")


def save_report(result: StudySummary | Compared, name: str, folder: Path, store: str, stored: str = "") -> Path:
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
    """
    from memspan.report import Report  # now, because a run begins sooner without it

    with Store(store) as opened:
        overview = next((one for one in opened.overviews() if one.name == (stored or name)), None)
    return Report(name).add(result, name, overview=overview).save(folder / NAME)
