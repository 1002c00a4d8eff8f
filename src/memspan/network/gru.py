"""The gated recurrent unit."""

import numpy as np
from numpy.typing import DTypeLike

from memspan.cells import CELLS
from memspan.network.network import Network
from memspan.runtime.renamed import checked_keywords


class GRU(Network):
    """The gated recurrent unit, with the reset after the product with R: `Network("gru", ...)`.

    Cho et al. 2014 (arXiv:1406.1078) reset a[t-1] before the product; that is `Network("gru-before", ...)`. This
    is the variant of cuDNN, PyTorch and Keras.

    Forward, for t = 1 ... T from a[0] = 0. W feeds the gates n, r and z, and R feeds r, z and u; W_n is the part
    of W that feeds n, and so on.

        s_n[t] = W_nᵀ x[t] + b_n                            s_u[t] = R_uᵀ a[t-1] + b_u
        s_r[t] = W_rᵀ x[t] + R_rᵀ a[t-1] + b_r              s_z[t] = W_zᵀ x[t] + R_zᵀ a[t-1] + b_z
        r[t], z[t] = σ(s_r[t]), σ(s_z[t])                   u[t] = s_u[t]
        n[t] = tanh(s_n[t] + r[t] u[t])
        a[t] = (1 - z[t]) n[t] + z[t] a[t-1]
        ŷ = Vᵀ a[T] + b_y

    Backward. Let L be any function of ŷ, and write δ_n[t] = dL/ds_n[t] and so on. Products of two columns are
    elementwise.

    *The readout* is that of `RNN`:

        dL/dV = a[T] (dL/dŷ)ᵀ          dL/db_y = dL/dŷ          dL/da[T] = V dL/dŷ

    *One step.* Each gate occurs once in the equations of n[t] and a[t]. With σ' = σ (1 - σ) and tanh' = 1 - tanh²:

        δ_n[t] = dL/da[t] · (1 - z[t]) · (1 - n[t]²)        δ_u[t] = δ_n[t] · r[t]
        δ_r[t] = δ_n[t] · u[t] · r[t] (1 - r[t])            δ_z[t] = dL/da[t] · (a[t-1] - n[t]) · z[t] (1 - z[t])

    a[t-1] enters three gates through R, and a[t] with the factor z[t]:

        dL/da[t-1] = R_r δ_r[t] + R_z δ_z[t] + R_u δ_u[t] + dL/da[t] · z[t]

    *The weights*, for each time step as in `RNN`, and for each gate that they feed:

        dL/dW_k[t] = x[t] δ_k[t]ᵀ               k = n, r, z
        dL/dR_k[t] = a[t-1] δ_k[t]ᵀ             k = r, z, u
        dL/db_k[t] = δ_k[t]                     k = n, r, z, u

    The last term of dL/da[t-1] contains the factor z[t] and no matrix. Where z stays near 1, the gradient does not
    vanish.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        F, H and O. W and R have three parts of H columns each; b_s has four, for n, r, z and u.
    init : str
        An initializer, as for `RNN`.
    gain, recurrent_gain, dtype, output_steps, rng
        As for `Network`, which also describes the attributes and the errors.

    Examples
    --------
    >>> network = GRU(input_size=1, hidden_size=10, output_size=1, rng=0)
    >>> network.forward(np.ones((5, 1))).shape
    (1, 1)
    >>> network.trace.gate("z").shape
    (5, 1, 10)
    >>> network.backward(np.ones(1))["d_R"].shape
    (5, 10, 30)
    """

    @checked_keywords()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        init: str = "uniform",
        gain: float = 1.0,
        recurrent_gain: float = 1.0,
        dtype: DTypeLike = np.float64,
        output_steps: int | None = None,
        rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    ) -> None:
        super().__init__(
            CELLS["gru"],
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
