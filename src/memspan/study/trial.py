"""The trial: the result of training one network, as a record."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from memspan._version import __version__
from memspan.diagnostics import FlowSpread, GradientFlow
from memspan.diagnostics.flow import PERCENTS
from memspan.errors import shown
from memspan.shapes import Array
from memspan.study.study import Key
from memspan.training.history import Outcome

DIGITS = 20  # binary digits kept of a number in a curve, about six decimal digits
SPREAD_DIGITS = 10  # of a quantile, about three decimal digits
SHARES = ("zero", "underflow", "not_finite")
ENGINE = "compiled"
VERSION = 2
"""The version of the rules by which a trial ends and is judged.

1: the held-out batches that decided to stop training gave the verdict too. 2: fresh batches give it."""


class _Record(BaseModel):
    # JSON has no NaN and no infinity, so they are written as strings.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Flow(_Record):
    """A `GradientFlow` as lists: the norms of dL/da[t] and of each step's contributions to dL/dR and dL/dW."""

    d_a: list[float]
    d_R: list[float]
    d_W: list[float]

    def __repr__(self) -> str:
        return f"<Flow over {len(self.d_a)} steps>"

    __str__ = __repr__

    @classmethod
    def of(cls, flow: GradientFlow) -> Self:
        """Return a `GradientFlow` as lists, rounded to about six digits."""
        return cls(d_a=rounded(flow.d_a), d_R=rounded(flow.d_R), d_W=rounded(flow.d_W))


class FlowSpreads(_Record):
    """A `FlowSpread` for each row of a `flow_map`: maps with one row for each measured update.

    Attributes
    ----------
    q10, q50, q90 : list of list of float
        The quantiles over the batch of the norm of dL/da[t], to about three digits.
    zero, underflow, not_finite : list of list of float
        The shares of samples with such a gradient; empty if all are 0.
    """

    q10: list[list[float]]
    q50: list[list[float]]
    q90: list[list[float]]
    zero: list[list[float]] = []
    underflow: list[list[float]] = []
    not_finite: list[list[float]] = []

    def __repr__(self) -> str:
        return f"<FlowSpreads of {len(self.q50)} updates>"

    __str__ = __repr__

    @classmethod
    def of(cls, spreads: Sequence[FlowSpread]) -> Self | None:
        """Return the maps of some updates; None without any."""
        if not spreads:
            return None
        q10, q50, q90 = (
            [rounded(spread.quantiles[k], SPREAD_DIGITS) for spread in spreads] for k in range(len(PERCENTS))
        )
        shares = {name: np.array([getattr(spread, name) for spread in spreads]) for name in SHARES}
        maps = {name: [rounded(row) for row in share] for name, share in shares.items() if share.any()}
        return cls(q10=q10, q50=q50, q90=q90, **maps)


class Test(_Record):
    """The score of a trained network on sequences of another length.

    Attributes
    ----------
    length : int
        T of these sequences.
    accuracy, loss : float
        The mean accuracy and loss on fresh batches.
    """

    length: int
    accuracy: float
    loss: float


class Trial(_Record):
    """The result of training one network.

    Attributes
    ----------
    configuration, length, repetition : int
        The key.
    outcome : Outcome
        `solved`, `unsolved`, `diverged`, or `failed` if an error or the death of its worker ended the trial.
    reason : str
        For `diverged` the tensor that was not finite, for `failed` the error.
    updates : int
        The number of updates done.
    accuracy, loss : float
        The mean accuracy and loss after training, on held-out batches that no decision to stop has seen.
    tests : list of Test
        The scores at each length of `Study.test_lengths`.
    version : int
        The version of the rules by which the trial ended and was judged (`VERSION`).
    accuracies, losses : list of float
        The accuracy and loss of each of these batches.
    seconds, cpu_seconds : float
        Wall-clock and processor time. Trials that ran side by side have equal shares of their time.
    engine, worker, memspan : str
        The engine, the machine and process, and the version of memspan that computed the trial. For a PyTorch
        model, the engine is the form in which several models are computed (`memspan.torch.Form`).
    attempts : int
        1, plus 1 for each worker that died while it ran only this trial.
    digest : str
        SHA-256 of the trained weights, the bytes of `Network.parameters` in little-endian order.
    curve : list of float
        The training loss, one mean for every `curve_every` updates.
    start, end : Flow or None
        The gradient at every time step: for the first batch before training, and for the last batch after it.
    flow_map : list of list of float
        For repetition 0: ‖dL/da[t]‖ at every time step, one row every `flow_every` updates, from the first update.
    flow_spread : FlowSpreads or None
        For repetition 0: how these norms are spread over the batch. None in trials that were trained before
        memspan measured it.
    critical_gain : float or None
        The gain of R that the initializer `critical` has chosen; None for other initializers.
    weights : bytes or None
        The trained weights as a safetensors file, for the first `Study.keep_weights` repetitions. Those of
        memspan's cells are a file of `Network.save`; in older stores the file has no header.
    """

    configuration: int = 0
    length: int
    repetition: int
    outcome: Literal[Outcome.SOLVED, Outcome.UNSOLVED, Outcome.DIVERGED, Outcome.FAILED]
    reason: str = ""
    updates: int = 0
    accuracy: float = float("nan")
    loss: float = float("nan")
    accuracies: list[float] = []
    losses: list[float] = []
    tests: list[Test] = []
    version: int = VERSION
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    engine: str = ENGINE
    worker: str = ""
    memspan: str = __version__
    attempts: int = 1
    digest: str = ""
    curve: list[float] = []
    curve_every: int = 1
    start: Flow | None = None
    end: Flow | None = None
    flow_map: list[list[float]] = []
    flow_every: int = 1
    flow_spread: FlowSpreads | None = None
    critical_gain: float | None = None
    weights: bytes | None = Field(None, repr=False, exclude=True)

    @model_validator(mode="after")
    def _spread_of_the_map(self) -> Self:
        maps = dict(self.flow_spread or ())
        if any(rows and len(rows) != len(self.flow_map) for rows in maps.values()):
            raise ValueError("flow_spread must have a row for each row of flow_map")
        return self

    def __repr__(self) -> str:
        which = f"T={self.length}, repetition {self.repetition}, configuration {self.configuration}"
        scores = f"accuracy {self.accuracy:.3f}, loss {self.loss:.4g}, {self.updates} updates"
        return (
            f"<Trial {which}: {self.outcome}, {shown(self.reason) if self.outcome is Outcome.FAILED else scores}>"
        )

    __str__ = __repr__

    @property
    def key(self) -> Key:
        """The key of the trial in its study."""
        return Key(self.configuration, self.length, self.repetition)

    def scores_at(self, lengths: Iterable[int]) -> dict[str, float]:
        """Return `accuracy_at_40`, `loss_at_40` and so on for each length; NaN where it was not scored."""
        found = {test.length: test for test in self.tests}
        return {
            f"{score}_at_{length}": getattr(found.get(length), score, math.nan)
            for length in lengths
            for score in ("accuracy", "loss")
        }


ACCIDENTAL = frozenset({"seconds", "cpu_seconds", "worker", "attempts"})
"""The fields of a trial that differ from one run to the next. All others are a function of the key."""


def rounded(values: Array, digits: int = DIGITS) -> list[float]:
    """Round each value, by default to about six digits, which is enough for a plot and compresses well."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    kept: list[float] = np.ldexp(np.trunc(mantissa * 2**digits) / 2**digits, exponent).tolist()
    return kept
