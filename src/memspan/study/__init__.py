"""Studies: configurations x lengths x repetitions, each trial a pure function of its key, kept in a store."""

from memspan.study.pictures import save_figures
from memspan.study.result import StudyResult
from memspan.study.running import run_study
from memspan.study.specification import Key, Study
from memspan.study.store import Store
from memspan.study.summary import LengthSummary, StudySummary
from memspan.study.trial import Trial

__all__ = [
    "Key",
    "LengthSummary",
    "Store",
    "Study",
    "StudyResult",
    "StudySummary",
    "Trial",
    "run_study",
    "save_figures",
]
