"""The data of a search for the span: the trainings of a round, their results, and the reasons to end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from memspan.errors import InvalidArgument, shown, truth, whole_number
from memspan.span.estimate import SpanEstimate

MOST_STEPS = 2**63 - 1


class Group(NamedTuple):
    """Trainings to run: the repetitions `first`, ..., `first + count - 1` of a length."""

    length: int
    first: int
    count: int  # type: ignore[assignment]  # tuple has a method of that name


class Answer(NamedTuple):
    """A training that has ended.

    `solved` is None if the machine failed: then it says nothing about the length. `steps` are the time steps
    trained: updates times the steps of a sequence.
    """

    length: int
    repetition: int
    solved: bool | None
    steps: int


class Summary(NamedTuple):
    """The answers of a round about one length; `steps` are also those of trainings in which the machine failed."""

    solved: int
    trials: int
    steps: int


class Ended(StrEnum):
    """Why a search has ended."""

    WIDTH = "the interval is no wider than the width that was set"
    NEIGHBOURS = "the interval lies between two neighbouring whole lengths"
    LONGEST = "the interval lies beyond the longest length allowed"
    SHORTEST = "the interval lies below the shortest length allowed"
    BUDGET = "the next round could exceed the budget"
    FAILED = "the machine failed in every training of the last round"


@dataclass(frozen=True)
class Round:
    """A round of a search.

    Attributes
    ----------
    groups : tuple of Group
        The trainings of the round.
    answers : dict of int to Summary
        Their results, for each length.
    estimate : SpanEstimate or None
        The span, given this round and those before it; None as long as no training has counted.
    """

    groups: tuple[Group, ...]
    answers: dict[int, Summary]
    estimate: SpanEstimate | None

    @property
    def counts(self) -> dict[int, tuple[int, int]]:
        """For each length: how many trainings of this round solved it, of how many that count."""
        return {length: (told.solved, told.trials) for length, told in self.answers.items() if told.trials}


def checked(answer: object) -> Answer:
    """Return an answer; raise `InvalidArgument` unless it is one."""
    if not isinstance(answer, Answer):
        raise InvalidArgument("answers", "an Answer for each training", shown(answer))
    return Answer(
        whole_number("length", answer.length),
        whole_number("repetition", answer.repetition, least=0),
        None if answer.solved is None else truth("solved", answer.solved),
        whole_number("steps", answer.steps, least=0, most=MOST_STEPS),
    )


def summary_of(answers: list[Answer], length: int) -> Summary:
    """Return the summary of the answers about one length."""
    mine = [answer for answer in answers if answer.length == length]
    counted = [answer.solved for answer in mine if answer.solved is not None]
    return Summary(sum(counted), len(counted), sum(answer.steps for answer in mine))
