"""Curves p(T) and designs for the simulations of spans: what the method was made on, and more.

`KNOWN` are the curves on which the method was first made. `FURTHER` were written down before the
method was measured on any of them, and before any of its constants was changed. The method was then bettered with
an eye on them, and `RANDOM` were written down before that. A curve is a function of an array of lengths; `Cliff`
and `RandomFalls` draw another curve for each simulation. A design is lengths, and the trainings of each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

CurveOfLength = Callable[[np.ndarray], np.ndarray]


def logistic(z):
    return expit(-z)


def sudden(z):
    """Weibull in length: ends sooner than it begins."""
    return np.exp(-np.exp(np.minimum(z + log(log(2)), 700.0)))


def long_tail(z):
    """Frechet in length: ends later than it begins."""
    return -np.expm1(-np.exp(np.minimum(-z + log(log(2)), 700.0)))


def probit(z):
    return ndtr(-z)


def heavy_tails(z):
    """Cauchy: far from the span it still fails, or solves, now and then."""
    return 0.5 - np.arctan(z) / np.pi


def fall(shape=logistic, slope=4.5, middle=24.0, lapse=0.0, floor=0.0) -> CurveOfLength:
    """A fall from 1 - lapse to the floor, half-way at `middle`."""
    return lambda lengths: floor + (1 - lapse - floor) * shape(slope * np.log(lengths / middle))


def steps(lengths, heights, slope) -> CurveOfLength:
    """Falls from 1 to the first height at the first length, and so on; to 0 at the last."""
    drops = -np.diff([1.0, *heights, 0.0])
    falls = [fall(slope=slope, middle=middle) for middle in lengths]
    return lambda at: sum(drop * one(at) for drop, one in zip(drops, falls, strict=True))


def linear(longest) -> CurveOfLength:
    """Falls by the same amount with every step."""
    return lambda lengths: np.maximum(1 - lengths / longest, 0.0)


@dataclass(frozen=True)
class Cliff:
    """A cliff whose span is anywhere between two lengths, uniform in the logarithm."""

    first: float
    last: float
    slope: float = 60.0

    def draw(self, rng: np.random.Generator) -> CurveOfLength:
        """Return the curve of one simulation."""
        return fall(slope=self.slope, middle=np.exp(rng.uniform(log(self.first), log(self.last))))


@dataclass(frozen=True)
class RandomFalls:
    """Curves of several falls, whose lengths, heights and slopes are random; with lapses; T50 within 8-70."""

    falls: int

    def draw(self, rng: np.random.Generator) -> CurveOfLength:
        """Return the curve of one simulation."""
        while True:
            middles = np.exp(rng.uniform(log(6), log(90), self.falls))
            slopes = np.exp(rng.uniform(log(3), log(60), self.falls))
            weights = (1 - rng.uniform(0, 0.08)) * rng.dirichlet(np.ones(self.falls))

            def curve(lengths, middles=middles, slopes=slopes, weights=weights):
                return logistic(slopes * np.log(np.divide.outer(lengths, middles))) @ weights

            if 8 <= (span_of(curve) or 0) <= 70:
                return curve


KNOWN_FALLS = {
    "shallow": fall(slope=1.5),
    "medium": fall(slope=4.5),
    "steep": fall(slope=12.0),
    "cliff": fall(slope=60.0, middle=23.3),
    "medium, lapses 5 %": fall(lapse=0.05),
    "medium, lapses 10 %": fall(lapse=0.10),
    "steep, lapses 10 %": fall(slope=12.0, lapse=0.10),
    "flat start at 0.8": fall(lapse=0.2),
    "sudden end": fall(sudden, slope=3.0),
    "long tail": fall(long_tail, slope=3.0),
    "cliff, anywhere in 12-40": Cliff(12, 40),
}
KNOWN_STEPS = {
    "plateau at 0.15": fall(slope=8.0, floor=0.15),
    "two steps, 0.6 between": steps((10, 30), (0.6,), slope=12.0),
    "two steps, 0.4 between": steps((18, 48), (0.4,), slope=12.0),
    "two steps, 0.5 between": steps((12, 48), (0.5,), slope=12.0),
}
FURTHER_FALLS = {
    "slope 2.5, lapses 3 %": fall(slope=2.5, lapse=0.03, middle=21.0),
    "slope 7, lapses 15 %": fall(slope=7.0, lapse=0.15, middle=28.0),
    "slope 20": fall(slope=20.0, middle=17.3),
    "slope 30, lapses 5 %": fall(slope=30.0, lapse=0.05, middle=36.5),
    "flat start at 0.7": fall(slope=6.0, lapse=0.3, middle=27.0),
    "sudden end, slope 2": fall(sudden, slope=2.0, middle=28.0),
    "sudden end, slope 6, lapses 7 %": fall(sudden, slope=6.0, lapse=0.07, middle=17.0),
    "long tail, slope 2": fall(long_tail, slope=2.0, middle=18.0),
    "long tail, slope 5, lapses 3 %": fall(long_tail, slope=5.0, lapse=0.03, middle=31.0),
    "probit": fall(probit, slope=3.0, middle=22.0),
    "heavy tails": fall(heavy_tails, slope=6.0, middle=23.0),
    "linear in the length": linear(49.0),
    "cliff, anywhere in 7-70": Cliff(7, 70),
}
FURTHER_STEPS = {
    "plateau at 0.05": fall(slope=15.0, floor=0.05, middle=21.0),
    "plateau at 0.3": fall(slope=10.0, floor=0.3, middle=19.0),
    "plateau at 0.4": fall(slope=6.0, floor=0.4, middle=16.0),
    "plateau at 0.25, lapses 10 %": fall(slope=7.0, floor=0.25, lapse=0.1, middle=22.0),
    "two steps, 0.7 between": steps((8, 35), (0.7,), slope=9.0),
    "two steps, 0.3 between": steps((22, 70), (0.3,), slope=16.0),
    "two steps, 0.55 between": steps((14, 42), (0.55,), slope=30.0),
    "two close steps, 0.45 between": steps((20, 36), (0.45,), slope=20.0),
    "three steps, 0.75 and 0.35": steps((9, 25, 60), (0.75, 0.35), slope=14.0),
    "three steps, 0.8 and 0.6": steps((7, 15, 33), (0.8, 0.6), slope=14.0),
    "three steps, 0.4 and 0.2": steps((14, 27, 65), (0.4, 0.2), slope=14.0),
}
RANDOM_FALLS = {"random, one fall": RandomFalls(1)}
RANDOM_STEPS = {f"random, {falls} falls": RandomFalls(falls) for falls in (2, 3, 4)}
KNOWN, FURTHER = KNOWN_FALLS | KNOWN_STEPS, FURTHER_FALLS | FURTHER_STEPS
RANDOM = RANDOM_FALLS | RANDOM_STEPS
CURVES = KNOWN | FURTHER | RANDOM
STEPPED = {*KNOWN_STEPS, *FURTHER_STEPS, *RANDOM_STEPS}

KNOWN_DESIGNS = {
    "7 x 10": ((5, 10, 15, 20, 25, 30, 40), 10),
    "12 x 4": ((4, 6, 8, 11, 15, 20, 26, 34, 45, 60, 80, 106), 4),
    "5 x 5": ((5, 10, 20, 40, 80), 5),
    "4 x 50": ((10, 20, 40, 80), 50),
    "6 x 10, too short": ((4, 6, 8, 11, 15, 20), 10),
    "6 x 10, a gap": ((4, 6, 8, 10, 60, 120), 10),
}
FURTHER_DESIGNS = {
    "8 x 8": ((6, 9, 13, 19, 28, 41, 60, 88), 8),
    "9, more in the middle": ((8, 16, 20, 22, 24, 26, 28, 32, 64), (4, 8, 8, 12, 16, 12, 8, 8, 4)),
}
LARGE_DESIGNS = {
    "7 x 100": (KNOWN_DESIGNS["7 x 10"][0], 100),
    "12 x 64": (KNOWN_DESIGNS["12 x 4"][0], 64),
}
DESIGNS = KNOWN_DESIGNS | FURTHER_DESIGNS | LARGE_DESIGNS


def span_of(p: CurveOfLength, share: float = 0.5) -> float | None:
    """The last length at which p crosses the share; None if there is none between 1 and 10,000."""
    x = np.linspace(0, log(1e4), 4001)
    above = p(np.exp(x)) >= share
    if not above.any() or above.all():
        return None
    last = np.flatnonzero(above)[-1]
    return float(np.exp(brentq(lambda at: p(np.exp(at)) - share, x[last], x[last + 1])))


def has_gap(lengths, span: float) -> bool:
    """Whether the span is outside the tried lengths, or those next to it differ by more than a factor of 1.5.

    Where a steep curve falls inside such a gap, its estimate is the middle of the gap, wherever in it the span is.
    """
    below = [length for length in lengths if length <= span]
    above = [length for length in lengths if length >= span]
    return not below or not above or min(above) > 1.5 * max(below)
