"""The compiled engine: kernels that Numba compiles from the cells' functions, and the engine that calls them."""

from memspan.engines.compiled.engine import MEMORY, CompiledEngine

__all__ = ["MEMORY", "CompiledEngine"]
