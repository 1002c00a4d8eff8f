"""Saturation: how strongly the units still react to their inputs, and how far their gates are open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.tracing import traced
from memspan.errors import naming
from memspan.network import Model
from memspan.runtime.floats import quiet
from memspan.shapes import Array, PerStep

CLOSED, OPEN = 0.1, 0.9
"""A gate below the first is closed, and above the second open (Karpathy, Johnson & Fei-Fei 2015)."""

PerUnit = Float[np.ndarray, "hidden"]


@dataclass(frozen=True, eq=False, repr=False)
class Saturation:
    """The slopes of the units and the openness of the gates of a network on given inputs.

    Attributes
    ----------
    slope : array [T]
        ‖∂a[t]/∂s[t]‖ at each step: how strongly a unit's output reacts to its own pre-activations of that step,
        all gates together; the mean over units and samples. For the simple recurrent cell it is |f'(s)|: 1 - a²
        for tanh, which is 1 in the linear range and 0 in saturation.
    slopes : mapping of str to array [T]
        The mean of |∂a[t]/∂s[t]| for each gate alone. The derivatives come from the cell's own backward, at fixed
        earlier states. A part that passes through R within the step, as from the reset gate of `gru-before`, mixes
        units and is left out.
    openness : mapping of str to array [T]
        The mean value of each gate that lies between 0 and 1 (`Cell.sigmoid_gates`) at each step.
    closed, open : mapping of str to array [H]
        For each of these gates and each unit, the share of steps and samples at which the gate is below 0.1, and
        above 0.9 ("left-saturated" and "right-saturated" in Karpathy, Johnson & Fei-Fei 2015, arXiv:1506.02078,
        section 4.2).
    """

    slope: PerStep
    slopes: Mapping[str, PerStep]
    openness: Mapping[str, PerStep]
    closed: Mapping[str, PerUnit]
    open: Mapping[str, PerUnit]

    def __repr__(self) -> str:
        gates = "".join(f", {gate} {value.mean():.2f}" for gate, value in self.openness.items())
        return f"<Saturation over {len(self.slope)} steps: slope {self.slope.mean():.3g}{gates}>"

    @classmethod
    @quiet
    def of(cls, network: Model, x: Array) -> Self:
        """Run a network on `x` in float64, and measure its units.

        Parameters
        ----------
        network : Network or another Model
        x : array [T, F] or [T, B, F]

        Raises
        ------
        InvalidArgument
            If `x` does not fit the network, a state is not finite, or memspan has no cell that computes the same.
        """
        weights, trace = traced(network, x)
        cell, shape = trace.cell, trace.a.shape
        states = trace.states
        d_state = (np.ones(shape), *(np.zeros(shape) for _ in cell.states[1:]))
        with naming(f"The cell {cell.name}"):
            d_gates, _, _ = cell.backward(
                d_state, tuple(trace.residuals), tuple(states[:, :-1]), tuple(states[:, 1:]), cell.unit(weights.U)
            )
        by_gate = np.abs(np.stack([np.broadcast_to(d_gate, shape) for d_gate in d_gates]))
        slopes = dict(zip(cell.gates, by_gate.mean(axis=(2, 3)), strict=True))
        gates = {name: trace.gate(name) for name in cell.sigmoid_gates}
        return cls(
            np.sqrt((by_gate**2).sum(axis=0)).mean(axis=(1, 2)),
            slopes,
            openness={name: gate.mean(axis=(1, 2)) for name, gate in gates.items()},
            closed={name: (gate < CLOSED).mean(axis=(0, 1)) for name, gate in gates.items()},
            open={name: (gate > OPEN).mean(axis=(0, 1)) for name, gate in gates.items()},
        )
