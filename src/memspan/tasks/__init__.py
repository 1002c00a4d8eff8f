"""The tasks, one file each; `TASKS` is the one list of them."""

from memspan.tasks.base import Batch, Batches, Counted, Task
from memspan.tasks.recall import Recall, generate_samples

TASKS: dict[str, type[Recall]] = {Recall.name: Recall}
"""Every task by name."""

__all__ = ["TASKS", "Batch", "Batches", "Counted", "Recall", "Task", "generate_samples"]
