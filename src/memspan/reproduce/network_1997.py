"""The network of Hochreiter & Schmidhuber 1997: memory blocks of several cells, and a truncated gradient.

The hidden layer consists of gates and cells. With u[t-1] the outputs of its units at the previous step:

    z[t] = hidden · [x[t], u[t-1], 1]
    i, o = σ(z_i), σ(z_o)                       one of each for a block of cells
    s[t] = s[t-1] + i g,   g = 4σ(z_g) - 2      for each cell of a block
    a[t] = o h,            h = 2σ(s[t]) - 1
    ŷ = σ(output · [a[T], 1])                   a linear output, without σ, is an option that the paper lacks

Every hidden unit, including the gates, receives the outputs of all hidden units (table 10: connectivity F). The
network is not in `CELLS`, because a cell's state depends on gates that it shares with other cells, and because the
network is not trained with the gradient of its loss: errors that arrive at z change the weights, but do not
propagate further back in time. So u[t-1] is treated as a constant. With L = Σ (ŷ - y)² / 2 and e = dL/dŷ,

    dL/doutput = δ [a[T], 1]ᵀ,                δ = e ŷ (1 - ŷ); with a linear output δ = e
    dL/dz_o[T] = Σ_cells ε h σ'(o),           ε = outputᵀ δ
    dL/ds = ε o (1 - h²) / 2                  the same at every step: the constant error carousel
    dL/dz_g[t] = dL/ds · i (1 - (g/2)²),      dL/dz_i[t] = Σ_cells dL/ds · g σ'(i)

The last two lines need only ds/dhidden, which is summed during the forward pass (appendix A.1 of the paper).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import exp
from typing import Self

import numpy as np
from jaxtyping import Float

from memspan.cells.activations import sigmoid, sigmoid_derivative
from memspan.runtime.interrupts import interrupts_deferred
from memspan.shapes import Array

Sequence = Float[np.ndarray, "time features"]
Outputs = Float[np.ndarray, "outputs"]


@dataclass(frozen=True)
class Network1997:
    """The network and its weights. `learn` changes the weights in place.

    Attributes
    ----------
    blocks, size : int
        The number of memory blocks, and of cells in each.
    hidden : array [2 · blocks + blocks · size, F + hidden units + 1]
        The weights of the hidden layer. Rows: input gates, output gates, cells. Columns: inputs, hidden units,
        bias.
    output : array [O, cells + 1]
        The weights of the output. Columns: cells, bias.
    logistic : bool
        Whether the output is logistic, as in the paper, rather than linear.
    """

    blocks: int
    size: int
    hidden: Float[np.ndarray, "units sources"]
    output: Float[np.ndarray, "outputs cells_and_bias"]
    logistic: bool = True

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        features: int,
        outputs: int,
        input_gate_biases: tuple[float, ...],
        size: int = 2,
        logistic: bool = True,
    ) -> Self:
        """Draw weights from U(-0.1, 0.1). `input_gate_biases` has one value for each block, which it replaces."""
        blocks = len(input_gate_biases)
        units = blocks * (2 + size)
        hidden = rng.uniform(-0.1, 0.1, (units, features + units + 1))
        hidden[:blocks, -1] = input_gate_biases
        output = rng.uniform(-0.1, 0.1, (outputs, blocks * size + 1))
        return cls(blocks, size, hidden, output, logistic)

    @property
    def weights(self) -> int:
        """The number of weights."""
        return self.hidden.size + self.output.size

    def predict(self, x: Sequence) -> Outputs:
        """Return the output `[O]` after the last step."""
        return np.asarray(self._read(x)[0])

    def gradient(self, x: Sequence, y: Outputs) -> tuple[Outputs, Array, Array]:
        """Return the output, and the truncated gradients for `hidden` and `output`.

        The loss is half the sum of squared errors.
        """
        prediction, u, h, at_end, d_cell, d_gate = self._read(x)
        cells = len(h)
        gates, o = 2 * self.blocks, u[self.blocks : 2 * self.blocks].repeat(self.size)
        delta = prediction - y
        if self.logistic:
            delta = delta * sigmoid_derivative(prediction)
        d_output = np.outer(delta, np.append(u[gates:], 1.0))
        error = delta @ self.output[:, :cells]
        d_state = error * o * (1 - h * h) / 2
        by_block = (self.blocks, self.size, -1)
        d_hidden = np.empty_like(self.hidden)
        d_hidden[: self.blocks] = (d_state[:, np.newaxis] * d_gate).reshape(by_block).sum(axis=1)
        d_hidden[gates:] = d_state[:, np.newaxis] * d_cell
        opened = u[self.blocks : gates]
        d_open = (error * h).reshape(self.blocks, self.size).sum(axis=1) * opened * (1 - opened)
        d_hidden[self.blocks : gates] = np.outer(d_open, at_end)
        return prediction, d_hidden, d_output

    def learn(self, x: Sequence, y: Outputs, rate: float) -> Outputs:
        """Take one step of gradient descent on one sequence. Return the output before the step."""
        prediction, d_hidden, d_output = self.gradient(x, y)
        self.hidden[:] -= rate * d_hidden
        self.output[:] -= rate * d_output
        return prediction

    def _read(self, x: Sequence) -> tuple[Array, ...]:
        """Call the compiled `read`, and apply the output function."""
        z, *others = _compiled()(x, self.hidden, self.output, self.blocks, self.size)
        return (sigmoid(z) if self.logistic else z, *others)


def read(x: Array, hidden: Array, output: Array, blocks: int, size: int) -> tuple[Array, ...]:
    """Run the forward pass on one sequence, and sum ds/dhidden.

    Returns
    -------
    answer : array [O]
        output · [a[T], 1]
    u : array [units]
        The outputs of the hidden units at the last step.
    h : array [cells]
        h at the last step.
    source : array [sources]
        [x, u, 1], the input of the hidden layer at the last step.
    d_cell, d_gate : array [cells, sources]
        ds[T]/dhidden for the weights of each cell, and for those of its input gate.
    """
    units, sources = hidden.shape
    cells, gates, features = blocks * size, 2 * blocks, x.shape[1]
    source, u, s, h = np.ones(sources), np.zeros(units), np.zeros(cells), np.zeros(cells)
    d_cell, d_gate = np.zeros((cells, sources)), np.zeros((cells, sources))
    for t in range(x.shape[0]):
        source[:features] = x[t]
        source[features:-1] = u
        for unit in range(units):
            z = 0.0
            for k in range(sources):
                z += hidden[unit, k] * source[k]
            u[unit] = 1 / (1 + exp(-z))
        for cell in range(cells):
            squashed, i = u[gates + cell], u[cell // size]
            g = 4 * squashed - 2
            s[cell] += i * g
            h[cell] = 2 / (1 + exp(-s[cell])) - 1
            u[gates + cell] = u[blocks + cell // size] * h[cell]
            along_cell, along_gate = i * 4 * squashed * (1 - squashed), g * i * (1 - i)
            for k in range(sources):
                d_cell[cell, k] += along_cell * source[k]
                d_gate[cell, k] += along_gate * source[k]
    answer = output[:, cells].copy()
    for cell in range(cells):
        answer += output[:, cell] * u[gates + cell]
    return answer, u, h, source, d_cell, d_gate


@cache
def _compiled() -> Callable[..., tuple[Array, ...]]:
    """Return `read` compiled by Numba, once per process. A sequence of 100 steps takes about 50 microseconds."""
    from numba import njit

    compiled = njit(nogil=True)(read)
    with interrupts_deferred():
        compiled(np.zeros((1, 1)), np.zeros((3, 5)), np.zeros((1, 2)), 1, 1)
    return compiled
