"""JAX models and memspan's networks. It needs JAX; nothing else in memspan imports this package."""

from memspan.jax.weights import load_weights, to_equinox, to_linen, to_nnx

__all__ = ["load_weights", "to_equinox", "to_linen", "to_nnx"]
