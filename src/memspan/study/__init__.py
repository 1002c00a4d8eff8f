"""Studies: configurations x lengths x repetitions. Each trial is a pure function of its key."""

from memspan.study.figures import save_figures
from memspan.study.results import LengthSummary, StudyResult, StudySummary
from memspan.study.study import Key, Study
from memspan.study.trial import Trial

__all__ = [
    "Key",
    "LengthSummary",
    "Study",
    "StudyResult",
    "StudySummary",
    "Trial",
    "save_figures",
]
