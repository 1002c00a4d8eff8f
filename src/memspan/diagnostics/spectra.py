"""The eigenvalues and singular values of the recurrent weights R."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from memspan.errors import InvalidArgument, shown
from memspan.network import Model
from memspan.runtime.floats import quiet


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentSpectrum:
    """The spectrum of the part of R that feeds one gate from one state.

    With |f'| ≤ γ (tanh 1, logistic 1/4), gradients of the simple recurrent cell vanish if γ `norm` < 1, and can
    explode only if γ `norm` > 1 (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063). Linear units have
    the first Lyapunov exponent ln `radius`.

    Attributes
    ----------
    eigenvalues : complex array [H]
        By descending modulus.
    singular_values : array [H]
        Descending.
    """

    eigenvalues: Complex[np.ndarray, "hidden"]
    singular_values: Float[np.ndarray, "hidden"]

    def __repr__(self) -> str:
        return f"<RecurrentSpectrum: H = {len(self.eigenvalues)}, radius {self.radius:.4g}, norm {self.norm:.4g}>"

    @property
    def radius(self) -> float:
        """The spectral radius, the largest modulus of an eigenvalue."""
        return float(np.abs(self.eigenvalues[0]))

    @property
    def norm(self) -> float:
        """The spectral norm, the largest singular value."""
        return float(self.singular_values[0])


@quiet
def recurrent_spectra(network: Model) -> dict[str, RecurrentSpectrum]:
    """Return the spectrum of each square block of R, in float64; empty for a cell without R.

    The keys are the gates that R feeds: `a` for the simple recurrent cell, `i`, `f`, `g` and `o` for the LSTM. If
    R reads several states there is one block for each, under keys such as `h from a` and `h from z` (`cornn`). For
    a model of another library they are the names of its parameters, unless memspan has its cell.

    Parameters
    ----------
    network : Network or another Model

    Raises
    ------
    InvalidArgument
        If `network` is no network, it is not known which of its weights are R, or one of these is complex or not
        finite.
    """
    if not isinstance(network, Model):
        raise InvalidArgument("network", "a Network", shown(network))
    blocks = network.recurrent_blocks()
    if blocks is None:
        raise InvalidArgument("network", "one whose recurrent weights R memspan knows", repr(network))
    if network.dtype.kind == "c" or not all(np.isfinite(block).all() for block in blocks.values()):
        raise InvalidArgument("network", "one with real and finite recurrent weights", repr(network))
    return {key: _spectrum(block.astype(np.float64)) for key, block in blocks.items()}


def _spectrum(block: Float[np.ndarray, "hidden hidden"]) -> RecurrentSpectrum:
    eigenvalues = np.linalg.eigvals(block).astype(complex)
    by_modulus = np.argsort(-np.abs(eigenvalues), kind="stable")
    return RecurrentSpectrum(eigenvalues[by_modulus], np.linalg.svd(block, compute_uv=False))
