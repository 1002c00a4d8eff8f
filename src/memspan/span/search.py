"""Stand-in, replaced on merge."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from memspan.span.estimate import SpanEstimate, read_span
from memspan.span.likelihood import Likelihood, quantiles


class Group(NamedTuple):
    length: int
    first: int
    count: int


class Answer(NamedTuple):
    length: int
    repetition: int
    solved: bool | None
    steps: int


class End(StrEnum):
    GOING = ""
    WIDTH = "width"
    BUDGET = "budget"
    LONGEST = "longest"


@dataclass(frozen=True)
class Round:
    groups: tuple
    counts: dict
    estimate: SpanEstimate


class SpanSearch:
    def __init__(
        self,
        *,
        share=0.5,
        level=0.95,
        width=0.1,
        budget=160,
        most_steps=None,
        groups=4,
        repetitions=4,
        start=4,
        shortest=1,
        longest=100_000,
    ):
        self.__dict__.update(locals())
        self.budget = budget or 10**9
        self.start = max(start, shortest)
        self.asked = {}
        self.counts = {}
        self.rounds = ()
        self.trainings = 0
        self.steps = 0
        self.ended = End.GOING
        self._next = None

    @property
    def estimate(self):
        return self.rounds[-1].estimate if self.rounds else None

    def ask(self):
        if self.ended:
            return []
        if self._next is None:
            self._next = self._decide()
        return list(self._next)

    def _decide(self):
        want = self._wanted()
        out = []
        n = dict(self.asked)
        for L in want:
            out.append(Group(L, n.get(L, 0), self.repetitions))
            n[L] = n.get(L, 0) + self.repetitions
        if self.trainings + sum(g.count for g in out) > self.budget:
            self.ended = End.BUDGET
            return []
        return out

    def _wanted(self):
        if not self.counts:
            return self._clip([self.start * 2**i for i in range(self.groups)])
        tried = sorted(self.counts)
        share = {L: self.counts[L][0] / max(self.counts[L][1], 1) for L in tried}
        if share[tried[-1]] > self.share and tried[-1] < self.longest:
            return self._clip([tried[-1] * 2, tried[-1] * 4])
        if share[tried[0]] < self.share and tried[0] > self.shortest:
            return self._clip([tried[0] / 2, tried[0] / 4])
        lk = Likelihood.of(
            tried, [self.counts[t][0] for t in tried], [self.counts[t][1] for t in tried], self.share
        )
        e = read_span(lk, self.level)
        if e.relative_width <= self.width:
            self.ended = End.WIDTH
            return []
        if e.low is not None and e.low >= self.longest:
            self.ended = End.LONGEST
            return []
        return self._clip(np.exp(quantiles(lk.tau, lk.posterior, (np.arange(self.groups) + 0.5) / self.groups)))

    def _clip(self, Ls):
        Ls = [int(np.clip(round(L), self.shortest, self.longest)) for L in Ls]
        return sorted(Ls[i % len(Ls)] for i in range(self.groups))

    def tell(self, answers):
        r = {}
        groups = tuple(self._next)
        for a in answers:
            k, n = self.counts.get(a.length, (0, 0))
            kk, nn = r.get(a.length, (0, 0))
            if a.solved is not None:
                self.counts[a.length] = (k + a.solved, n + 1)
                r[a.length] = (kk + a.solved, nn + 1)
            self.trainings += 1
            self.steps += a.steps
        for g in groups:
            self.asked[g.length] = self.asked.get(g.length, 0) + g.count
        t = sorted(self.counts)
        e = read_span(
            Likelihood.of(t, [self.counts[x][0] for x in t], [self.counts[x][1] for x in t], self.share),
            self.level,
        )
        self.rounds += (Round(groups, r, e),)
        self._next = None
        self.ask()
