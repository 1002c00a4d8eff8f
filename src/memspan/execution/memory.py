"""The memory that training takes, counted from the shapes of its arrays, and the memory that is available."""

import functools
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import psutil

from memspan.cells import Cell, get_cell
from memspan.engines.compiled import MEMORY
from memspan.engines.compiled.workspace import PassPlan
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, MemspanError
from memspan.runtime.imports import imported, is_factory, is_path
from memspan.runtime.memory import amount
from memspan.study.configuration import Configuration
from memspan.study.group import CURVE_POINTS
from memspan.tasks import get_task

SHARE = 0.8
"""The share of the free memory that a study may use."""
SAVED = 40  # arrays [B, H] of a time step, at most: the graph keeps 2 to 17 of them, and the way back needs others
NUMBER = 32  # bytes of a float in a list
ALLOCATED = 1.05  # measured: bytes that the allocator holds for each byte in use
MAPS = 4  # of the gradient, one row for each measured update: its norm and the quantiles of its norms
COPIES = 12  # arrays of the weights' size: weights, gradients, the optimiser's state, temporaries of a step


class TooLarge(MemspanError):
    """A study needs more memory than is available."""


def available() -> int:
    """Return the bytes that a study may use on this machine or in its control group."""
    free = int(psutil.virtual_memory().available)
    groups = Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int((groups / limit).read_text()) - int((groups / used).read_text()))
        except (OSError, ValueError):  # the file does not exist, or holds "max": no limit
            continue
    return int(max(free, 0) * SHARE)


def bytes_of(
    configuration: Configuration, length: int, members: int, test_lengths: tuple[int, ...] = (), group: int = 1
) -> int:
    """Return the peak memory in bytes of training `members` networks of a configuration side by side.

    After training they are scored at the `test_lengths` too. For models of another library, `group` is the number
    of networks that the engine computes in a call.

    Raises
    ------
    TooLarge
        If a single network already exceeds the memory of the engine's buffers.
    """
    return _bytes_of(Workload.of(configuration), configuration.updates, length, members, test_lengths, group)


class Workload(NamedTuple):
    """The fields on which the time and memory of an update depend, apart from the length."""

    task: str
    task_parameters: tuple[tuple[str, float], ...]
    cell: str
    options: tuple[tuple[str, float | str], ...]
    hidden: int
    batch: int
    evaluation_samples: int
    dtype: str
    truncate: int | None
    device: str

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        """Return the workload of a configuration."""

        def hashable(value: Any) -> Any:
            return tuple(sorted(value.items())) if isinstance(value, dict) else value

        return cls(*(hashable(getattr(configuration, name)) for name in cls._fields))


@functools.lru_cache(maxsize=10_000)
def _bytes_of(
    workload: Workload, updates: int, length: int, members: int, test_lengths: tuple[int, ...], group: int
) -> int:
    foreign = is_path(workload.cell) and is_factory(imported("cell", workload.cell))
    kind = _ForeignTraining if foreign else _Training
    others = [kind(workload, updates, other, members) for other in test_lengths]
    return kind(workload, updates, length, members, others, group).bytes


class _Training:
    """The arrays that exist while networks are trained, counted in bytes."""

    def __init__(
        self,
        workload: Workload,
        updates: int,
        length: int,
        members: int,
        others: Sequence["_Training"] = (),
        group: int = 1,
    ) -> None:
        self.workload, self.updates, self.length, self.members = workload, updates, length, members
        self.group = group
        self.others = others  # the lengths at which the networks are scored after training
        self.task = get_task(workload.task, **dict(workload.task_parameters))
        self.T, self.F, self.O, output_steps = self.task.shape(length)
        self.K, self.dtype = output_steps or 1, np.dtype(workload.dtype)

    @cached_property
    def cell(self) -> Cell:
        """The cell of the networks."""
        return get_cell(self.workload.cell, **dict(self.workload.options))

    @cached_property
    def layout(self) -> Layout:
        """The sizes of the weights."""
        return Layout(self.cell, self.F, self.workload.hidden, self.O)

    @property
    def weights(self) -> int:
        """The number of weights of a network."""
        return self.layout.size

    @property
    def bytes(self) -> int:
        """The total at its peak."""
        one, members, size = self.workload, self.members, self.dtype.itemsize
        held_out = one.evaluation_samples
        training = self.group * self.passing(one.batch, backward=True) + self.passing(held_out, backward=False)
        training += 2 * members * self.batch(one.batch)
        kept = COPIES * members * self.weights * size + 3 * NUMBER * members * self.updates
        kept += MAPS * NUMBER * min(self.updates, CURVE_POINTS) * self.T
        elsewhere = (other.passing(held_out, backward=False) + other.evaluating() for other in self.others)
        most = max(self.measuring(), self.evaluating(), self.drawing(one.batch), *elsewhere)
        return int(ALLOCATED * (kept + training + most))

    def evaluating(self) -> int:
        """The bytes of a held-out batch for each network, while it is drawn or scored."""
        held_out = self.workload.evaluation_samples
        return self.members * self.batch(held_out) + max(self.drawing(held_out), self.scoring(held_out))

    def batch(self, sequences: int, itemsize: int | None = None) -> int:
        """The bytes of x and y."""
        return sequences * (itemsize or self.dtype.itemsize) * (self.T * self.F + self.K * self.O)

    def drawing(self, sequences: int) -> int:
        """The bytes needed to draw a batch: its random numbers twice, and the batch in float64 twice."""
        return 16 * sequences * self.task.draws(self.length) + 2 * self.batch(sequences, 8)

    def scoring(self, sequences: int) -> int:
        """The bytes of the predictions of all networks, and of the temporaries that score one of them."""
        return sequences * self.K * self.O * (self.members * self.dtype.itemsize + 4 * 8)

    def passing(self, sequences: int, *, backward: bool) -> int:
        """The bytes of the engine's buffers for a forward pass, or a forward and a backward pass."""
        sizes = self.layout, self.dtype, (self.T, sequences, self.F), self.K
        how: dict[str, Any] = {"backward": backward, "truncate": self.workload.truncate}
        try:
            return PassPlan.of(*sizes, MEMORY, models=self.members, **how).bytes
        except InvalidArgument:
            least = PassPlan.of(*sizes, 1 << 200, **how).bytes
            raise TooLarge(
                f"A pass at T={self.length}, batch {sequences}, hidden {self.layout.hidden} needs buffers of "
                f"{amount(least)}, but at most {amount(MEMORY)} are allowed. Choose a smaller batch, network or "
                "length."
            ) from None

    def measuring(self) -> int:
        """The bytes that the readable engine needs for the gradients at every time step.

        These are the trace of the forward pass, the arrays of the backward pass, and for the norms one product
        per step or dL/da in float64. The buffers of training exist at the same time.
        """
        G, S, N = len(self.cell.gates), len(self.cell.states), len(self.cell.residuals)
        H, F, size = self.layout.hidden, self.F, self.dtype.itemsize
        layer = self.T * self.workload.batch * H
        products = self.T * G * H * (H * (size + 8) + F * size)
        backward = size * layer * (2 * S + N + G) + max(products, 8 * layer)
        return max(backward, size * layer * max(2 * G, S + N + G))


class _ForeignTraining(_Training):
    """The arrays while models of another library are trained: an estimate, because their graphs are not known."""

    @cached_property
    def weights(self) -> int:
        """The number of weights of a model."""
        fields = {name: getattr(self.workload, name) for name in ("cell", "hidden", "task", "dtype")}
        tables = {name: dict(getattr(self.workload, name)) for name in ("options", "task_parameters")}
        return Configuration(**fields, **tables).weight_count(self.length)

    def passing(self, sequences: int, *, backward: bool) -> int:
        """The bytes of the graph of a pass of one model; none if it is in the memory of another device."""
        if self.workload.device.partition(":")[0] != "cpu":
            return 0
        kept = SAVED * self.T if backward else SAVED + self.T
        return kept * sequences * self.workload.hidden * self.dtype.itemsize

    def measuring(self) -> int:
        """The bytes of a pass step by step, with a copy of the weights and of their gradients for each step."""
        copies = 3 * self.T * self.weights * self.dtype.itemsize
        return 2 * self.passing(self.workload.batch, backward=True) + copies
