"""Adapters: a PyTorch cell or recurrent layer of any known convention becomes a model that memspan calls.

The protocol of a model is `model(x [T, B, F], state=None) -> (y [T, B, O], state)`. The state is any nesting of
tuples, lists and dictionaries with tensors `[B, ...]`. A call without a state starts afresh. memspan reads the
last K steps of y.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map  # torch.func is built on it

from memspan.errors import InvalidArgument, one_of, shown, whole_number
from memspan.foreign.adapters import (
    checked_batch_first,
    checked_initial,
    checked_pair,
    checked_read,
    demand_new_state,
    demand_width,
    described,
)
from memspan.foreign.gradients import State
from memspan.torch.tensors import Tensor, is_real


class Adapter(torch.nn.Module):
    """The common part of `Steps` and `Sequence`: the read-out, and the part of a state that is read.

    Parameters
    ----------
    module : Module
        The cell or layer.
    width : int or None
        The number of its outputs that a linear read-out reads. If None, the module gives the O outputs itself.
    outputs : int
        O.
    """

    def __init__(self, module: Tensor, width: int | None, outputs: int) -> None:
        super().__init__()
        self.initial: Any = None
        if not isinstance(module, torch.nn.Module):
            raise InvalidArgument("module", "an object of a subclass of torch.nn.Module", shown(module))
        self.module = module
        self.width = whole_number("width", width) if width is not None else None
        self.outputs = whole_number("outputs", outputs)
        self.read_out = None if self.width is None else torch.nn.Linear(self.width, self.outputs)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return y `[T, B, O]` for x `[T, B, F]`, and the state after the last step."""
        a, state = self.features(x, state)
        return (a if self.read_out is None else self.read_out(a)), state

    def features(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return what the read-out reads, `[T, B, width]`, and the state after the last step."""
        raise NotImplementedError

    def start(self, x: Tensor) -> State:
        """Return the initial state for x `[T, B, F]`; None if the module makes it when called without one."""
        batch, initial = x.shape[1], self.initial
        if callable(initial):
            return initial(batch, x)
        if isinstance(initial, tuple):
            return tuple(x.new_zeros(batch, width) for width in initial)
        return None if initial is None else x.new_zeros(batch, initial)

    def read(self, state: State) -> Tensor:
        """Return the part of a state that the read-out reads, `[B, width]`, or all of it if it reads no part."""
        return side_by_side(state)

    @property
    def _name(self) -> str:
        return type(self.module).__name__


class Steps(Adapter):
    """A model from a cell that takes one time step.

    Parameters
    ----------
    cell : Module
        The cell. Its convention is known from its base class for the cells of `torch.nn` and torchrecurrent;
        `form` names that of other cells.
    width : int or None
        The width of the cell's output, which memspan's linear read-out reads: an `nn.Linear` with PyTorch's
        initial weights. If None, the cell gives the O outputs itself.
    outputs : int
        O.
    state : int, tuple of int or callable, optional
        The initial state. A function `state(batch, x)` returns it, for x `[T, B, F]`. Otherwise the cell's own
        initialiser makes it, if the cell is of a known base class or has `get_initial_state`. Otherwise it is
        zeros of this width, or a tuple of zeros of these widths.
    form : str, optional
        `torch`: `cell(x, h) -> h` or `cell(x, (h, c)) -> (h, c)`, the default; the first tensor is the output.
        `carry`: `cell(carry, x) -> (carry, output)`, as in flax. `keras`: `cell(x, states) -> (output, states)`.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, the cell is of a known base class with another form, or the cell returns something
        that the form does not allow.

    Examples
    --------
    >>> import torch
    >>> from memspan.torch import Steps
    >>> model = Steps(torch.nn.GRUCell(1, 8), width=8, outputs=2)
    >>> y, state = model(torch.zeros(5, 3, 1))
    >>> y.shape, state.shape
    (torch.Size([5, 3, 2]), torch.Size([3, 8]))
    """

    def __init__(
        self,
        cell: Tensor,
        width: int | None,
        outputs: int,
        *,
        state: int | tuple[int, ...] | Callable[[int, Tensor], State] | None = None,
        form: str | None = None,
    ) -> None:
        super().__init__(cell, width, outputs)
        if _is_layer(cell):
            rule = f"a cell that takes one time step; write Sequence({self._name}(...), ...) for a whole sequence"
            raise InvalidArgument("cell", rule, self._name)
        known = _known_form(cell)
        if form is not None and one_of("form", form, FORMS) != (known or form):
            raise InvalidArgument("form", f"{known!r} for {self._name}, or left out", repr(form))
        self.form = form or known or "torch"
        self.initial = self._own_initial(state) if state is None or not callable(state) else state
        self._place: int | None = 0  # of the output among the tensors of the state, found in each call

    def features(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return the cell's output at every step, `[T, B, width]`, and the last state."""
        outputs: list[Tensor] = []
        state = self.start(x) if state is None else state
        for x_t in x.unbind():
            before = state
            output, state = FORMS[self.form](self.module, x_t, before)
            if not outputs:
                self._check(output, before, state, x.shape[1])
            outputs.append(output)
        return torch.stack(outputs), state

    def read(self, state: State) -> Tensor:
        """Return the part of a state that is also the cell's output, `[B, width]`; otherwise all of it."""
        return side_by_side(state) if self._place is None else side_by_side(tree_leaves(state)[self._place])

    def start(self, x: Tensor) -> State:
        """Return the initial state for x `[T, B, F]`; None if the cell makes it when it is called without one."""
        if self.initial is None and self.form == "keras" and not _known_form(self.module):
            return self.module.get_initial_state(batch_size=x.shape[1])
        return super().start(x)

    def _own_initial(self, state: int | tuple[int, ...] | None) -> Any:
        """Return the initial state of a known cell, or else `state`; None if the cell makes it itself."""
        cell = self.module
        if isinstance(cell, torch.nn.RNNCellBase):
            return (cell.hidden_size,) * 2 if isinstance(cell, torch.nn.LSTMCell) else cell.hidden_size
        if _known_form(cell) or (self.form == "keras" and callable(getattr(cell, "get_initial_state", None))):
            return None
        if state is None:
            rule = f"the width of the state of {self._name}, a tuple of widths, or a function"
            raise InvalidArgument("state", rule, "None")
        return checked_initial(state)

    def _check(self, output: Tensor, before: State, after: State, batch: int) -> None:
        """Check the first step of a call; find the output among the tensors of the state."""
        if self.form == "torch":
            demand_new_state(self._name, self.form, before, after)
        demand_width(self._name, output, (batch,), "B", self.width, self.outputs)
        found = (place for place, leaf in enumerate(tree_leaves(after)) if leaf is output)
        self._place = next(found, None)


class Sequence(Adapter):
    """A model from a recurrent layer that takes a whole sequence: `rnn(x, hx) -> (y, hx)`.

    Parameters
    ----------
    rnn : Module
        For example an `nn.LSTM`, a layer of torchrecurrent, or a network of ncps.
    width : int or None
        The width of the layer's output, which memspan's linear read-out reads: an `nn.Linear` with PyTorch's
        initial weights. If None, the layer gives the O outputs itself.
    outputs : int
        O.
    batch_first : bool, optional
        Whether the layer takes `[B, T, F]`. It need not be said if the layer has an attribute `batch_first`.
    state : int, tuple of int or callable, optional
        The initial state, as in `Steps`. By default that of the layer, which is called without a state.
    read : callable, optional
        `read(state)` is the part `[B, width]` of memspan's state that is also the layer's output. It is known for
        the layers of `torch.nn` and torchrecurrent: the state of the last layer, `h[:, -1]`. It does not change
        the model, but tells the diagnostics which gradient dL/da[t] is.
    state_axis : int, optional
        The batch axis of the tensors of a state. 1 for `[layers, B, H]`, which is known for the layers of
        `torch.nn` and torchrecurrent; otherwise 0.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, or the layer is bidirectional. Then y[t] depends on later inputs.

    Examples
    --------
    >>> import torch
    >>> from memspan.torch import Sequence
    >>> model = Sequence(torch.nn.LSTM(1, 8), width=8, outputs=2)
    >>> y, (h, c) = model(torch.zeros(5, 3, 1))
    >>> y.shape, h.shape  # a state is [B, layers, H]
    (torch.Size([5, 3, 2]), torch.Size([3, 1, 8]))
    """

    def __init__(
        self,
        rnn: Tensor,
        width: int | None,
        outputs: int,
        *,
        batch_first: bool | None = None,
        state: int | tuple[int, ...] | Callable[[int, Tensor], State] | None = None,
        read: Callable[[State], Tensor] | None = None,
        state_axis: int | None = None,
    ) -> None:
        super().__init__(rnn, width, outputs)
        if _known_form(rnn):
            rule = f"a layer that takes a whole sequence; write Steps({self._name}(...), ...) for one time step"
            raise InvalidArgument("rnn", rule, self._name)
        self.batch_first = checked_batch_first(rnn, self._name, batch_first)
        read = checked_read(read)
        self.read_given = read is not None
        self._read = read or (_last_layer if _inherits(rnn, STACKED) else None)
        axis = 1 if _is_layer(rnn) else 0
        self.state_axis = axis if state_axis is None else whole_number("state_axis", state_axis, least=0, most=1)
        self.initial = None if state is None else checked_initial(state)

    def features(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return the layer's output at every step, `[T, B, width]`, and the last state."""
        state = self.start(x) if state is None else state
        given = x.transpose(0, 1) if self.batch_first else x
        result = self.module(given) if state is None else self.module(given, self._turned(state))
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], torch.Tensor):
            raise InvalidArgument(f"The result of {self._name}", "the pair (y, state)", described(result))
        a, state = result[0], self._turned(result[1])
        axes = "B, T" if self.batch_first else "T, B"
        demand_width(self._name, a, tuple(given.shape[:2]), axes, self.width, self.outputs)
        a = a.transpose(0, 1) if self.batch_first else a
        if self._read is not None and len(x) == 1:  # so the gradient of the state is the whole one
            a = self._read(state)[None]
        return a, state

    def read(self, state: State) -> Tensor:
        """Return the part of a state that is also the output, `[B, width]`, if it is known; or all of it."""
        return side_by_side(state) if self._read is None else self._read(state)

    def _turned(self, state: State) -> State:
        """Exchange memspan's `[B, layers, H]` and the layer's `[layers, B, H]`."""
        if self.state_axis == 0:
            return state
        return tree_map(lambda part: part.transpose(0, 1).contiguous(), state)


def _torch_step(cell: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
    after = cell(x, state)
    return (after if isinstance(after, torch.Tensor) else next(iter(after), None)), after


def _carry_step(cell: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
    state, output = checked_pair(type(cell).__name__, cell(state, x), "(carry, output)")
    return output, state


def _keras_step(cell: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
    output, state = checked_pair(type(cell).__name__, cell(x, state), "(output, states)")
    return output, state


FORMS: dict[str, Callable[[Tensor, Tensor, State], tuple[Tensor, State]]] = {
    "torch": _torch_step,
    "carry": _carry_step,
    "keras": _keras_step,
}
"""The conventions of cells by name: each takes one step and returns the output and the new state."""

KNOWN_FORMS = {
    ("torch.nn.modules.rnn", "RNNCellBase"): "torch",
    ("torchrecurrent.base", "SingleStateCellBase"): "torch",
    ("torchrecurrent.base", "DoubleStateCellBase"): "torch",
    ("torchrecurrent.base", "DecoupledSingleStateCellBase"): "keras",
    ("torchrecurrent.base", "DecoupledDoubleStateCellBase"): "keras",
}
"""The conventions of cells by module and name of a base class."""
STACKED = {
    ("torch.nn.modules.rnn", "RNNBase"),
    ("torchrecurrent.base", "SingleStateRecurrentLayerBase"),
    ("torchrecurrent.base", "DoubleStateRecurrentLayerBase"),
}
"""Base classes of layers whose output is the state of the last layer."""
DECOUPLED_LAYERS = {
    ("torchrecurrent.base", "DecoupledSingleStateRecurrentLayerBase"),
    ("torchrecurrent.base", "DecoupledDoubleStateRecurrentLayerBase"),
}


def _last_layer(state: State) -> Tensor:
    """Return h of the last layer, `[B, H]`."""
    return (state if isinstance(state, torch.Tensor) else state[0])[:, -1]


def _bases(module: Tensor) -> list[tuple[str, str]]:
    return [(base.__module__, base.__name__) for base in type(module).__mro__]


def _inherits(module: Tensor, bases: set[tuple[str, str]]) -> bool:
    return any(base in bases for base in _bases(module))


def _is_layer(module: Tensor) -> bool:
    return _inherits(module, STACKED | DECOUPLED_LAYERS)


def _known_form(cell: Tensor) -> str | None:
    """Return the convention of a cell by its base class; None if it is not known."""
    return next((KNOWN_FORMS[base] for base in _bases(cell) if base in KNOWN_FORMS), None)


def parameters_of_known_cells(model: Tensor, kind: str) -> list[str]:
    """Return the names of the parameters of known cells and layers inside a model that begin with `kind`."""
    return [
        f"{path}.{name}" if path else name
        for path, part in model.named_modules()
        if _known_form(part) or _is_layer(part)
        for name, _ in part.named_parameters(recurse=False)
        if name.startswith(kind)
    ]


def side_by_side(state: State) -> Tensor:
    """Return all floating-point tensors of a state side by side, `[B, n]`; n is 0 if there is none."""
    leaves = [leaf for leaf in tree_leaves(state) if is_real(leaf)]
    return torch.cat([leaf.reshape(len(leaf), -1) for leaf in leaves], dim=1) if leaves else torch.zeros(0, 0)
