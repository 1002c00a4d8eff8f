"""The arguments of `Steps` and `Sequence`, and what a user's cell or layer returns: checks and their messages.

An array is a NumPy or JAX array or a PyTorch tensor: whatever has a shape.
"""

from collections.abc import Callable
from typing import Any

from memspan.errors import InvalidArgument, shown, truth, whole_number
from memspan.foreign.gradients import State


def checked_initial(state: Any) -> Any:
    """Return an initial state as it was given: a function, a width, or a tuple of widths."""
    if callable(state):
        return state
    if not isinstance(state, tuple | list):
        return whole_number("state", state)
    if not state:
        raise InvalidArgument("state", "a width, a tuple of at least one width, or a function", shown(state))
    return tuple(whole_number(f"state[{i}]", width) for i, width in enumerate(state))


def checked_batch_first(layer: Any, name: str, batch_first: bool | None) -> bool:
    """Return whether a layer takes `[B, T, F]`; raise if it reads backwards too, or its order is not known."""
    if getattr(layer, "bidirectional", False) is True:
        rule = "a layer that reads forwards only; with bidirectional=True y[t] depends on the inputs after t"
        raise InvalidArgument("rnn", rule, name)
    own = getattr(layer, "batch_first", None)
    if not isinstance(own, bool):
        if batch_first is None:
            raise InvalidArgument("batch_first", f"given, because {name} has no attribute of that name", "None")
        return truth("batch_first", batch_first)
    if batch_first is not None and truth("batch_first", batch_first) != own:
        raise InvalidArgument("batch_first", f"{own}, as in this {name}, or left out", repr(batch_first))
    return own


def checked_read(read: Callable[[State], Any] | None) -> Callable[[State], Any] | None:
    """Return a function of the state that reads the layer's output, or None."""
    if read is not None and not callable(read):
        raise InvalidArgument("read", "a function of the state", shown(read))
    return read


def demand_new_state(name: str, form: str, before: State, after: Any) -> None:
    """Raise unless a cell returned its new state alone, in the form of the state before it."""
    several = isinstance(before, tuple | list)
    if before is None or (
        isinstance(after, tuple | list) and len(after) == len(before) if several else is_array(after)
    ):
        return
    rule = (
        f"given for {name}: form='keras' if it returns (output, state), form='carry' if it takes "
        f"(state, x) and returns (state, output). With the form {form!r} it returns its new state alone"
    )
    raise InvalidArgument("form", rule, f"{described(after)} for a state that is {described(before)}")


def demand_width(
    name: str, output: Any, sizes: tuple[int, ...], axes: str, width: int | None, outputs: int
) -> None:
    """Raise unless the output of a cell or layer is an array `[sizes..., width]`; without a width, of O outputs.

    `axes` names the sizes, such as "T, B".
    """
    last, what = (outputs, "outputs") if width is None else (width, "width")
    if not is_array(output) or tuple(output.shape) != (*sizes, last):
        rule = f"of shape [{axes}, {last}] = {[*sizes, last]} ({what})"
        raise InvalidArgument(f"The output of {name}", rule, described(output))


def checked_pair(name: str, result: Any, rule: str) -> tuple[Any, Any]:
    """Return the two parts of what a cell returned."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise InvalidArgument(f"The result of {name}", f"the pair {rule}", described(result))
    return result[0], result[1]


def is_array(value: Any) -> bool:
    """Whether a value is an array."""
    return hasattr(value, "shape")


def described(value: Any) -> str:
    """Describe a result: the shape of an array, and the number of parts of a tuple."""
    if is_array(value):
        kind = "tensor" if hasattr(value, "requires_grad") else "array"  # in the words of the library
        return f"one {kind} of shape {[*value.shape]}"
    return f"{len(value)} parts" if isinstance(value, tuple | list) else shown(value)
