"""The compiled engine: kernels that Numba makes of the cells' own functions, and the engine that calls them."""

from memspan.engines.compiled.engine import MEMORY, CompiledEngine

__all__ = ["MEMORY", "CompiledEngine"]
