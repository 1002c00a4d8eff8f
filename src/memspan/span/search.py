"""An adaptive search for the span: which lengths to train next, from nothing but the answers so far.

    search = SpanSearch()
    while groups := search.ask():
        search.tell(train(groups))
    print(search.estimate)

The search trains nothing, and knows no clock and no random numbers: a round is a function of the answers before
it. So a search that was interrupted, and is told the same answers again, asks for the same rounds again.

A training ends when it has solved its length, so an unsolved one takes many times as many updates, and lengths
beyond the span cost most of a search. Therefore a *ladder* climbs from a short length by small factors, few rungs
a round, until a length is not solved. After it, the lengths of a round are quantiles of

    sqrt(posterior of the span / time steps that a training at this length is expected to take).

To allocate samples to strata by one over the root of their cost is best (Cochran, Sampling Techniques, 1977,
section 5.5). The root of the posterior spreads the lengths a little beyond it, where they show the shape of the
curve. The benchmark `span_search.py` compares other rules.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from math import ceil, floor

import numpy as np

from memspan.errors import InvalidArgument, real_number, shown, whole_number
from memspan.span.estimate import SpanEstimate, read_span
from memspan.span.likelihood import Likelihood, quantiles
from memspan.span.rounds import MOST_STEPS, Answer, Ended, Group, Round, Summary, checked, summary_of

FACTOR = 1.5  # from one length of the ladder to the next
FOOT, RUNGS = 4, 2  # groups in the first round of the ladder, and in each of its other rounds


class SpanSearch:
    """Rounds of trainings until the interval of the span is narrow enough.

    `width`, `level`, `budget` and `most_steps` decide where the rounds end, and nothing else. So a search with a
    smaller width begins with the rounds of one with a larger width, and stored trainings are used again.

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
        A budget in time steps trained; None for no limit. It is never exceeded: no round begins that could exceed
        it if each of its trainings went on to the last update.
    most_updates : int or None
        The last update of a training. A budget in time steps needs it, and nothing else does.
    steps_of : callable
        Takes a length, and returns the time steps of a sequence; by default the length itself. Only allowed
        lengths are passed.
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
        If an argument is of another kind, `shortest` is above `longest`, or a budget is too small for the first
        round.

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
        most_updates: int | None = None,
        steps_of: Callable[[int], int] = int,
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
        self.most_steps = None if most_steps is None else whole_number("most_steps", most_steps, most=MOST_STEPS)
        self.most_updates = None if most_updates is None else whole_number("most_updates", most_updates)
        if self.most_steps is not None and self.most_updates is None:
            raise InvalidArgument("most_updates", "given with most_steps", None)
        if not callable(steps_of):
            raise InvalidArgument("steps_of", "a callable that takes a length", shown(steps_of))
        self._steps_of = steps_of
        self.groups, self.repetitions = whole_number("groups", groups), whole_number("repetitions", repetitions)
        self.shortest, self.longest = whole_number("shortest", shortest), whole_number("longest", longest)
        if self.shortest > self.longest:
            raise InvalidArgument("shortest", f"at most the longest length, {self.longest}", self.shortest)
        self.start = self._allowed(whole_number("start", start))
        self._rounds: list[Round] = []
        # Sums over solved and unsolved trainings: the time steps of one sequence, and those trained.
        self._one_each, self._steps = Counter[bool](), Counter[bool]()
        self._demand_budget(self._groups(None))
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
        told = [checked(answer) for answer in answers]
        self._match(told)
        summaries = {group.length: summary_of(told, group.length) for group in self._next}
        counts = self._counts(summaries)
        for answer in told:
            if answer.solved is not None:
                self._one_each[answer.solved] += self._steps_of(answer.length)
                self._steps[answer.solved] += answer.steps
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
        groups = self._groups(likelihood)
        self._ended = self._reason(groups)
        self._next = () if self._ended else groups

    def _groups(self, likelihood: Likelihood | None) -> tuple[Group, ...]:
        """Return the groups of the next round, by length. Equal lengths are one group."""
        trained = Counter[int]()
        for each in self._rounds:
            for group in each.groups:
                trained[group.length] += group.count
        wanted = Counter(map(self._allowed, self._wanted(likelihood)))
        groups = (Group(length, trained[length], self.repetitions * times) for length, times in wanted.items())
        return tuple(sorted(groups))

    def _wanted(self, likelihood: Likelihood | None) -> np.ndarray:
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
        """Return lengths around the span. For 4 groups: the 1/8, 3/8, 5/8 and 7/8 quantiles of the weights."""
        levels = (np.arange(self.groups) + 0.5) / self.groups
        return np.exp(quantiles(likelihood.tau, self._weights(likelihood), levels))

    def _weights(self, likelihood: Likelihood) -> np.ndarray:
        """Return how densely the lengths exp(tau) are to be trained."""
        steps = self._sequence_steps(np.exp(likelihood.tau)) * self._updates(likelihood)
        return np.sqrt(likelihood.posterior / steps)

    def _sequence_steps(self, lengths: np.ndarray) -> np.ndarray:
        """Return the time steps of sequences of any lengths: linear between whole lengths.

        Beyond the lengths allowed, they are proportional to the length.
        """
        allowed = np.clip(lengths, self.shortest, self.longest)
        whole = np.unique([np.floor(allowed), np.ceil(allowed)]).astype(int).tolist()
        return np.interp(allowed, whole, [self._steps_of(length) for length in whole]) * (lengths / allowed)

    def _updates(self, likelihood: Likelihood) -> np.ndarray:
        """Return the updates that a training at exp(tau) is expected to take, from those so far.

        As if every length below the span were solved, and none beyond it.
        """
        if not (self._steps[True] and self._steps[False]):
            return np.ones_like(likelihood.tau)
        solved, unsolved = (self._steps[outcome] / self._one_each[outcome] for outcome in (True, False))
        beyond = np.cumsum(likelihood.posterior)
        return solved * (1 - beyond) + unsolved * beyond

    def _allowed(self, length: float) -> int:
        """Return the nearest whole length that is allowed."""
        return min(max(round(length), self.shortest), self.longest)

    def _reason(self, groups: tuple[Group, ...]) -> str:
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
        if self._rounds and not self._rounds[-1].counts:
            return Ended.FAILED  # the next round would be the same
        return Ended.BUDGET if self._exceeds_budget(groups) else ""

    def _exceeds_budget(self, groups: tuple[Group, ...]) -> bool:
        """Whether these groups could cost more than is left."""
        trainings, steps = self._most_cost(groups)
        too_many = self.budget is not None and self.trainings + trainings > self.budget
        return too_many or (self.most_steps is not None and self.steps + steps > self.most_steps)

    def _most_cost(self, groups: tuple[Group, ...]) -> tuple[int, int]:
        """Return the trainings of these groups, and the most time steps that they can take, if that is known."""
        trainings = sum(group.count for group in groups)
        sequences = sum(group.count * self._steps_of(group.length) for group in groups)
        return trainings, sequences * (self.most_updates or 0)

    def _demand_budget(self, first: tuple[Group, ...]) -> None:
        """Refuse a budget that is too small for the first round."""
        trainings, steps = self._most_cost(first)
        if self.budget is not None and self.budget < trainings:
            rule = f"at least {trainings:,}, the trainings of the first round"
            raise InvalidArgument("budget", rule, self.budget)
        if self.most_steps is not None and self.most_steps < steps:
            rule = f"at least {steps:,} time steps, the most that the first round can take"
            raise InvalidArgument("budget", rule, f"{self.most_steps:,}")
