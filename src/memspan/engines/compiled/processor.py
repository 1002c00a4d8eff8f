"""Settings of the processor and of LLVM that kernels need and Numba does not make.

*Denormal numbers.* A vanishing gradient passes through the denormal numbers (below 1e-38 in float32), with which
x86 processors compute a hundred times more slowly. Moreover, the smallest denormal number times a factor slightly
below 1 rounds to itself and never reaches zero. So a kernel switches denormal numbers off in the processor's
control register, and on again at its end.

*Vector width.* By default LLVM uses vectors of 256 bits even where 512 are available; kernels use the widest.
"""

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

FLUSH = 0x8040  # bits of the register MXCSR: flush denormal results to zero, and treat denormal operands as zero
X86 = platform.machine().lower() in ("x86_64", "amd64")


@intrinsic
def control_word(typing: Any) -> Any:
    """Return the floating-point control word; 0 on processors other than x86."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not X86:
            return ir.Constant(ir.IntType(32), 0)
        return builder.load(_call(builder, "llvm.x86.sse.stmxcsr"))

    return types.uint32(), generate


@intrinsic
def set_control_word(typing: Any, word: Any) -> Any:
    """Set the floating-point control word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if X86:
            _call(builder, "llvm.x86.sse.ldmxcsr", arguments[0])
        return context.get_dummy_value()

    return types.void(types.uint32), generate


@intrinsic
def prefer_widest_vectors(typing: Any) -> Any:
    """Make LLVM use the widest vectors in the calling function."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own add refuses this name
        return context.get_dummy_value()

    return types.void(), generate


@njit
def denormals_back() -> None:
    """Switch denormal numbers on again after a kernel that raised an error."""
    set_control_word(control_word() & np.uint32(0xFFFFFFFF ^ FLUSH))


def _call(builder: Any, name: str, word: Any = None) -> Any:
    slot = cgutils.alloca_once(builder, ir.IntType(32))
    if word is not None:
        builder.store(word, slot)
    pointer = builder.bitcast(slot, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [pointer])
    return slot
