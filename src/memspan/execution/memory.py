"""How much memory training takes, counted from the shapes of what it allocates, and how much there is."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from memspan.cells import CELLS
from memspan.engines.compiled import MEMORY
from memspan.engines.compiled.engine import Plan as Pass
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, MemspanError
from memspan.study.study import Study
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


def bytes_of(study: Study, length: int, members: int) -> int:
    """What training so many networks of one configuration side by side takes, at most at one time.

    Raises
    ------
    TooLarge
        When it is more than the engine may have, however many networks there are.
    """
    parameters = tuple(sorted(study.parameters.items()))
    shape = study.cell, study.hidden, study.batch, study.evaluation_samples, study.updates, study.dtype
    return _bytes(study.task, parameters, *shape, length, members)


@functools.lru_cache(maxsize=10_000)
def _bytes(
    task_name: str,
    parameters: tuple[tuple[str, Any], ...],
    cell_name: str,
    H: int,
    B: int,
    evaluated: int,
    updates: int,
    dtype: str,
    length: int,
    members: int,
) -> int:
    task, cell = get_task(task_name, **dict(parameters)), CELLS[cell_name]
    T, F, O, read_out = task.shape(length)
    K, size, layout = read_out or 1, np.dtype(dtype).itemsize, Layout(cell, F, H, O)
    G, S, N = len(cell.gates), len(cell.states), len(cell.saved)

    def batch(sequences: int, itemsize: int = size) -> int:
        return sequences * itemsize * (T * F + K * O)

    def drawing(sequences: int) -> int:
        """The numbers that a batch is made of, twice, and itself in float64, twice."""
        return 16 * sequences * task.draws(length) + 2 * batch(sequences, 8)

    def scoring(sequences: int) -> int:
        """The answers of all networks, and what loss and accuracy make of those of one."""
        return sequences * K * O * (members * size + 4 * 8)

    def passing(sequences: int, *, backward: bool) -> int:
        sizes = layout, np.dtype(dtype), (T, sequences, F), K
        try:
            return Pass.of(*sizes, MEMORY, models=members, backward=backward).bytes
        except InvalidArgument:
            least = Pass.of(*sizes, 1 << 200, backward=backward).bytes
            raise TooLarge(
                f"the study needs {amount(least)} for a pass at T={length}, batch {sequences}, {H} hidden, and "
                f"the buffers of a pass may take {amount(MEMORY)}: a smaller batch, network or length is needed"
            ) from None

    training = passing(B, backward=True) + passing(evaluated, backward=False) + 2 * members * batch(B)
    evaluating = members * batch(evaluated) + max(drawing(evaluated), scoring(evaluated))
    # The gradients at every time step, while the buffers of training are still there, by the readable engine: the
    # trace of a pass forward, that of the way back, and for norms a product for each step, or dL/da in float64.
    layer = T * B * H
    products = T * G * H * (H * (size + 8) + F * size)
    way_back = size * layer * (2 * S + N + G) + max(products, 8 * layer)
    measuring = max(way_back, size * layer * max(2 * G, S + N + G))
    kept = COPIES * members * layout.size * size + 3 * NUMBER * members * updates
    return int(ALLOCATED * (kept + training + max(measuring, evaluating, drawing(B))))


def amount(size: float) -> str:
    """Bytes in words: `250 MiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if size >= 100 or unit == "bytes" else f"{size:.3g} {unit}"
