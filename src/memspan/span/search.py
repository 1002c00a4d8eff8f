"""An adaptive search for the span: which lengths to train next, from nothing but the answers so far.

    search = SpanSearch()
    while groups := search.ask():
        search.tell(train(groups))
    print(search.estimate)

The search trains nothing, and knows no clock and no random numbers: a round is a function of the answers before
it. So a search that was interrupted, and is told the same answers again, asks for the same rounds again.

A training ends when its length is solved, so an unsolved one takes many times as many updates, and lengths beyond
the span cost most of a search. Therefore a *ladder* climbs from a short length by small factors, few lengths at a
time, until a length is not solved. After it a round asks for quantiles of the posterior of the span: for lengths
where the span may be, more of them where it is more likely. The benchmark `span_search.py` compares other rules.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from typing import NamedTuple

import numpy as np

from memspan.errors import InvalidArgument, real_number, shown, truth, whole_number
from memspan.span.estimate import SpanEstimate, read_span
from memspan.span.likelihood import Likelihood, quantiles

FACTOR = 1.5  # from one length of the ladder to the next
FOOT, RUNGS = 4, 2  # groups in the first round of the ladder, and in each of its other rounds
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

    WIDTH = "the interval is as narrow as asked for"
    NEIGHBOURS = "the interval lies between two neighbouring whole lengths"
    LONGEST = "the interval lies beyond the longest length allowed"
    SHORTEST = "the interval lies below the shortest length allowed"
    BUDGET = "the next round could exceed the budget"


@dataclass(frozen=True)
class Round:
    """A round of a search.

    Attributes
    ----------
    groups : tuple of Group
        What was asked for.
    answers : dict of int to Summary
        What was told, for each length.
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


class SpanSearch:
    """Rounds of trainings until the interval of the span is narrow enough.

    `width`, `budget` and `most_steps` decide where the rounds end, and nothing else. So a search with a smaller
    width begins with the rounds of one with a larger width, and stored trainings are used again.

    Parameters
    ----------
    share : float
        The span is the length that is solved with this probability. Above 0 and below 1.
    level : float
        Of the interval. Above 0 and below 1.
    width : float
        Above 0. The search ends when (high - low) / (2 span) is at most this: 0.1 for the span +- 10 %.
    budget : int or None
        The most trainings, including those in which the machine fails; None for no limit. It is never exceeded.
    most_steps : int or None
        The most time steps trained; None for no limit. No round begins that could exceed them if each of its
        trainings took as many updates as the longest one so far. So they are not exceeded once any training has
        gone on to its last update.
    groups : int
        A round has at most this many groups, which can be trained at the same time.
    repetitions : int
        Trainings in a group.
    start : int
        Where the ladder begins; the nearest length allowed if it is not allowed.
    shortest, longest : int
        The lengths allowed, in time steps.

    Raises
    ------
    InvalidArgument
        If an argument is of another kind, or `shortest` is above `longest`.

    Examples
    --------
    >>> search = SpanSearch(width=0.2)
    >>> while groups := search.ask():
    ...     keys = [(length, first + i) for length, first, count in groups for i in range(count)]
    ...     search.tell(Answer(length, repetition, length < 25, 1000 * length) for length, repetition in keys)
    >>> print(search.estimate)
    T50 = 25.9 steps [21.4, 31.5] (95 %), from 24 trainings at 6 lengths
    """

    def __init__(
        self,
        *,
        share: float = 0.5,
        level: float = 0.95,
        width: float = 0.1,
        budget: int | None = 160,
        most_steps: int | None = None,
        groups: int = 4,
        repetitions: int = 4,
        start: int = 4,
        shortest: int = 1,
        longest: int = 100_000,
    ) -> None:
        self.share = real_number("share", share, above=0, below=1)
        self.level = real_number("level", level, above=0, below=1)
        self.width = real_number("width", width, above=0)
        self.budget = None if budget is None else whole_number("budget", budget)
        self.most_steps = None if most_steps is None else _steps("most_steps", most_steps, least=1)
        self.groups, self.repetitions = whole_number("groups", groups), whole_number("repetitions", repetitions)
        self.shortest, self.longest = whole_number("shortest", shortest), whole_number("longest", longest)
        if self.shortest > self.longest:
            raise InvalidArgument("shortest", f"at most the longest length, {self.longest}", self.shortest)
        self.start = self._allowed(whole_number("start", start))
        self._rounds: list[Round] = []
        self._updates = 0  # of the longest training so far: time steps over its length
        self._prepare(None)

    def ask(self) -> list[Group]:
        """Return the next round, by length; the same until `tell` was called. Empty when the search has ended."""
        return list(self._next)

    def tell(self, answers: Iterable[Answer]) -> None:
        """Take the answers to the round that `ask` returns: all at once, in any order.

        Parameters
        ----------
        answers : iterable of Answer
            One for each training.

        Raises
        ------
        InvalidArgument
            If a training is missing, occurs twice or was not asked for, or if an answer is of another kind. Then
            nothing was told.
        """
        told = [_checked(answer) for answer in answers]
        self._match(told)
        summaries = {group.length: _summary(told, group.length) for group in self._next}
        counts = self._counts(summaries)
        self._updates = max([self._updates, *(-(-answer.steps // answer.length) for answer in told)])
        likelihood = self._likelihood(counts) if counts else None
        estimate = None if likelihood is None else read_span(likelihood, self.level)
        self._rounds.append(Round(self._next, summaries, estimate))
        self._prepare(likelihood)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds told so far."""
        return tuple(self._rounds)

    @property
    def estimate(self) -> SpanEstimate | None:
        """The span, given all answers; None before the first one that counts."""
        return self._rounds[-1].estimate if self._rounds else None

    @property
    def ended(self) -> str:
        """Why the search has ended, an `Ended`; empty while it goes on."""
        return self._ended

    @property
    def counts(self) -> dict[int, tuple[int, int]]:
        """For each length, rising: how many trainings solved it, of how many that count."""
        return self._counts({})

    @property
    def trainings(self) -> int:
        """The trainings told so far, including those in which the machine failed."""
        return sum(group.count for each in self._rounds for group in each.groups)

    @property
    def steps(self) -> int:
        """The time steps trained so far."""
        return sum(told.steps for each in self._rounds for told in each.answers.values())

    def _counts(self, more: dict[int, Summary]) -> dict[int, tuple[int, int]]:
        """Return the counts, with those of a round that is not yet among the others."""
        solved, trials = Counter[int](), Counter[int]()
        for answers in (*(each.answers for each in self._rounds), more):
            for length, told in answers.items():
                solved[length] += told.solved
                trials[length] += told.trials
        return {length: (solved[length], trials[length]) for length in sorted(trials) if trials[length]}

    def _likelihood(self, counts: dict[int, tuple[int, int]]) -> Likelihood:
        solved, trials = np.array(list(counts.values())).T
        return Likelihood.of(list(counts), solved, trials, self.share)

    def _match(self, told: list[Answer]) -> None:
        """Refuse answers that are not those to the round asked for."""
        rule = "one answer to each training of the round"
        asked = {(length, first + i) for length, first, count in self._next for i in range(count)}
        if not asked:
            raise InvalidArgument("answers", "told while the search goes on", f"them after its end: {self._ended}")
        times = Counter((answer.length, answer.repetition) for answer in told)
        wrong = [(key, "which was not asked for") for key in times if key not in asked]
        wrong += [(key, f"{number} times") for key, number in times.items() if number > 1]
        wrong += [(key, "not at all") for key in sorted(asked) if key not in times]
        for (length, repetition), fault in wrong:
            raise InvalidArgument("answers", rule, f"repetition {repetition} of length {length} {fault}")

    def _prepare(self, likelihood: Likelihood | None) -> None:
        """Decide on the next round, and whether the search ends before it."""
        trained = Counter[int]()
        for each in self._rounds:
            for group in each.groups:
                trained[group.length] += group.count
        wanted = Counter(map(self._allowed, self._lengths(likelihood)))
        groups = [Group(length, trained[length], self.repetitions * times) for length, times in wanted.items()]
        self._ended = self._reason(groups)
        self._next = () if self._ended else tuple(sorted(groups))

    def _lengths(self, likelihood: Likelihood | None) -> np.ndarray:
        """Return a length for each group of the next round."""
        if likelihood is None:
            return self.start * FACTOR ** np.arange(min(FOOT, self.groups))
        shares = {length: solved / trials for length, (solved, trials) in self.counts.items()}
        first, last = min(shares), max(shares)
        rungs = FACTOR ** np.arange(1, min(RUNGS, self.groups) + 1)
        if shares[last] > self.share:
            return last * rungs
        if shares[first] < self.share:
            return first / rungs
        return self._spread(likelihood)

    def _spread(self, likelihood: Likelihood) -> np.ndarray:
        """Return lengths where the span may be: for 4 groups the 1/8, 3/8, 5/8 and 7/8 quantiles."""
        levels = (np.arange(self.groups) + 0.5) / self.groups
        return np.exp(quantiles(likelihood.tau, likelihood.posterior, levels))

    def _allowed(self, length: float) -> int:
        """Return the nearest whole length that is allowed."""
        return min(max(round(length), self.shortest), self.longest)

    def _reason(self, groups: list[Group]) -> str:
        """Return why the search ends before these groups; empty if it goes on."""
        found = self.estimate
        if found is not None:
            if found.low is not None and found.low >= self.longest:
                return Ended.LONGEST
            if found.high is not None and found.high <= self.shortest:
                return Ended.SHORTEST
            if found.relative_width <= self.width:
                return Ended.WIDTH
            if found.low is not None and found.high is not None and ceil(found.high) - floor(found.low) <= 1:
                return Ended.NEIGHBOURS
        return Ended.BUDGET if self._exceeds_budget(groups) else ""

    def _exceeds_budget(self, groups: list[Group]) -> bool:
        """Whether these groups could cost more than is left."""
        trainings = self.trainings + sum(group.count for group in groups)
        steps = self.steps + sum(group.count * group.length for group in groups) * self._updates
        too_many = self.budget is not None and trainings > self.budget
        return too_many or (self.most_steps is not None and steps > self.most_steps)


def _steps(name: str, value: object, least: int) -> int:
    return whole_number(name, value, least=least, most=MOST_STEPS)


def _checked(answer: object) -> Answer:
    """Return an answer; raise unless it is one."""
    if not isinstance(answer, Answer):
        raise InvalidArgument("answers", "an Answer for each training", shown(answer))
    return Answer(
        whole_number("length", answer.length),
        whole_number("repetition", answer.repetition, least=0),
        None if answer.solved is None else truth("solved", answer.solved),
        _steps("steps", answer.steps, least=0),
    )


def _summary(told: list[Answer], length: int) -> Summary:
    of_length = [answer for answer in told if answer.length == length]
    counted = [answer.solved for answer in of_length if answer.solved is not None]
    return Summary(sum(counted), len(counted), sum(answer.steps for answer in of_length))
