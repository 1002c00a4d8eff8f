"""The places of the weights of a foreign model in one vector."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ForeignLayout:
    """The place of each trainable parameter of a model in the flat vector.

    Attributes
    ----------
    model : str
        The model as its library prints it. So networks of different models have different layouts.
    places : tuple of (name, shape)
    """

    model: str
    places: tuple[tuple[str, tuple[int, ...]], ...]

    def __repr__(self) -> str:
        return f"<ForeignLayout: {', '.join(f'{name} {[*shape]}' for name, shape in self.places)}>"

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, by name."""
        return dict(self.places)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """The part of the flat vector of each parameter, by name."""
        sizes = [prod(shape) for _, shape in self.places]
        ends = np.cumsum(sizes).tolist()
        return {
            name: slice(end - size, end) for (name, _), size, end in zip(self.places, sizes, ends, strict=True)
        }

    @cached_property
    def size(self) -> int:
        """P, the number of weights."""
        return sum(prod(shape) for _, shape in self.places)

    def by_name(self, flat: Any) -> dict[str, Any]:
        """The parameters by name, as views into `flat [..., P]`, an array or a tensor."""
        front = tuple(flat.shape[:-1])
        return {name: flat[..., self.slices[name]].reshape(front + shape) for name, shape in self.places}
