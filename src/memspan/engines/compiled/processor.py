"""What kernels ask of LLVM and the processor, beyond what Numba does.

*Denormal numbers.* A gradient that vanishes passes through the numbers below `tiny` (1e-38 in float32), on which
x86 processors compute a hundred times slower; worse, multiplied by a little less than one the smallest of them
rounds to itself and never reaches zero. So kernels switch them off, in the processor's control register, and on
again at their end.

*Vectors* as wide as there are; of itself LLVM keeps to 256 bits where 512 exist.
"""

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

FLUSH = 0x8040  # of the register MXCSR: results to zero, and operands as zero
X86 = platform.machine().lower() in ("x86_64", "amd64")


@intrinsic
def control_word(typing: Any) -> Any:
    """The processor's floating-point control word; 0 where denormals are as fast as other numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not X86:
            return ir.Constant(ir.IntType(32), 0)
        return builder.load(_call(builder, "llvm.x86.sse.stmxcsr"))

    return types.uint32(), generate


@intrinsic
def set_control_word(typing: Any, word: Any) -> Any:
    """Set it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if X86:
            _call(builder, "llvm.x86.sse.ldmxcsr", arguments[0])
        return context.get_dummy_value()

    return types.void(types.uint32), generate


@intrinsic
def prefer_widest_vectors(typing: Any) -> Any:
    """In the function that calls this."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite knows no such names
        return context.get_dummy_value()

    return types.void(), generate


@njit
def denormals_back() -> None:
    """Switch denormal numbers on, after a kernel that did not come to its end."""
    set_control_word(control_word() & np.uint32(0xFFFFFFFF ^ FLUSH))


def _call(builder: Any, name: str, word: Any = None) -> Any:
    slot = cgutils.alloca_once(builder, ir.IntType(32))
    if word is not None:
        builder.store(word, slot)
    pointer = builder.bitcast(slot, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [pointer])
    return slot
