"""Load the numbers of one unit from several places in an array as a tuple, and store them.

A row of a kernel's arrays holds the gates, or the states, side by side. `load(array, at, offsets)` returns the
elements `at + offset` of the flattened array for each offset; `store` writes them.

*Rows that do not overlap.* A loop over the units of a cell reads and writes up to fifteen rows. LLVM can vectorise
the loop only if it knows that no two of them overlap. Otherwise it adds checks at run time. Checks of every pair
before every row take longer than a row of 32 numbers. A single check before all rows fails, because the rows of
one gate lie between those of another. So these functions promise LLVM that, within one row of a loop over units,
an element that is written is not read or written elsewhere. The exceptions are rows that are updated in place:
`load_updated` reads what `store_updated` writes, at the same index and offset, and `add` reads what it writes.

LLVM receives the promise as a scope for each row that is written, and as the statement that all other accesses do
not alias it: https://llvm.org/docs/LangRef.html#noalias-and-alias-scope-metadata.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

KINDS = ("stored", "updated", "added")
SCOPES = 8
"""The number of scopes for each kind of row. Beyond it rows share scopes, and LLVM knows less about them."""


@intrinsic
def new_rows(typing: Any) -> Any:
    """Start the next row of the loop: the promises made from here on are about this row only."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module = builder.module
        kind = ir.FunctionType(ir.VoidType(), [ir.MetaDataType()])
        declare = cgutils.get_or_insert_function(module, kind, "llvm.experimental.noalias.scope.decl")
        for scope in _scopes(module):
            builder.call(declare, [module.add_metadata([scope])])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def load(typing: Any, array: Any, at: Any, offsets: Any) -> Any:
    """Load the elements `at + offset`, which must be in none of the rows that are written."""
    return _loading(array, offsets)


@intrinsic
def load_updated(typing: Any, array: Any, at: Any, offsets: Any) -> Any:
    """Load elements of rows that `store_updated` updates in place, at the same offsets."""
    return _loading(array, offsets, "updated")


@intrinsic
def store(typing: Any, array: Any, at: Any, offsets: Any, values: Any) -> Any:
    """Store the elements `at + offset`."""
    return _storing(array, offsets, values, "stored")


@intrinsic
def store_updated(typing: Any, array: Any, at: Any, offsets: Any, values: Any) -> Any:
    """Store elements of rows that `load_updated` reads."""
    return _storing(array, offsets, values, "updated")


@intrinsic
def add(typing: Any, array: Any, at: Any, offsets: Any, values: Any) -> Any:
    """Add to the elements `at + offset`."""
    return _storing(array, offsets, values, "added")


def _loading(array: Any, offsets: Any, kind: str | None = None) -> Any:
    loaded = types.BaseTuple.from_types([array.dtype] * len(offsets))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        elements = _elements(context, builder, signature, arguments)
        values = [_promised(builder, builder.load(element), kind, k) for k, element in enumerate(elements)]
        return context.make_tuple(builder, loaded, values)

    return loaded(array, types.intp, offsets), generate


def _storing(array: Any, offsets: Any, values: Any, kind: str) -> Any:
    if len(values) != len(offsets):
        raise TypingError(f"The cell returns {len(values)} values but names {len(offsets)}.")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        elements = _elements(context, builder, signature, arguments)
        given = zip(cgutils.unpack_tuple(builder, arguments[3]), values, strict=True)
        numbers = [context.cast(builder, value, of, array.dtype) for value, of in given]
        for k, (element, number) in enumerate(zip(elements, numbers, strict=True)):
            if kind == "added":
                number = builder.fadd(_promised(builder, builder.load(element), kind, k), number)
            _promised(builder, builder.store(number, element), kind, k)
        return context.get_dummy_value()

    return types.void(array, types.intp, offsets, values), generate


def _elements(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    offsets = cgutils.unpack_tuple(builder, arguments[2])
    return [builder.gep(array.data, [builder.add(arguments[1], offset)]) for offset in offsets]


def _promised(builder: Any, instruction: Any, kind: str | None, k: int) -> Any:
    """Mark the instruction as outside every scope but that of its own row; rows that are only read have none."""
    scopes = _scopes(builder.module)
    if kind is not None:
        its = scopes.pop(KINDS.index(kind) * SCOPES + k % SCOPES)
        instruction.set_metadata("alias.scope", builder.module.add_metadata([its]))
    instruction.set_metadata("noalias", builder.module.add_metadata(scopes))
    return instruction


def _scopes(module: Any) -> list[Any]:
    domain = module.add_metadata(["memspan"])
    return [module.add_metadata([f"{kind} {k}", domain]) for kind in KINDS for k in range(SCOPES)]
