"""Running a study or a search: plan the missing trials, assign them to workers, and store the results."""

from memspan.execution.compare import compare
from memspan.execution.run import run_study
from memspan.execution.search import find_span, run_search

__all__ = ["compare", "find_span", "run_search", "run_study"]
