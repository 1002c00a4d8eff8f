"""Matrix products inside kernels, through Numba's interface to BLAS, with strides, accumulation and blocking.

`np.dot` in a kernel uses the same interface, but takes contiguous arrays only and overwrites its result. Here an
operand may be part of a wider matrix, and the product may be added to the result. Rows must be contiguous (`[:,
a:b]` is valid, `[:, ::2]` is not).
"""

from typing import Any

from numba import types
from numba.extending import intrinsic, overload, register_jitable
from numba.np.linalg import ensure_blas

Matrix = Any
Scale = Any
"""An array of one number."""

NORMAL, TRANSPOSED = ord("n"), ord("t")
KIND = {types.float32: ord("s"), types.float64: ord("d")}
BLOCK = 600_000
"""The largest m·n·k of one call: OpenBLAS does not pack operands up to 100³, which is up to twice as fast."""


@intrinsic
def first_number(typing: Any, matrix: Any) -> Any:
    """A pointer to matrix[0, 0]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(matrix.dtype)(matrix), generate


@intrinsic
def moved(typing: Any, pointer: Any, by: Any) -> Any:
    """A pointer to the number that is `by` numbers further."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), generate


def multiply(
    how: Any, m: Any, n: Any, k: Any, A: Any, to_A: Any, B: Any, to_B: Any, scales: Any, C: Any, to_C: Any
) -> None:
    """C ← A B + β C, or with Aᵀ for A: pointers to the first numbers, and the distance of two rows (`to_A`).

    Only inside kernels. It is one function for arrays of all layouts; one for each layout would take longer to
    compile.
    """
    raise NotImplementedError


@overload(multiply, jit_options={"forceinline": False})
def _multiply(
    how: Any, m: Any, n: Any, k: Any, A: Any, to_A: Any, B: Any, to_B: Any, scales: Any, C: Any, to_C: Any
) -> Any:
    """BLAS stores columns first, so the operands change places."""
    ensure_blas()
    size = types.intp
    operands = (C, C, size, C, size, C, C, size)
    what = (types.char, types.char, types.char, size, size, size)
    gemm, kind = types.ExternalFunction("numba_xxgemm", types.intc(*what, *operands)), KIND[C.dtype]

    def multiply(
        how: Any, m: Any, n: Any, k: Any, A: Any, to_A: Any, B: Any, to_B: Any, scales: Any, C: Any, to_C: Any
    ) -> None:
        one, beta = scales
        rows, columns, depth = m, n, k
        while rows * columns * depth > BLOCK:
            if depth >= rows and depth >= columns:
                depth = (depth + 1) // 2
            elif columns >= rows:
                columns = (columns + 1) // 2
            else:
                rows = (rows + 1) // 2
        for d in range(0, k, depth):
            scale = beta if d == 0 else one
            for j in range(0, n, columns):
                for i in range(0, m, rows):
                    to_first = d * to_A + i if how == TRANSPOSED else i * to_A + d
                    b, a, c = moved(B, d * to_B + j), moved(A, to_first), moved(C, i * to_C + j)
                    width, height, inner = min(columns, n - j), min(rows, m - i), min(depth, k - d)
                    gemm(kind, NORMAL, how, width, height, inner, one, b, to_B, a, to_A, scale, c, to_C)

    return multiply


def product(A: Matrix, B: Matrix, one: Scale, beta: Scale, C: Matrix) -> None:
    """C ← A B + β C; only inside kernels."""
    multiply_matrices(NORMAL, A, B, one, beta, C)


def transposed_product(A: Matrix, B: Matrix, one: Scale, beta: Scale, C: Matrix) -> None:
    """C ← Aᵀ B + β C; only inside kernels."""
    multiply_matrices(TRANSPOSED, A, B, one, beta, C)


def multiply_matrices(how: int, A: Matrix, B: Matrix, one: Scale, beta: Scale, C: Matrix) -> None:
    """Call `multiply` with the places and sizes of arrays."""
    size = C.itemsize
    a, b, c = first_number(A), first_number(B), first_number(C)
    to_A, to_B, to_C = A.strides[0] // size, B.strides[0] // size, C.strides[0] // size
    scales = first_number(one), first_number(beta)
    multiply(how, C.shape[0], C.shape[1], B.shape[0], a, to_A, b, to_B, scales, c, to_C)


for function in (product, transposed_product, multiply_matrices):
    register_jitable(forceinline=True)(function)
