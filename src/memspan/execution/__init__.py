"""Running a study: plan the missing trials, assign them to workers, and store the results."""

from memspan.execution.run import run_study

__all__ = ["run_study"]
