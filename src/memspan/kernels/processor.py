"""What kernels ask of LLVM and the processor, beyond what Numba does.

*Denormal numbers.* A gradient that vanishes passes through the numbers below `tiny` (1e-38 in float32), on which
x86 processors compute a hundred times slower; worse, multiplied by a little less than one the smallest of them
rounds to itself and never reaches zero. So kernels switch them off, in the processor's control register, and on
again at their end.

*Vectors* as wide as there are; of itself LLVM keeps to 256 bits where 512 exist.

*Rows that do not overlap.* A loop over the units of a cell reads and writes up to fifteen rows. LLVM can only make
vectors of it if it knows that none overlaps another, and asks before every row, for every pair: for rows of 32
numbers that took longer than the row itself. `load` and `store` promise it.
"""

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import RequireLiteralValue
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


STREAMS = 10
"""Rows that are written at once, at most: a cell's states and what it saves, or its gates and its states."""


@intrinsic
def new_rows(typing: Any) -> Any:
    """From here on `load` and `store` work on other rows: their promise is about these, and forgets the last."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module = builder.module
        kind = ir.FunctionType(ir.VoidType(), [ir.MetaDataType()])
        declare = cgutils.get_or_insert_function(module, kind, "llvm.experimental.noalias.scope.decl")
        for stream in _streams(module):
            builder.call(declare, [module.add_metadata([stream])])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Element `index` of an array as if it had one axis; it is in none of the rows that are written."""
    return array.dtype(array, types.intp), _load(first=0)


@intrinsic
def load_own(typing: Any, array: Any, index: Any) -> Any:
    """As `load`, but it may be in a row that streams 0 to 4 write, at the same index."""
    return array.dtype(array, types.intp), _load(first=STREAMS // 2)


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any, stream: Any) -> Any:
    """Write element `index`; what one stream writes no other reads or writes. The stream is a literal number."""
    if not isinstance(stream, types.IntegerLiteral):
        raise RequireLiteralValue("stream")
    own = stream.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        streams = _streams(builder.module)
        stored = builder.store(arguments[2], _element(context, builder, signature, arguments))
        others = [other for k, other in enumerate(streams) if k != own]
        stored.set_metadata("alias.scope", builder.module.add_metadata([streams[own]]))
        stored.set_metadata("noalias", builder.module.add_metadata(others))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype, stream), generate


def _load(first: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = builder.load(_element(context, builder, signature, arguments))
        loaded.set_metadata("noalias", builder.module.add_metadata(_streams(builder.module)[first:]))
        return loaded

    return generate


def _element(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _streams(module: Any) -> list[Any]:
    """LLVM's names for them: https://llvm.org/docs/LangRef.html#noalias-and-alias-scope-metadata."""
    domain = module.add_metadata(["memspan"])
    return [module.add_metadata([f"row {stream}", domain]) for stream in range(STREAMS)]


def _call(builder: Any, name: str, word: Any = None) -> Any:
    slot = cgutils.alloca_once(builder, ir.IntType(32))
    if word is not None:
        builder.store(word, slot)
    pointer = builder.bitcast(slot, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [pointer])
    return slot
