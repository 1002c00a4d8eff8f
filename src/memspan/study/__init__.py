"""Studies: lengths x repetitions, each trial a pure function of its key."""

from memspan.study.pictures import save_figures
from memspan.study.result import LengthSummary, StudyResult, run_study
from memspan.study.specification import Study
from memspan.study.trial import Trial

__all__ = ["LengthSummary", "Study", "StudyResult", "Trial", "run_study", "save_figures"]
