"""Matrix products inside kernels, through Numba's interface to BLAS, with strides, accumulation and blocking.

`np.dot` in a kernel uses the same interface, but takes contiguous arrays only and overwrites its result. Here an
operand may be part of a wider matrix, and the product may be added to the result. Rows must be contiguous (`[:,
a:b]` is valid, `[:, ::2]` is not).
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.linalg import ensure_blas

Matrix = Any
Scale = Any
"""An array of one number."""

NORMAL, TRANSPOSED = ord("n"), ord("t")
KIND = {types.float32: ord("s"), types.float64: ord("d")}
BLOCK = 600_000
"""The largest m·n·k of one call: OpenBLAS does not pack operands up to 100³, which is up to twice as fast."""


def product(A: Matrix, B: Matrix, one: Scale, beta: Scale, C: Matrix) -> None:
    """C ← A B + β C; only inside kernels."""
    raise NotImplementedError


def transposed_product(A: Matrix, B: Matrix, one: Scale, beta: Scale, C: Matrix) -> None:
    """C ← Aᵀ B + β C; only inside kernels."""
    raise NotImplementedError


@intrinsic
def element(typing: Any, matrix: Any, i: Any, j: Any) -> Any:
    """A pointer to matrix[i, j]; a slice would take longer to compile."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:])

    return types.CPointer(matrix.dtype)(matrix, types.intp, types.intp), generate


def _generate(transposed: bool) -> Any:
    """Make the kernel function of either product. BLAS stores columns first, so the operands change places."""
    how = TRANSPOSED if transposed else NORMAL

    def overloaded(A: Any, B: Any, one: Any, beta: Any, C: Any) -> Any:
        ensure_blas()
        pointer, size = types.CPointer(C.dtype), types.intp
        operands = (pointer, pointer, size, pointer, size, pointer, pointer, size)
        what = (types.char, types.char, types.char, size, size, size)
        gemm, kind = types.ExternalFunction("numba_xxgemm", types.intc(*what, *operands)), KIND[C.dtype]

        def kernel(A: Any, B: Any, one: Any, beta: Any, C: Any) -> None:
            (m, n), k, size = C.shape, B.shape[0], C.itemsize
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
                        gemm(
                            kind,
                            NORMAL,
                            how,
                            min(columns, n - j),
                            min(rows, m - i),
                            min(depth, k - d),
                            one.ctypes,
                            element(B, d, j),
                            B.strides[0] // size,
                            element(A, d, i) if transposed else element(A, i, d),
                            A.strides[0] // size,
                            scale.ctypes,
                            element(C, i, j),
                            C.strides[0] // size,
                        )

        # The linker would take two functions of one name for the same (see OF_A_CELL in `kernel.py`).
        kernel.__qualname__ = "transposed_product" if transposed else "product"
        return kernel

    return overloaded


overload(product)(_generate(transposed=False))
overload(transposed_product)(_generate(transposed=True))
