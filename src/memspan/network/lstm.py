"""Long short-term memory."""

import numpy as np
from numpy.typing import DTypeLike

from memspan.cells import lstm
from memspan.network.network import Network
from memspan.runtime.renamed import checked_keywords


class LSTM(Network):
    """Long short-term memory with a forget gate: `Network("lstm", ...)`.

    Hochreiter & Schmidhuber 1997 (doi:10.1162/neco.1997.9.8.1735); the forget gate is that of Gers, Schmidhuber &
    Cummins 2000 (doi:10.1162/089976600300015015).

    Forward, for t = 1 ... T from a[0] = c[0] = 0. One linear map gives four numbers for each unit, one for each
    of the gates i, f, g and o:

        s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s
        i[t], f[t], o[t] = σ(s_i[t]), σ(s_f[t]), σ(s_o[t])          g[t] = tanh(s_g[t])
        c[t] = f[t] c[t-1] + i[t] g[t]
        a[t] = o[t] tanh(c[t])
        ŷ = Vᵀ a[T] + b_y

    Backward. Let L be any function of ŷ, and write δ_i[t] = dL/ds_i[t] and so on. Products of two columns are
    elementwise.

    *The readout* is that of `RNN`:

        dL/dV = a[T] (dL/dŷ)ᵀ          dL/db_y = dL/dŷ          dL/da[T] = V dL/dŷ

    *One step.* c[t] enters a[t] through tanh, and c[t+1] with the factor f[t+1]. The gradient sums both paths:

        dL/dc[t] = dL/da[t] · o[t] · (1 - tanh²(c[t])) + dL/dc[t+1] · f[t+1]

    Each gate occurs once in the equations of c[t] and a[t]. With σ' = σ (1 - σ) and tanh' = 1 - tanh²:

        δ_i[t] = dL/dc[t] · g[t] · i[t] (1 - i[t])           δ_f[t] = dL/dc[t] · c[t-1] · f[t] (1 - f[t])
        δ_g[t] = dL/dc[t] · i[t] · (1 - g[t]²)               δ_o[t] = dL/da[t] · tanh(c[t]) · o[t] (1 - o[t])

    For t < T, a[t] enters all four gates of the next step. With δ[t] the four δ side by side,

        dL/da[t] = R δ[t+1]

    *The weights*, for each time step as in `RNN`:

        dL/dW[t] = x[t] δ[t]ᵀ          dL/dR[t] = a[t-1] δ[t]ᵀ          dL/db_s[t] = δ[t]

    The direct path from dL/dc[t+1] to dL/dc[t] has the factor f[t+1] and no matrix. Where the forget gate stays
    near 1, the gradient does not vanish.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        F, H and O. G is 4.
    init : str
        An initializer, as for `RNN`.
    forget_bias : float
        The initial value of the forget gate's bias. At 1 the gate starts open (Gers et al. 2000; Jozefowicz,
        Zaremba & Sutskever 2015, section 5). At 0 the cell loses half of c at each step.
    gain, recurrent_gain, dtype, output_steps, rng
        As for `Network`, which also describes the attributes and the errors.

    Examples
    --------
    >>> network = LSTM(input_size=1, hidden_size=10, output_size=1, rng=0)
    >>> network.forward(np.ones((5, 1))).shape
    (1, 1)
    >>> network.trace.gate("f").shape
    (5, 1, 10)
    >>> network.backward(np.ones(1))["d_R"].shape
    (5, 10, 40)
    """

    @checked_keywords()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        init: str = "uniform",
        forget_bias: float = 1.0,
        gain: float = 1.0,
        recurrent_gain: float = 1.0,
        dtype: DTypeLike = np.float64,
        output_steps: int | None = None,
        rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    ) -> None:
        super().__init__(
            lstm(forget_bias),
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
