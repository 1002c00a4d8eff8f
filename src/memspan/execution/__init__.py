"""Running a study: what is missing is planned, handed out to workers, and kept."""

from memspan.execution.run import run_study

__all__ = ["run_study"]
