"""The initializers of the weights.

An initializer draws one block `[rows, columns]` of a weight matrix. `W` and `R` are drawn gate by gate, so the
fan-out of a gate is H for any number of gates. Biases start at 0 unless the cell sets another value.

`orthogonal` and `identity` apply to the recurrent weights only. `W` and `V` then start as in the assignment
(Kratzert 2019), so a comparison of these initializers compares R alone. `identity-lecun` draws W and V by `lecun`,
as in the public solutions of the assignment.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from memspan.shapes import Array

Draw = Callable[[np.random.Generator, int, int], Array]


def uniform(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """U(-0.2, 0.2): the initial weights of the assignment."""
    return rng.uniform(-0.2, 0.2, (rows, columns))


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """A uniformly distributed orthogonal matrix (Saxe, McClelland & Ganguli 2014, arXiv:1312.6120).

    Q of the QR decomposition of a Gaussian matrix, each column multiplied by the sign of R's diagonal element.
    Without these signs Q is not uniformly distributed (Mezzadri 2007, arXiv:math-ph/0609050, section 5).
    """
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return np.asarray(q * np.sign(np.diag(r)))


def identity(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """The identity matrix (Le, Jaitly & Hinton 2015, arXiv:1504.00941). With relu it makes the IRNN.

    The paper draws the other weights from N(0, 0.001²); here they start as in the assignment (Kratzert 2019).
    """
    return np.eye(rows, columns)


def glorot(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """U(±√(6 / (fan-in + fan-out))) (Glorot & Bengio 2010, equation 16)."""
    limit = np.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns))


def lecun(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """U(±√(3 / fan-in)): variance 1 / fan-in (LeCun, Bottou, Orr & Müller 1998, section 4.6)."""
    limit = np.sqrt(3 / rows)
    return rng.uniform(-limit, limit, (rows, columns))


@dataclass(frozen=True)
class Initializer:
    """The initial distribution of the recurrent weights R, and that of W and V."""

    recurrent: Draw
    other: Draw

    def __repr__(self) -> str:
        return f"<Initializer: R {self.recurrent.__name__}, W and V {self.other.__name__}>"


INITIALIZERS: dict[str, Initializer] = {
    "uniform": Initializer(uniform, uniform),
    "orthogonal": Initializer(orthogonal, uniform),
    "identity": Initializer(identity, uniform),
    "identity-lecun": Initializer(identity, lecun),
    "glorot": Initializer(glorot, glorot),
    "lecun": Initializer(lecun, lecun),
}
"""Every initializer, under the name that `Network(init=...)` and the command line accept."""
CRITICAL = "critical"
"""The name for a cell's default initializer with the critical gain of R, which depends on the task and the length.

So it is no `Initializer`; `memspan.study.Configuration` resolves it (`memspan.study.critical`)."""
