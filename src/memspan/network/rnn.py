"""The recurrent network of the assignment (Kratzert 2019)."""

import numpy as np
from numpy.typing import DTypeLike

from memspan.cells.rnn import RNN_RELU, RNN_TANH
from memspan.errors import one_of
from memspan.network.network import Network
from memspan.runtime.renamed import checked_keywords

ACTIVATIONS = {"tanh": RNN_TANH, "relu": RNN_RELU}
"""The cell of `RNN` for each activation."""


class RNN(Network):
    """The recurrent network of the assignment (Kratzert 2019).

    Forward, for t = 1 ... T from a[0] = 0:

        s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s
        a[t] = tanh(s[t])
        ŷ = Vᵀ a[T] + b_y

    Backward. Let L be any function of ŷ, and write δ[t] = dL/ds[t], a column of H numbers.

    *The readout.* ŷ_k = Σ_j V_jk a_j[T] + (b_y)_k, so the derivative of ŷ_k is a_j[T] with respect to V_jk,
    1 with respect to (b_y)_k, and V_jk with respect to a_j[T]:

        dL/dV = a[T] (dL/dŷ)ᵀ          dL/db_y = dL/dŷ          dL/da[T] = V dL/dŷ

    *One step.* tanh' = 1 - tanh² for each unit. For t < T, a[t] enters s[t+1] only, through Rᵀ:

        δ[t] = dL/da[t] · (1 - a[t]²)          dL/da[t] = R δ[t+1]

    *The recurrent weights.* Every step uses the same weights. If step t had its own copies W[t], R[t], b_s[t],
    then s_k[t] = Σ_i W_ik[t] x_i[t] + Σ_j R_jk[t] a_j[t-1] + (b_s)_k[t] would give

        dL/dW[t] = x[t] δ[t]ᵀ          dL/dR[t] = a[t-1] δ[t]ᵀ          dL/db_s[t] = δ[t]

    Because all copies are the same weight, its gradient is the sum of these over t. `backward` returns the
    summands, because they show how the gradient vanishes: δ[t] is δ[T] times T - t factors R and 1 - a².

    For a batch, each of these gradients is the sum over the samples. The code stores samples as rows, not columns.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        F, H and O.
    init : str
        An initializer: `uniform` (U(-0.2, 0.2), as in the assignment), `orthogonal`, `identity`, `glorot` or
        `lecun`; `memspan.cells.initializers` cites their sources. Biases start at 0.
    activation : `tanh` or `relu`, optional
        By default relu for `init="identity"` (the IRNN of Le, Jaitly & Hinton 2015), otherwise tanh.
    gain, recurrent_gain, dtype, output_steps, rng
        As for `Network`, which also describes the attributes and the errors.

    Examples
    --------
    >>> rnn = RNN(input_size=1, hidden_size=10, output_size=1, rng=0)
    >>> rnn.forward(np.ones((5, 1))).shape
    (1, 1)
    >>> rnn.backward(np.ones(1))["d_R"].shape
    (5, 10, 10)
    """

    @checked_keywords()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        init: str = "uniform",
        activation: str | None = None,
        gain: float = 1.0,
        recurrent_gain: float = 1.0,
        dtype: DTypeLike = np.float64,
        output_steps: int | None = None,
        rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    ) -> None:
        usual = "relu" if str(init) == "identity" else "tanh"
        cell = ACTIVATIONS[one_of("activation", usual if activation is None else activation, ACTIVATIONS)]
        super().__init__(
            cell,
            input_size,
            hidden_size,
            output_size,
            init=init,
            gain=gain,
            recurrent_gain=recurrent_gain,
            dtype=dtype,
            output_steps=output_steps,
            rng=rng,
        )
