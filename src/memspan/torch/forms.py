"""Which form of the engine is the fastest for a model: measured with one step of each form that works."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memspan.engines.base import Differentiated
from memspan.errors import FaultyPart, InvalidArgument, shown, whole_number
from memspan.losses import Loss
from memspan.shapes import Array
from memspan.torch.engine import Form
from memspan.torch.network import TorchNetwork

GROUPS = (2, 5, 10, 20, 50)
NEARLY = 1.05
"""A form counts as fast as the fastest one if it takes at most this many times as long."""
ROUNDING = 64
"""Two forms agree if they differ by at most this many units of rounding for each time step."""


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
    networks: Sequence[TorchNetwork], loss: Loss, batch: tuple[Array, Array], *, repeats: int = 3
) -> Form:
    """Return the fastest form of the engine for these networks: see `time_forms`."""
    return time_forms(networks, loss, batch, repeats=repeats).best


def time_forms(
    networks: Sequence[TorchNetwork], loss: Loss, batch: tuple[Array, Array], *, repeats: int = 3
) -> FormTimes:
    """Time one step of each form and group size that works.

    A form works if PyTorch has rules for all operations of the model, if its numbers are those of the loop up to
    rounding, and if the numbers of a network do not depend, to the last bit, on its place in a call or on the
    other networks.

    Parameters
    ----------
    networks : sequence of TorchNetwork
        Networks of one kind with different weights; at most as many are computed in one call.
    loss : Loss
    batch : x [T, B, F] and y [B, O] or [K, B, O]
    repeats : int
        The least of so many times counts.
    """
    repeats = whole_number("repeats", repeats)
    if not networks or not all(isinstance(network, TorchNetwork) for network in networks):
        raise InvalidArgument("networks", "at least one TorchNetwork", shown(networks))
    found, loop = FormTimes(), Form("loop")
    batches = _different(batch, len(networks))
    expected = _differentiate(networks, loss, loop, batches)
    found.seconds[loop] = _seconds(networks, loss, loop, batches, repeats)
    sizes = sorted({size for size in GROUPS if size <= len(networks)} | ({len(networks)} - {1}))
    for name in ("vmap-grad", "vmap-forward"):
        for form in (Form(name, size) for size in sizes):
            try:
                with warnings.catch_warnings():
                    # Without a rule for an operation, PyTorch warns and computes one network after the other.
                    warnings.filterwarnings("error", ".*batching rule.*")
                    _check(networks, loss, form, batches, expected)
                    found.seconds[form] = _seconds(networks, loss, form, batches, repeats)
            except Exception as error:  # any error of the user's model under vmap
                cause = error.__cause__ if isinstance(error, FaultyPart) and error.__cause__ else error
                found.failed[form] = f"{type(cause).__name__}: {cause}".partition("\n")[0].partition(". ")[0]
                break  # larger groups fail alike
    return found


def _check(
    networks: Sequence[TorchNetwork],
    loss: Loss,
    form: Form,
    batches: Sequence[tuple[Array, Array]],
    expected: Differentiated,
) -> None:
    """Raise `_Differs` if the numbers of a form are not those of the loop, or depend on the other networks."""
    first = _differentiate(networks, loss, form, batches)
    eps = np.finfo(networks[0].dtype).eps * len(batches[0][0]) * ROUNDING
    for one, other in zip(first.gradients, expected.gradients, strict=True):
        error, size = np.linalg.norm(one - other), np.linalg.norm(other)
        if not error <= eps * size and np.isfinite(size):
            raise _Differs(f"its gradients differ from those of the loop by {error / size:.1g} of their size")
    for shift in range(1, form.group):  # so each network stands in each place, beside other ones
        order = [*np.roll(range(len(networks)), shift)]
        again = _differentiate([networks[k] for k in order], loss, form, [batches[k] for k in order])
        same = np.array_equal(again.gradients, first.gradients[order], equal_nan=True)
        if not same or not np.array_equal(again.losses, first.losses[order], equal_nan=True):
            raise _Differs("the bits of its results depend on the place of a network in a call")


class _Differs(Exception):
    """The numbers of a form are not those that they must be."""


def _differentiate(
    networks: Sequence[TorchNetwork], loss: Loss, form: Form, batches: Sequence[tuple[Array, Array]]
) -> Differentiated:
    parameters = np.stack([network.parameters for network in networks])
    return form.make_engine(networks, loss).differentiate(parameters, batches)


def _seconds(
    networks: Sequence[TorchNetwork],
    loss: Loss,
    form: Form,
    batches: Sequence[tuple[Array, Array]],
    repeats: int,
) -> float:
    """Return the time of an update of one network, in full calls."""
    few = networks[: max(1, len(networks) // form.group * form.group)]
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        _differentiate(few, loss, form, batches[: len(few)])
        times.append(time.perf_counter() - began)
    return min(times) / len(few)


def _different(batch: tuple[Any, Any], count: int) -> list[tuple[Array, Array]]:
    """Return a batch of its own for each network: the same samples in another order."""
    x, y = batch
    return [(np.roll(x, k, axis=1), np.roll(y, k, axis=-2)) for k in range(count)]
