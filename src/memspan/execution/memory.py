"""How much memory training takes, counted from the shapes of what it allocates, and how much there is."""

import functools
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import psutil

from memspan.cells import CELLS
from memspan.engines.compiled import MEMORY
from memspan.engines.compiled.workspace import PassPlan
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, MemspanError
from memspan.runtime.memory import amount
from memspan.study.configuration import Configuration
from memspan.tasks import get_task

SHARE = 0.8
"""Of the free memory: how much may be taken."""
NUMBER = 32  # bytes of a float in a list
ALLOCATED = 1.05  # measured: for a byte in use, what the allocator holds
COPIES = 12  # of the weights: themselves, their gradients, the optimiser's memory, and what a step makes


class TooLarge(MemspanError):
    """The memory that there is cannot suffice."""


def available() -> int:
    """Bytes that may be taken on this machine, or in its control group."""
    free = int(psutil.virtual_memory().available)
    groups = Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int((groups / limit).read_text()) - int((groups / used).read_text()))
        except (OSError, ValueError):  # there is no such group, or it has no limit: "max"
            continue
    return int(max(free, 0) * SHARE)


def bytes_of(configuration: Configuration, length: int, members: int) -> int:
    """What training so many networks of a configuration side by side takes, at most at one time.

    Raises
    ------
    TooLarge
        When it is more than the engine may have, however many networks there are.
    """
    return _bytes_of(Workload.of(configuration), configuration.updates, length, members)


class Workload(NamedTuple):
    """What the time and the memory of an update depend on, besides the length."""

    task: str
    task_parameters: tuple[tuple[str, float], ...]
    cell: str
    hidden: int
    batch: int
    evaluation_samples: int
    dtype: str

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        """That of a configuration."""
        parameters = tuple(sorted(configuration.task_parameters.items()))
        return cls(configuration.task, parameters, *(getattr(configuration, name) for name in cls._fields[2:]))


@functools.lru_cache(maxsize=10_000)
def _bytes_of(workload: Workload, updates: int, length: int, members: int) -> int:
    return _Training(workload, updates, length, members).bytes


class _Training:
    """The arrays of a training, counted."""

    def __init__(self, workload: Workload, updates: int, length: int, members: int) -> None:
        self.workload, self.updates, self.length, self.members = workload, updates, length, members
        self.task, self.cell = get_task(workload.task, **dict(workload.task_parameters)), CELLS[workload.cell]
        self.T, self.F, self.O, output_steps = self.task.shape(length)
        self.K, self.dtype = output_steps or 1, np.dtype(workload.dtype)
        self.layout = Layout(self.cell, self.F, workload.hidden, self.O)

    @property
    def bytes(self) -> int:
        """Of all of them, at the moment at which they are most."""
        one, members, size = self.workload, self.members, self.dtype.itemsize
        held_out = one.evaluation_samples
        training = self.passing(one.batch, backward=True) + self.passing(held_out, backward=False)
        training += 2 * members * self.batch(one.batch)
        evaluating = members * self.batch(held_out) + max(self.drawing(held_out), self.scoring(held_out))
        kept = COPIES * members * self.layout.size * size + 3 * NUMBER * members * self.updates
        most = max(self.measuring(), evaluating, self.drawing(one.batch))
        return int(ALLOCATED * (kept + training + most))

    def batch(self, sequences: int, itemsize: int | None = None) -> int:
        """x and y."""
        return sequences * (itemsize or self.dtype.itemsize) * (self.T * self.F + self.K * self.O)

    def drawing(self, sequences: int) -> int:
        """The numbers that a batch is made of, twice, and itself in float64, twice."""
        return 16 * sequences * self.task.draws(self.length) + 2 * self.batch(sequences, 8)

    def scoring(self, sequences: int) -> int:
        """The answers of all networks, and what loss and accuracy make of those of one."""
        return sequences * self.K * self.O * (self.members * self.dtype.itemsize + 4 * 8)

    def passing(self, sequences: int, *, backward: bool) -> int:
        """The buffers of the engine for a pass forward, or forward and back."""
        sizes = self.layout, self.dtype, (self.T, sequences, self.F), self.K
        try:
            return PassPlan.of(*sizes, MEMORY, models=self.members, backward=backward).bytes
        except InvalidArgument:
            least = PassPlan.of(*sizes, 1 << 200, backward=backward).bytes
            raise TooLarge(
                f"the study needs {amount(least)} for a pass at T={self.length}, batch {sequences}, "
                f"{self.layout.hidden} hidden, and the buffers of a pass may take {amount(MEMORY)}: a smaller "
                "batch, network or length is needed"
            ) from None

    def measuring(self) -> int:
        """The gradients at every time step, by the readable engine.

        The trace of a pass forward, that of the way back, and for norms a product for each step, or dL/da in
        float64; the buffers of training are still there.
        """
        G, S, N = len(self.cell.gates), len(self.cell.states), len(self.cell.residuals)
        H, F, size = self.layout.hidden, self.F, self.dtype.itemsize
        layer = self.T * self.workload.batch * H
        products = self.T * G * H * (H * (size + 8) + F * size)
        way_back = size * layer * (2 * S + N + G) + max(products, 8 * layer)
        return max(way_back, size * layer * max(2 * G, S + N + G))
