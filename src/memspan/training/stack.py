"""The networks that are still in training, with all weights in one array."""

import cmath
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Inexact, Shaped

from memspan.shapes import Array, Flat
from memspan.training.history import FitResult, Outcome
from memspan.training.member import Member

Rows = list[int] | slice
"""An index of the rows of the networks that stay."""


class Stack:
    """The networks in training. Their weights are the rows of one array, and so are the optimiser's states.

    Parameters
    ----------
    members : sequence of Member
        The networks at the start. Each gets a row as its weights.

    Attributes
    ----------
    members : list of Member
        The networks still in training, one for each row.
    parameters : array [M, P]
    state : named tuple of arrays [M, ...]
        The states of the optimiser.
    """

    parameters: Inexact[np.ndarray, "models parameters"]

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        self.parameters = members[0].model.parameters[np.newaxis]  # a single network keeps its own array
        if len(members) > 1:
            self._move(np.stack([member.model.parameters for member in members]))
        states = [member.state for member in members]
        self.state = type(states[0])(*(np.stack(part) for part in zip(*states, strict=True)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()

    def leave(self, results: Mapping[int, FitResult]) -> Rows:
        """Remove the networks in these rows, with their results; return the rows of those that stay."""
        if not results:
            return slice(None)
        self._give_back(results)
        for k, result in results.items():
            member = self.members[k]
            member.result, member.model.parameters = result, self._own(k)
        stay = [k for k in range(len(self.members)) if k not in results]
        self.members = [self.members[k] for k in stay]
        self.state = type(self.state)(*(part[stay] for part in self.state))
        self._move(self.parameters[stay])
        return stay

    def leave_all(self, outcome: Outcome) -> None:
        """Remove all remaining networks, with this outcome."""
        self.leave({k: FitResult(outcome, member.updates) for k, member in enumerate(self.members)})

    def leave_diverged(
        self, proof: Iterable[Shaped[np.ndarray, "..."]], tensors: Callable[[], Mapping[str, Sequence[Any]]]
    ) -> Rows:
        """Remove the networks with a tensor that is not finite; return the rows of those that stay.

        Parameters
        ----------
        proof : arrays
            If the sum of all their squares is finite, which is the usual case, nothing else is checked.
        tensors : callable
            Returns the tensors `[M, ...]` by name. Braces in a name mean that the tensor contains weights or their
            gradients, which are checked matrix by matrix.
        """
        if cmath.isfinite(sum(np.vdot(tensor, tensor) for tensor in proof)):
            return slice(None)
        candidates, results = tensors(), {}
        for k, member in enumerate(self.members):
            named = itertools.chain.from_iterable(
                _named(member, name, part[k]) for name, part in candidates.items()
            )
            found = next((name for name, part in named if not np.isfinite(part).all()), None)
            if found is not None:
                member.waiting = None  # do not use this batch again
                results[k] = FitResult(Outcome.DIVERGED, member.updates, tensor=found)
        return self.leave(results)

    def _move(self, parameters: Inexact[np.ndarray, "models parameters"]) -> None:
        self.parameters = parameters
        for member, row in zip(self.members, parameters, strict=True):
            member.model.parameters = row

    def _own(self, k: int) -> Flat:
        """Return the weights of a network that leaves, in their own array."""
        model = self.members[k].model
        return model.parameters if len(self.members) == 1 else model.parameters.copy()

    def give_back(self) -> None:
        """Write the optimiser's states back to the members, where they can be read, copied or saved."""
        self._give_back(range(len(self.members)))

    def _give_back(self, rows: Iterable[int]) -> None:
        for k in rows:
            self.members[k].state = type(self.state)(*(part[k] for part in self.state))


def _named(member: Member, name: str, tensor: Array | np.generic) -> Iterator[tuple[str, Array | np.generic]]:
    """Yield the tensor with its name, or each matrix in it with the name of the matrix."""
    if "{}" not in name:
        yield name, tensor
        return
    for weight, view in member.model.layout.by_name(np.asarray(tensor)).items():
        yield name.format(weight), view
