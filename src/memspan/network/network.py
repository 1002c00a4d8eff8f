"""The network: forward, backward, update, and the weights by name."""

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Inexact
from numpy.typing import DTypeLike

from memspan.cells import CELLS, Cell
from memspan.cells.initializers import CRITICAL, INITIALIZERS
from memspan.engines.base import PreparedEngine
from memspan.engines.parameters import Layout, Weights, initial_weights, split
from memspan.engines.readable import Gradients, Trace, backpropagate, unroll
from memspan.errors import (
    InvalidArgument,
    NotReady,
    UnreadableFile,
    a_path,
    generator,
    one_dtype,
    one_of,
    real_number,
    shown,
    whole_number,
)
from memspan.losses import Loss
from memspan.network.model import Model, checked_output_steps
from memspan.network.read_out import CellReadOut
from memspan.network.steps import CellSteps
from memspan.runtime.floats import quiet
from memspan.runtime.memory import demand_memory
from memspan.runtime.renamed import RenamedAttribute, checked_keywords
from memspan.shapes import Array, Flat, Inputs, Outputs, States

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
    state : array [S, B, H] or None
        Every state after the last step that `forward` or `predict` read, in the order of `cell.states`.

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
    interchangeable = True

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
        self.state: States | None = None

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

    def forward(self, x: Array, state: Array | None = None) -> Outputs:
        """Predict from `x`, and keep the trace of every time step for `backward`.

        Parameters
        ----------
        x : array [T, F] or [T, B, F]
            One sequence or a batch of sequences; copied, in the network's dtype.
        state : array [S, B, H], optional
            The initial state: every state of the cell, in the order of `cell.states`; copied. If None, zeros.
            `network.state` has the last one, so that `forward(x[:k])` and then `forward(x[k:], network.state)`
            end like `forward(x)`.

        Returns
        -------
        array [1, O] or [B, O], or [K, B, O]
        """
        self._forget()
        self.trace = self._unrolled(x, state)
        return self.trace.y_hat.reshape(self._answer(self.trace)).copy()

    def predict(self, x: Array, state: Array | None = None) -> Outputs:
        """Predict from `x` like `forward`, without keeping a trace."""
        trace = self._unrolled(x, state)
        return trace.y_hat.reshape(self._answer(trace))

    def backward(self, d_loss: Array, d_state: Array | None = None, *, truncate: int | None = None) -> Gradients:
        """Back-propagate through time from dL/dŷ.

        Parameters
        ----------
        d_loss : array [B, O] or [K, B, O], or [O] for one sequence
            dL/dŷ, in the shape that `forward` returned.
        d_state : array [S, B, H], optional
            dL/d(last state) through later steps, if the loss also depends on a forward pass that began with
            `network.state`: the `d_state` of its gradients.
        truncate : int, optional
            k: the gradient of each output goes back through k steps, its own step included, and takes the state
            before them as a constant (BPTT(h) of Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490, with h = k;
            Sutskever 2013, section 2.8.6, with k₁ = 1 and k₂ = k). If None, it goes back to the beginning. Not
            together with `d_state`.

        Returns
        -------
        Gradients
            A mapping with `d_V [H, O]`, `d_W [T, F, G·H]`, `d_R [T, H, G·H]`, `d_bs [T, G·H, 1]`, `d_by [O, 1]`,
            and `d_U [T, K, H]` if the cell has per-unit weights. All are summed over the batch. `d_W`, `d_R`,
            `d_bs` and `d_U` keep the contribution of each time step separate. The same object is kept as `grads`,
            so `update` sees any change to it. Its `d_state [S, B, H]` is the gradient of the initial state.
        """
        return self.backpropagate(self._checked_floats("d_loss", d_loss), d_state, truncate=truncate)

    def backpropagate(
        self, d_loss: Array, d_state: Array | None = None, *, truncate: int | None = None
    ) -> Gradients:
        """Like `backward`, but `d_loss` may contain infinity and NaN."""
        if self.trace is None:
            raise NotReady("backward needs a forward pass: call .forward(x) first.")
        if truncate is not None:
            truncate = whole_number("truncate", truncate)
        if d_state is not None:
            if truncate is not None:
                raise InvalidArgument("d_state", "left out with truncate", shown(d_state))
            d_state = self._checked_state("d_state", d_state, self.trace.x)
        d_y_hat = self._output_gradient(d_loss, self.trace)
        self.grads = backpropagate(self.weights, self.trace, d_y_hat, d_state, truncate)
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

    def save(self, path: str | Path) -> None:
        """Write the network to one safetensors file. An interrupted write leaves no partial file.

        The file contains the weights by name (`W`, `R`, `bs`, `V`, `by`, `U`) and, in its metadata, the cell's
        name, the sizes, the dtype and `output_steps`.

        Raises
        ------
        InvalidArgument
            If the network is of a user's own subclass or of complex128.
        FileNotFoundError
            If the folder of `path` does not exist.
        """
        from memspan.network import files  # it needs the subclasses, which need this module

        files.write(a_path("path", path), self)

    @classmethod
    def load(cls, path: str | Path, *, cell: Cell | None = None) -> Self:
        """Load a saved network: the same class, weights to the last bit, dtype and `output_steps`.

        Parameters
        ----------
        path : path
            A file written by `save`.
        cell : Cell, optional
            The cell that the network had. It must be passed if it is not one of memspan's, because the file
            contains only its name.

        Raises
        ------
        UnreadableFile
            If the file is truncated or damaged, is not a saved network, or contains a network of another class
            than the one whose `load` was called.
        InvalidArgument
            If the cell is missing, or has another name than the saved one.
        FileNotFoundError
            If there is no file.

        Examples
        --------
        >>> import tempfile
        >>> network = Network("lstm", 1, 4, 1, rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     network.save(f"{folder}/lstm.safetensors")
        ...     loaded = Network.load(f"{folder}/lstm.safetensors")
        >>> bool((loaded.parameters == network.parameters).all())
        True
        """
        from memspan.network import files

        network = files.read(a_path("path", path), cell)
        if not isinstance(network, cls):
            found = type(network).__name__
            hint = f"Use {found}.load or Network.load."
            raise UnreadableFile(f"{path} is a saved network of the class {found}, not {cls.__name__}. {hint}")
        return network

    @quiet
    def astype(self, dtype: DTypeLike) -> Self:
        """Return a network with the same weights in another dtype, without trace and gradients."""
        twin = copy.copy(self)
        twin.dtype = one_dtype("dtype", dtype, DTYPES)
        twin.parameters = self.parameters.astype(twin.dtype)
        if np.isfinite(self.parameters).all() and not np.isfinite(twin.parameters).all():
            raise InvalidArgument("dtype", "one in which all weights are finite", str(twin.dtype))
        twin._forget()
        twin.state = None
        return twin

    def make_engine(self, loss: Loss) -> PreparedEngine:
        """Return the compiled engine for networks of this shape, in this network's dtype."""
        from memspan.engines.compiled import CompiledEngine

        return CompiledEngine(self.layout, self.dtype, loss, output_steps=self.output_steps)

    def steps(self, x: Inputs) -> CellSteps:
        """Return the steps of a pass over x `[T, B, F]`, which the cell's own backward takes back."""
        return CellSteps(self, x)

    def read_out(self) -> CellReadOut:
        """Return V and b_y, and what they read."""
        return CellReadOut(self)

    def built_in(self) -> "Network":
        """Return the network itself."""
        return self

    def recurrent_blocks(self) -> dict[str, Matrix]:
        """Return the blocks of R, one for each gate, and for each state if R reads several."""
        H, reads, found = self.hidden_size, self.cell.reads, {}
        for gate, columns in zip(self.cell.recurrent_gates, split(self.R, H), strict=True):
            for k, state in enumerate(reads):
                key = f"{gate} from {state}" if len(reads) > 1 else gate
                found[key] = columns[k * H : (k + 1) * H]
        return found

    def _unrolled(self, x: Array, state: Array | None) -> Trace:
        """Check the arguments, run the cell, and keep the last state."""
        x = self.inputs(x)
        initial = None if state is None else self._checked_state("state", state, x)
        trace = unroll(self.cell, self.weights, x, self.output_steps or 1, initial)
        self.state = trace.states[:, -1].copy()
        return trace

    def _checked_state(self, name: str, value: Array, x: Inputs) -> States:
        """Check that `value` has a row for each state, sample of `x` and unit; return a copy."""
        values, names = self._checked_floats(name, value), self.cell.states
        if values.shape != (len(names), x.shape[1], self.hidden_size):
            sizes = f"[{len(names)}, {x.shape[1]}, {self.hidden_size}]"
            rule = f"of shape {sizes}: states ({', '.join(names)}), samples and hidden units"
            raise InvalidArgument(name, rule, f"shape {values.shape}")
        return values
