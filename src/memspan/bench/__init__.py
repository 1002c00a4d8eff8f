"""Time memspan's two engines, PyTorch and JAX, beside the roofline of the processor."""

from memspan.bench.case import SIZES, Case
from memspan.bench.measure import core_numbers, measure, work
from memspan.bench.peers import ENGINES
from memspan.bench.record import Benchmark, save

__all__ = ["ENGINES", "SIZES", "Benchmark", "Case", "core_numbers", "measure", "save", "work"]
