"""How an engine computes several foreign models, and which form is the fastest: measured with one step of each."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from memspan.engines.base import Differentiated
from memspan.errors import FaultyPart, InvalidArgument, MemspanError, one_of, shown, told, whole_number
from memspan.foreign.engine import ForeignEngine
from memspan.foreign.network import ForeignNetwork
from memspan.losses import Loss
from memspan.shapes import Array

LOOP = "loop"
"""The form that every engine has: one network after the other."""
GROUPS = (2, 5, 10, 20, 50)
NEARLY = 1.05
"""A form counts as fast as the fastest one if it takes at most this many times as long."""
ROUNDING = 64
"""Two forms agree if they differ by at most this many units of rounding for each time step."""


@dataclass(frozen=True)
class Form(ABC):
    """How an engine computes several networks of one kind.

    Attributes
    ----------
    name : str
        One of `NAMES`. `loop` computes one network after the other.
    group : int
        The number of networks in each call. A call always has as many, some of them copies if fewer are left. So
        the numbers of a network depend on the form and the group, but not on the other networks.
    """

    name: str
    group: int = 1

    NAMES: ClassVar[tuple[str, ...]] = (LOOP,)
    """The names of the forms, `loop` first."""

    def __post_init__(self) -> None:
        one_of("form", self.name, self.NAMES)
        if whole_number("group", self.group) > 1 and self.name == LOOP:
            raise InvalidArgument("group", "1 for the form 'loop'", self.group)

    def __str__(self) -> str:
        return self.name if self.name == LOOP else f"{self.name} of {self.group}"

    @abstractmethod
    def make_engine(self, networks: Sequence[Any], loss: Loss, truncate: int | None = None) -> ForeignEngine:
        """Return the engine for these networks, whose weights are the rows of `parameters`."""

    def tried(self) -> AbstractContextManager[Any]:
        """Return the context in which a form is tried: in it, a form that does not work raises an error."""
        return nullcontext()

    def others(self, count: int) -> Iterator[list[Self]]:
        """Yield the other forms of the engine for `count` networks: those of each name, small groups first."""
        sizes = sorted({size for size in GROUPS if size <= count} | ({count} - {1}))
        for name in self.NAMES:
            if name != LOOP:
                yield [replace(self, name=name, group=size) for size in sizes]


@dataclass
class FormTimes:
    """The times of the forms of the engine for one model and one batch.

    Attributes
    ----------
    seconds : dict
        The time of an update of one network, by form.
    failed : dict
        Why a form cannot be used, by form.
    """

    seconds: dict[Form, float] = field(default_factory=dict)
    failed: dict[Form, str] = field(default_factory=dict)

    @property
    def best(self) -> Form:
        """The form with the smallest group that takes hardly longer than the fastest one."""
        limit = NEARLY * min(self.seconds.values())
        return min((form for form, took in self.seconds.items() if took <= limit), key=lambda form: form.group)


def choose_form(
    networks: Sequence[ForeignNetwork],
    loss: Loss,
    batch: tuple[Array, Array],
    *,
    truncate: int | None = None,
    repeats: int = 3,
) -> Form:
    """Return the fastest form of the engine for these networks: see `time_forms`."""
    return time_forms(networks, loss, batch, truncate=truncate, repeats=repeats).best


def time_forms(
    networks: Sequence[ForeignNetwork],
    loss: Loss,
    batch: tuple[Array, Array],
    *,
    truncate: int | None = None,
    repeats: int = 3,
) -> FormTimes:
    """Time one step of each form and group size that works.

    A form works if the library can compute the model in it, if its numbers are those of the loop up to rounding,
    and if the numbers of a network do not depend, to the last bit, on its place in a call or on other networks.

    Parameters
    ----------
    networks : sequence of ForeignNetwork
        Networks of one kind with different weights; at most as many are computed in one call. Their `engine` names
        the forms.
    loss : Loss
    batch : x [T, B, F] and y [B, O] or [K, B, O]
    truncate : int, optional
        The number of steps through which the gradient of each output goes back, as in `Network.backward`.
    repeats : int
        The least of so many times counts.
    """
    repeats = whole_number("repeats", repeats)
    if not networks or not all(isinstance(network, ForeignNetwork) for network in networks):
        raise InvalidArgument("networks", "at least one network of PyTorch or JAX", shown(networks))
    found, loop = FormTimes(), replace(networks[0].engine, name=LOOP, group=1)
    batches = _different(batch, len(networks))
    step = partial(_differentiate, loss, truncate)
    expected = step(loop, networks, batches)
    found.seconds[loop] = _seconds(step, loop, networks, batches, repeats)
    for forms in loop.others(len(networks)):
        for form in forms:
            try:
                with form.tried():
                    _check(step, form, networks, batches, expected)
                    found.seconds[form] = _seconds(step, form, networks, batches, repeats)
            except Exception as error:  # any error of the user's model in this form
                cause = error.__cause__ if isinstance(error, FaultyPart) and error.__cause__ else error
                found.failed[form] = told(cause).partition("\n")[0].partition(". ")[0]
                break  # larger groups fail alike
    return found


def _check(
    step: Callable[..., Differentiated],
    form: Form,
    networks: Sequence[ForeignNetwork],
    batches: Sequence[tuple[Array, Array]],
    expected: Differentiated,
) -> None:
    """Raise `_Differs` if the numbers of a form are not those of the loop, or depend on the other networks."""
    first = step(form, networks, batches)
    eps = np.finfo(networks[0].dtype).eps * len(batches[0][0]) * ROUNDING
    for one, other in zip(first.gradients, expected.gradients, strict=True):
        error, size = np.linalg.norm(one - other), np.linalg.norm(other)
        if not error <= eps * size and np.isfinite(size):
            raise _Differs(f"its gradients differ from those of the loop by {error / size:.1g} of their size")
    order = [*np.roll(range(len(networks)), 1)]  # each place is compared with the next, the neighbours move
    again = step(form, [networks[k] for k in order], [batches[k] for k in order])
    same = np.array_equal(again.gradients, first.gradients[order], equal_nan=True)
    if not same or not np.array_equal(again.losses, first.losses[order], equal_nan=True):
        raise _Differs("the bits of its results depend on the place of a network in a call")


class _Differs(MemspanError):
    """The numbers of a form are not those that they must be."""


def _differentiate(
    loss: Loss,
    truncate: int | None,
    form: Form,
    networks: Sequence[ForeignNetwork],
    batches: Sequence[tuple[Array, Array]],
) -> Differentiated:
    parameters = np.stack([network.parameters for network in networks])
    return form.make_engine(networks, loss, truncate).differentiate(parameters, batches)


def _seconds(
    step: Callable[..., Differentiated],
    form: Form,
    networks: Sequence[ForeignNetwork],
    batches: Sequence[tuple[Array, Array]],
    repeats: int,
) -> float:
    """Return the time of an update of one network, if as many are trained; copies that fill a call cost too."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step(form, networks, batches)
        times.append(time.perf_counter() - began)
    return min(times) / len(networks)


def _different(batch: tuple[Any, Any], count: int) -> list[tuple[Array, Array]]:
    """Return a batch of its own for each network: the same samples in another order."""
    x, y = batch
    return [(np.roll(x, k, axis=1), np.roll(y, k, axis=-2)) for k in range(count)]
