"""The network: forward, backward, update, and the weights by name."""

import copy
from typing import Any, Self

import numpy as np
from jaxtyping import Inexact
from numpy.typing import DTypeLike

from memspan.cells import CELLS, Cell
from memspan.cells.initializers import CRITICAL, INITIALIZERS
from memspan.engines.parameters import Layout, Weights, initial_weights
from memspan.engines.readable import Gradients, Trace, backpropagate, unroll
from memspan.errors import (
    InvalidArgument,
    NotReady,
    generator,
    one_dtype,
    one_of,
    real_number,
    shown,
    whole_number,
)
from memspan.network.model import Model, checked_output_steps
from memspan.runtime.floats import quiet
from memspan.runtime.memory import demand_memory
from memspan.runtime.renamed import RenamedAttribute, checked_keywords
from memspan.shapes import Array, Flat, Outputs

DTYPES = ("float32", "float64", "complex128")
Matrix = Inexact[np.ndarray, "rows columns"]


class _Matrix:
    """An attribute of `Network` that reads and writes one matrix inside the flat vector of all weights."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, network: "Network | None", owner: type) -> Any:
        return self if network is None else getattr(network.weights, self.name)

    def __set__(self, network: "Network", value: Array) -> None:
        network.set_weights({**network.get_weights(), self.name: value})


class Network(Model):
    """A recurrent network of any cell. It reads a sequence and predicts at its end.

        s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s        the linear map, the same for every cell
        a[t], ... = cell(s[t], ...)             pointwise
        ŷ = Vᵀ a[T] + b_y                       the readout, of the last step or of the last K

    Parameters
    ----------
    cell : Cell or str
        The cell, or its name in `memspan.CELLS`.
    input_size, hidden_size, output_size : int
        F, H and O.
    init : str, optional
        An initializer from `memspan.INITIALIZERS`; by default that of the cell. It never changes the cell: the
        IRNN is `Network("rnn-relu", init="identity", ...)`.
    gain : float
        The factor of the initial weights W, R and V (of R alone for `orthogonal` and `identity`).
    recurrent_gain : float
        An additional factor of the initial R, for every initializer; 1 for a cell without R.
    dtype : float32, float64 or complex128
        The dtype of the weights and of all results. complex128 serves the complex step of the gradient check.
    output_steps : int, optional
        K: the network predicts after each of the last K steps, and ŷ has a leading axis of length K. If None, the
        network predicts after the last step only.
    rng : Generator, SeedSequence or int, optional
        The source of the initial weights; fresh entropy if None.

    Attributes
    ----------
    W, R, bs, V, by : array
        `[F, G·H]`, `[H, G·H]`, `[G·H, 1]`, `[H, O]`, `[O, 1]`: views into `parameters`. Assignment copies. Some
        cells also have per-unit weights `U [K, H]`, and some have no R.
    parameters : array [P]
        All weights in one vector.
    trace : Trace or None
        The values of the last forward pass: `trace.x`, `trace.a`, `trace.y_hat`, and the gates by name.
    grads : Gradients or None
        The values of the last backward pass: the gradient of each weight by name, for `update`, and dL/da[t] and
        dL/ds[t] of each time step, for the diagnostics.

    Raises
    ------
    InvalidArgument
        If a size, name, dtype, array shape or number is invalid.
    NotReady
        A `RuntimeError`: `backward` before `forward`, or `update` before `backward`.
    """

    W, R, bs, V, by, U = _Matrix(), _Matrix(), _Matrix(), _Matrix(), _Matrix(), _Matrix()
    gradients = RenamedAttribute("grads")
    engine = "compiled"

    @checked_keywords(read_out="output_steps")
    @quiet
    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        init: str | None = None,
        gain: float = 1.0,
        recurrent_gain: float = 1.0,
        dtype: DTypeLike = np.float64,
        output_steps: int | None = None,
        rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    ) -> None:
        self.cell = cell if isinstance(cell, Cell) else CELLS[one_of("cell", cell, CELLS)]
        self.input_size = whole_number("input_size", input_size)
        self.hidden_size = whole_number("hidden_size", hidden_size)
        self.output_size = whole_number("output_size", output_size)
        self.dtype = one_dtype("dtype", dtype, DTYPES)
        self.output_steps = checked_output_steps(output_steps)
        if isinstance(init, str) and init == CRITICAL:
            rule = f"one of {', '.join(INITIALIZERS)}; the critical gain depends on the task and the length"
            hint = ". Use Configuration(init='critical').make_network(length, rng), or a study"
            raise InvalidArgument("init", rule, shown(init), hint)
        init = one_of("init", self.cell.init if init is None else init, INITIALIZERS)
        gain = real_number("gain", gain, above=0)
        recurrent_gain = self.cell.checked_recurrent_gain(recurrent_gain)
        largest = max(("input_size", "hidden_size", "output_size"), key=lambda name: getattr(self, name))
        demand_memory(largest, f"{getattr(self, largest):,}", self.layout.size * 8)  # weights are drawn in float64
        flat = initial_weights(self.layout, init, gain, generator("rng", rng, "weights"), recurrent_gain)
        self.parameters: Flat = flat.astype(self.dtype)
        if not np.isfinite(self.parameters).all():
            raise InvalidArgument("gain", f"small enough for finite initial weights in {self.dtype}", repr(gain))
        self.trace: Trace | None = None
        self.grads: Gradients | None = None

    def __repr__(self) -> str:
        sizes = f"{self.input_size} in, {self.hidden_size} hidden, {self.output_size} out"
        return f"<{type(self).__name__} of {self.cell.name}, {sizes}, {self.dtype}>"

    @property
    def name(self) -> str:
        """The name of the cell."""
        return self.cell.name

    @property
    def layout(self) -> Layout:
        """The sizes, and the place of each matrix in `parameters`."""
        return Layout(self.cell, self.input_size, self.hidden_size, self.output_size)

    @property
    def weights(self) -> Weights:
        """The matrices, as views into `parameters`."""
        return self.layout.views(self.parameters)

    def forward(self, x: Array) -> Outputs:
        """Predict from `x`, and keep the trace of every time step for `backward`.

        Parameters
        ----------
        x : array [T, F] or [T, B, F]
            One sequence or a batch of sequences; copied, in the network's dtype.

        Returns
        -------
        array [1, O] or [B, O], or [K, B, O]
        """
        self._forget()
        self.trace = unroll(self.cell, self.weights, self.inputs(x), self.output_steps or 1)
        return self.trace.y_hat.reshape(self._answer(self.trace)).copy()

    def predict(self, x: Array) -> Outputs:
        """Predict from `x` like `forward`, without keeping a trace."""
        trace = unroll(self.cell, self.weights, self.inputs(x), self.output_steps or 1)
        return trace.y_hat.reshape(self._answer(trace))

    def backward(self, d_loss: Array) -> Gradients:
        """Back-propagate through time from dL/dŷ.

        Parameters
        ----------
        d_loss : array [B, O] or [K, B, O], or [O] for one sequence
            dL/dŷ, in the shape that `forward` returned.

        Returns
        -------
        Gradients
            A mapping with `d_V [H, O]`, `d_W [T, F, G·H]`, `d_R [T, H, G·H]`, `d_bs [T, G·H, 1]`, `d_by [O, 1]`,
            and `d_U [T, K, H]` if the cell has per-unit weights. All are summed over the batch. `d_W`, `d_R`,
            `d_bs` and `d_U` keep the contribution of each time step separate. The same object is kept as `grads`,
            so `update` sees any change to it.
        """
        return self.backpropagate(self._checked_floats("d_loss", d_loss))

    def backpropagate(self, d_loss: Array) -> Gradients:
        """Like `backward`, but `d_loss` may contain infinity and NaN."""
        if self.trace is None:
            raise NotReady("backward needs a forward pass: call .forward(x) first.")
        self.grads = backpropagate(self.weights, self.trace, self._output_gradient(d_loss, self.trace))
        return self.grads

    @quiet
    def update(self, lr: float) -> None:
        """Take one step of gradient descent: subtract from each weight `lr` times its gradient, summed over time.

        Raises
        ------
        NotReady
            If `backward` has not been called since the last update.
        InvalidArgument
            If a gradient is not finite, or a weight would not be finite after the step. No weight changes then.
        """
        if self.grads is None:
            raise NotReady("update needs gradients: call .forward(x) and .backward(d_loss) first.")
        lr = real_number("lr", lr, above=0)
        updated = {}
        for name, weight in self.layout.by_name(self.parameters).items():
            gradient = self.grads[f"d_{name}"]
            gradient = gradient.sum(axis=0) if gradient.ndim == 3 else gradient
            updated[name] = weight - lr * gradient
            if not np.isfinite(gradient).all():
                raise InvalidArgument(f"d_{name}", f"finite in {self.dtype}", "infinity or NaN")
            if not np.isfinite(updated[name]).all():
                raise InvalidArgument("lr", f"small enough to keep {name} finite in {self.dtype}", repr(lr))
        for name, weight in self.layout.by_name(self.parameters).items():
            weight[:] = updated[name]
        self._forget()

    @quiet
    def astype(self, dtype: DTypeLike) -> Self:
        """Return a network with the same weights in another dtype, without trace and gradients."""
        twin = copy.copy(self)
        twin.dtype = one_dtype("dtype", dtype, DTYPES)
        twin.parameters = self.parameters.astype(twin.dtype)
        if np.isfinite(self.parameters).all() and not np.isfinite(twin.parameters).all():
            raise InvalidArgument("dtype", "one in which all weights are finite", str(twin.dtype))
        twin._forget()
        return twin
