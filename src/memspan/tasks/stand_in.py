"""The stand-in for a task of the user's own, with which results are shown without importing the task."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from memspan.errors import NotReady
from memspan.losses import MeanLoss
from memspan.tasks.base import NO_PARAMETER, Shape, Task


class UnknownLoss(MeanLoss):
    """The loss of a task that has not been imported. It has a label and computes nothing."""

    label = "loss"


@dataclass(frozen=True)
class StandIn(Task):
    """A task that results are shown for, but that this process has not imported.

    A store may come from somebody else, and an import runs code. So reading results imports nothing. What only the
    task itself can tell, such as its trivial risk, is then NaN.

    Attributes
    ----------
    path : str
        The import path of the task.
    """

    path: str = field(default="", kw_only=True, metadata=NO_PARAMETER)
    family = ""
    sentence = "a task of your own, which memspan does not import to show results"
    source = "unknown"
    rule = "by the task's own rule"
    least_length = 1

    @property
    def name(self) -> str:
        """The import path."""
        return self.path

    def shape(self, length: int) -> Shape:
        """Return `length` steps; the numbers of features and outputs are unknown and count as 1."""
        return Shape(steps=length, features=1, outputs=1)

    def make_loss(self) -> MeanLoss:
        """Return a loss that has only a label."""
        return UnknownLoss()

    def trivial_risk(self, length: int) -> float:
        """Return NaN."""
        return math.nan

    def chance_accuracy(self, length: int) -> float:
        """Return NaN."""
        return math.nan

    def _not_imported(self, *arguments: Any) -> NoReturn:
        raise NotReady(f"The task {self.path} has not been imported. Use get_task({self.path!r}).")

    draws: ClassVar[Any] = _not_imported
    make: ClassVar[Any] = _not_imported
    correct: ClassVar[Any] = _not_imported
    relevant: ClassVar[Any] = _not_imported
    trivial_answer: ClassVar[Any] = _not_imported
