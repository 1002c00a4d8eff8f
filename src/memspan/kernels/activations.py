"""Compiled twins of `memspan.activations`: what a Numba kernel runs where a cell calls one of its functions.

Importing this module registers them. A twin takes float32 or float64 scalars and computes in their dtype. It has
no branch, no table and no call, only arithmetic and selections, so that LLVM vectorises the loop that it stands
in. The kernel must be compiled with `error_model="numpy"`: Python's division by zero is a branch.
`fastmath={"contract"}` makes it faster, not less accurate.

Tangent, logistic function and softplus all come from an exponential of something not positive, whose argument
is reduced as by Cody and Waite (1980): exp(y) = 2ⁿ exp(r) with n = rint(y / ln 2), so that |r| ≤ ln(2) / 2. Adding
a number as large as `magic`, whose last bit is worth 1, rounds to n; since the sum keeps n in its last bits, one
shift turns it into 2ⁿ.

The errors below are in units in the last place, the float32 ones over all 2³² arguments, the float64 ones over a
sample: `benchmarks/activation_errors.py`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from memspan.activations import (
    exp,
    larger,
    one_minus,
    relu,
    relu_slope,
    sigmoid,
    sigmoid_slope,
    softplus,
    softplus_slope,
    tanh,
    tanh_slope,
    where_positive,
)

SHIFT = 64
"""exp multiplies by 2ⁿ in two steps, 2ⁿ∓⁶⁴ and 2^±⁶⁴, for 2ⁿ itself can be beyond the range of the dtype."""


class Constants(NamedTuple):
    """What a twin needs, in the dtype of its argument: a literal would turn float32 into float64."""

    zero: Any
    half: Any
    one: Any
    two: Any
    two_log2_e: Any  # 2 / ln 2
    half_ln2: Any
    log2_e: Any
    ln2_high: Any  # with so few bits that its product with n is exact
    ln2_low: Any
    saturated: Any  # tanh is 1 from here on
    lowest: Any  # exp is 0 below, and infinite above
    highest: Any
    magic: Any  # its last bits hold the exponent's bias, and ∓ SHIFT
    magic_up: Any
    magic_down: Any
    up: Any
    down: Any
    expm1: tuple[Any, ...]  # expm1(r) = r + r² (expm1[0] + expm1[1] r + ...)
    half_expm1: tuple[Any, ...]  # expm1(2r) / 2 = r + r² (...)
    atanh: tuple[Any, ...]  # atanh(z) = z + z³ (atanh[0] + atanh[1] z² + ...)


def constants(
    dtype: type[np.floating],
    *,
    saturated: float,
    lowest: float,
    highest: float,
    ln2_high: float,
    ln2_low: float,
    expm1: tuple[float, ...],
    atanh: tuple[float, ...],
) -> Constants:
    """Everything in `dtype`."""
    info = np.finfo(dtype)
    magic = 1.5 * 2.0**info.nmant + info.maxexp - 1

    def typed(*values: float) -> tuple[Any, ...]:
        return tuple(dtype(value) for value in values)

    simple = (0, 0.5, 1, 2, 2 / math.log(2), math.log(2) / 2, 1 / math.log(2), ln2_high, ln2_low)
    magics = (magic, magic - SHIFT, magic + SHIFT)
    halves = typed(*(2 ** (i + 1) * c for i, c in enumerate(expm1)))
    scalars = typed(*simple, saturated, lowest, highest, *magics, 2.0**SHIFT, 2.0**-SHIFT)
    return Constants._make((*scalars, typed(*expm1), halves, typed(*atanh)))


# The polynomials have the least largest relative error of their function (float32, rounded one by one), or
# interpolate it at Chebyshev's nodes (float64), for |r| ≤ ln(2) / 2 and 0 ≤ z ≤ 1/3.
CONSTANTS = {
    types.float32: constants(
        np.float32,
        saturated=10,
        lowest=-104,
        highest=89,
        ln2_high=0.693359375,
        ln2_low=-2.1219444005469057e-4,
        expm1=(0.5, 0.1666654795408249, 0.041666820645332336, 0.00836610235273838, 0.0013901006896048784),
        atanh=(0.3333320915699005, 0.20010718703269958, 0.1400151252746582, 0.14003390073776245),
    ),
    types.float64: constants(
        np.float64,
        saturated=20,
        lowest=-746,
        highest=710,
        ln2_high=0.6931471803691238,
        ln2_low=1.9082149292705877e-10,
        expm1=(
            *(0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326136, 0.0013888888888883748),
            *(0.00019841269874820627, 2.4801587325547743e-05, 2.7557255400206422e-06, 2.75572736431103e-07),
            *(2.5105217004720745e-08, 2.0914686968086876e-09),
        ),
        atanh=(
            *(0.3333333333333333, 0.2, 0.1428571428571441, 0.11111111111086394, 0.09090909093440278),
            *(0.07692307538354587, 0.06666672666126652, 0.05882197051336885, 0.05265918906019942),
            *(0.04728581603605742, 0.04615972136684124, 0.026417061140686357, 0.07469414242989923),
        ),
    ),
}


def twin(function: Callable[..., Any]) -> Callable[[Callable[[Constants], Any]], Callable[[Constants], Any]]:
    """Register what the decorated function makes of the constants as the compiled form of `function`.

    Inlining is left to LLVM: Numba's own (`inline="always"`) makes the same loop and takes eight times as long.
    """

    def register(make: Callable[[Constants], Any]) -> Callable[[Constants], Any]:
        def choose(*arguments: Any) -> Any:
            alike = len(set(arguments)) == 1 and arguments[0] in CONSTANTS
            return make(CONSTANTS[arguments[0]]) if alike else None

        overload(function, strict=False)(choose)
        return make

    return register


def builtin(define: Callable[..., Any]) -> Callable[..., Any]:
    """An intrinsic without its declared type, which counts the typing context among the arguments of a call."""
    return intrinsic(define)


@builtin
def power_of_two(typing_context: Any, rounded: Any) -> Any:
    """2ⁿ, from a sum with `magic`: its last bits, n and the bias, are moved to where the exponent stands."""
    word, mantissa = (types.int32, 23) if rounded == types.float32 else (types.int64, 52)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = context.get_value_type(word)
        bits = builder.bitcast(arguments[0], integer)
        return builder.bitcast(builder.shl(bits, integer(mantissa)), arguments[0].type)

    return rounded(rounded), generate


@builtin
def polynomial(typing_context: Any, x: Any, coefficients: Any) -> Any:
    """Horner's scheme, written out."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, values = arguments
        *lower, total = (builder.extract_value(values, i) for i in range(len(coefficients)))
        for value in reversed(lower):
            total = builder.fadd(builder.fmul(total, number), value)
        return total

    return x(x, coefficients), generate


def half_exp(x: Any, shift: Any) -> Any:
    """exp(-2x) / 2 + shift."""
    return np.exp(-2 * x) / 2 + shift


@twin(half_exp)
def compiled_half_exp(k: Constants) -> Any:
    """For 0 ≤ x ≤ `saturated` or NaN. At a shift of -1/2 nothing cancels: 2ⁿ / 2 + shift is exact."""

    def half_exp(x, shift):  # type: ignore[no-untyped-def]
        rounded = k.magic - x * k.two_log2_e
        scale = power_of_two(rounded)
        r = (k.magic - rounded) * k.half_ln2 - x
        return (k.half * scale + shift) + scale * (r + r * r * polynomial(r, k.half_expm1))

    return half_exp


@twin(tanh)
def compiled_tanh(k: Constants) -> Any:
    """With e = exp(-2|x|) it is (1 - e) / (1 + e), in halves. Largest error: float32 2, float64 2.1."""

    def tanh(x):  # type: ignore[no-untyped-def]
        y = abs(x)
        y = k.saturated if y > k.saturated else y
        return math.copysign(half_exp(y, -k.half) / half_exp(y, k.half), x)

    return tanh


@twin(tanh_slope)
def compiled_tanh_slope(k: Constants) -> Any:
    """1 - a²."""
    return lambda a: k.one - a * a


@twin(exp)
def compiled_exp(k: Constants) -> Any:
    """Largest error: float32 1.04, float64 1, also where the result is denormal."""

    def exp(x):  # type: ignore[no-untyped-def]
        y = k.lowest if x < k.lowest else x
        y = k.highest if y > k.highest else y
        magic = k.magic_up if x > k.zero else k.magic_down
        rounded = magic + y * k.log2_e
        n = rounded - magic
        r = y - n * k.ln2_high - n * k.ln2_low
        e = k.one + (r + r * r * polynomial(r, k.expm1))
        return e * power_of_two(rounded) * (k.up if x > k.zero else k.down)

    return exp


@twin(sigmoid)
def compiled_sigmoid(k: Constants) -> Any:
    """With e = exp(-|x|) it is 1 / (1 + e), or e / (1 + e). Largest error: float32 2.41, float64 2."""

    def sigmoid(x):  # type: ignore[no-untyped-def]
        e = exp(-abs(x))
        return (e if x < k.zero else k.one) / (k.one + e)

    return sigmoid


@twin(sigmoid_slope)
def compiled_sigmoid_slope(k: Constants) -> Any:
    """g (1 - g)."""
    return lambda g: g * (k.one - g)


@twin(softplus)
def compiled_softplus(k: Constants) -> Any:
    """The larger of x and 0, and log(1 + e) = 2 atanh(e / (2 + e)). Largest error: float32 2.87, float64 2.4."""

    def softplus(x):  # type: ignore[no-untyped-def]
        e = exp(-abs(x))
        z = e / (k.two + e)
        w = z * z
        return (x if x > k.zero else k.zero) + k.two * (z + z * w * polynomial(w, k.atanh))

    return softplus


@twin(softplus_slope)
def compiled_softplus_slope(k: Constants) -> Any:
    """1 - exp(-a). Largest error: float32 1, float64 1.1."""

    def softplus_slope(a):  # type: ignore[no-untyped-def]
        y = k.half * a
        return -k.two * half_exp(k.saturated if y > k.saturated else y, -k.half)

    return softplus_slope


@twin(relu)
def compiled_relu(k: Constants) -> Any:
    """Exact; NaN gives 0, as in NumPy."""
    return lambda x: x if x > k.zero else k.zero


@twin(relu_slope)
def compiled_relu_slope(k: Constants) -> Any:
    """Exact."""
    return lambda a: k.one if a > k.zero else k.zero


@twin(one_minus)
def compiled_one_minus(k: Constants) -> Any:
    """One rounding."""
    return lambda x: k.one - x


@twin(larger)
def compiled_larger(k: Constants) -> Any:
    """Exact."""
    return lambda x, y: x if x >= y else y


@twin(where_positive)
def compiled_where_positive(k: Constants) -> Any:
    """Exact."""
    return lambda condition, x, y: x if condition > k.zero else y
