"""Compiled forms of `memspan.cells.activations`, which Numba kernels use in place of the NumPy functions.

Importing this module registers them. Each compiled form ("twin") takes float32 or float64 scalars and computes in
their dtype. It uses only arithmetic and selections, without branches, tables or calls, so that LLVM can vectorise
the loop around it. The kernel must be compiled with `error_model="numpy"`, because Python's check for division by
zero is a branch. `fastmath={"contract"}` makes the functions faster and no less accurate.

tanh, the logistic function and softplus are computed from an exponential, whose argument is reduced as in Cody and
Waite (1980): exp(y) = 2ⁿ exp(r) with n = rint(y / ln 2), so that |r| ≤ ln(2) / 2. The last bit of the large number
`magic` has the value 1, so adding `magic` rounds to n. The sum holds n in its last bits, and one shift turns it
into 2ⁿ. Sine and cosine subtract n quarter turns in the same way; the last two bits of n give the quadrant.

Where the logistic function or softplus is below the smallest normal number, the result may be any number from 0 to
that number, because kernels flush denormal numbers to zero (`memspan.engines.compiled.processor`).

The errors stated below are in units in the last place: for float32 over all 2³² arguments, for float64 over a
sample (`benchmarks/activation_errors.py`).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from memspan.cells.activations import (
    cos,
    exp,
    larger,
    one_minus,
    relu,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    sin,
    softplus,
    softplus_derivative,
    tanh,
    tanh_derivative,
    where_positive,
)
from memspan.engines.compiled.constants import CONSTANTS, Constants


def twin(function: Callable[..., Any]) -> Callable[[Callable[[Constants], Any]], Callable[[Constants], Any]]:
    """Register the decorated function as the maker of the compiled form of `function`, given the constants.

    LLVM does the inlining. Numba's own inlining (`inline="always"`) gives the same loop and takes eight times as
    long.
    """

    def register(make: Callable[[Constants], Any]) -> Callable[[Constants], Any]:
        def choose(*arguments: Any) -> Any:
            alike = len(set(arguments)) == 1 and arguments[0] in CONSTANTS
            return make(CONSTANTS[arguments[0]]) if alike else None

        overload(function, strict=False)(choose)
        return make

    return register


@intrinsic
def power_of_two(typing_context: Any, rounded: Any) -> Any:
    """2ⁿ from a sum with `magic`: shift its last bits, n plus the exponent's bias, to the bits of the exponent."""
    word, mantissa = (types.int32, 23) if rounded == types.float32 else (types.int64, 52)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = context.get_value_type(word)
        bits = builder.bitcast(arguments[0], integer)
        return builder.bitcast(builder.shl(bits, integer(mantissa)), arguments[0].type)

    return rounded(rounded), generate


@intrinsic
def in_quarter(typing_context: Any, rounded: Any, sine: Any, cosine: Any) -> Any:
    """The sine n quarter turns further, n from a sum with `whole`: select sine or cosine, and the sign, by n."""
    word, width = (types.int32, 32) if rounded == types.float32 else (types.int64, 64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = context.get_value_type(word)
        bits = builder.bitcast(arguments[0], integer)
        value = builder.select(builder.trunc(bits, ir.IntType(1)), arguments[2], arguments[1])
        sign = builder.shl(builder.lshr(bits, integer(1)), integer(width - 1))
        return builder.bitcast(builder.xor(builder.bitcast(value, integer), sign), value.type)

    return rounded(rounded, sine, cosine), generate


@intrinsic
def polynomial(typing_context: Any, x: Any, coefficients: Any) -> Any:
    """A polynomial in `x` by Horner's scheme, unrolled."""

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
    """Valid for 0 ≤ x ≤ `saturated` and NaN. A shift of -1/2 causes no cancellation: 2ⁿ / 2 + shift is exact."""

    def half_exp(x, shift):  # type: ignore[no-untyped-def]
        rounded = k.magic - x * k.two_log2_e
        scale = power_of_two(rounded)
        r = (k.magic - rounded) * k.half_ln2 - x
        return (k.half * scale + shift) + scale * (r + r * r * polynomial(r, k.half_expm1))

    return half_exp


@twin(tanh)
def compiled_tanh(k: Constants) -> Any:
    """(1 - e) / (1 + e) with e = exp(-2|x|), both divided by 2. Largest error: float32 2, float64 2.1."""

    def tanh(x):  # type: ignore[no-untyped-def]
        y = abs(x)
        y = k.saturated if y > k.saturated else y
        return math.copysign(half_exp(y, -k.half) / half_exp(y, k.half), x)

    return tanh


@twin(tanh_derivative)
def compiled_tanh_derivative(k: Constants) -> Any:
    """1 - a²."""
    return lambda a: k.one - a * a


@twin(exp)
def compiled_exp(k: Constants) -> Any:
    """exp(x). Largest error: float32 1.04, float64 1, also where the result is denormal."""

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


def split_exp(y: Any) -> Any:
    """2ⁿ and exp(r) - 1, so that exp(y) = 2ⁿ exp(r)."""
    n = np.rint(y / np.log(2))
    return 2.0**n, np.expm1(y - n * np.log(2))


@twin(split_exp)
def compiled_split_exp(k: Constants) -> Any:
    """Valid for |y| ≤ `limit` and NaN; at y = -`limit`, 2ⁿ is 0."""

    def split_exp(y):  # type: ignore[no-untyped-def]
        rounded = k.magic + y * k.log2_e
        n = rounded - k.magic
        r = y - n * k.ln2_high - n * k.ln2_low
        return power_of_two(rounded), r + r * r * polynomial(r, k.expm1)

    return split_exp


@twin(sigmoid)
def compiled_sigmoid(k: Constants) -> Any:
    """1 / (1 + exp(-x)), summed from the smallest term. Largest error: float32 2, float64 1.9."""

    def sigmoid(x):  # type: ignore[no-untyped-def]
        y = -k.limit if x > k.limit else -x
        scale, rest = split_exp(k.limit if y > k.limit else y)
        large, small = (scale, k.one) if scale > k.one else (k.one, scale)
        return k.one / (large + (small + scale * rest))

    return sigmoid


@twin(sigmoid_derivative)
def compiled_sigmoid_derivative(k: Constants) -> Any:
    """g (1 - g)."""
    return lambda g: g * (k.one - g)


@twin(softplus)
def compiled_softplus(k: Constants) -> Any:
    """max(x, 0) + log(1 + e), which is 2 atanh(e / (2 + e)). Largest error: float32 2.87, float64 2.4."""

    def softplus(x):  # type: ignore[no-untyped-def]
        y = -abs(x)
        scale, rest = split_exp(-k.limit if y < -k.limit else y)
        e = scale + scale * rest
        z = e / (k.two + e)
        w = z * z
        return (x if x > k.zero else k.zero) + k.two * (z + z * w * polynomial(w, k.atanh))

    return softplus


@twin(softplus_derivative)
def compiled_softplus_derivative(k: Constants) -> Any:
    """1 - exp(-a). Largest error: float32 1, float64 1.1."""

    def softplus_derivative(a):  # type: ignore[no-untyped-def]
        y = k.half * a
        return -k.two * half_exp(k.saturated if y > k.saturated else y, -k.half)

    return softplus_derivative


@twin(relu)
def compiled_relu(k: Constants) -> Any:
    """max(x, 0); exact, and NaN stays NaN."""
    return lambda x: k.zero if x <= k.zero else x


@twin(relu_derivative)
def compiled_relu_derivative(k: Constants) -> Any:
    """1 where `a` is positive, else 0; exact."""
    return lambda a: k.one if a > k.zero else k.zero


@twin(one_minus)
def compiled_one_minus(k: Constants) -> Any:
    """1 - x, with one rounding."""
    return lambda x: k.one - x


@twin(larger)
def compiled_larger(k: Constants) -> Any:
    """The larger of x and y; exact."""
    return lambda x, y: x if x >= y else y


@twin(where_positive)
def compiled_where_positive(k: Constants) -> Any:
    """x where `condition` is positive, else y; exact."""
    return lambda condition, x, y: x if condition > k.zero else y


def turns(x: Any) -> Any:
    """Return n + `whole`, n being the quarter turns in x, and sine and cosine of the rest. Only inside kernels."""
    raise NotImplementedError


@twin(turns)
def compiled_turns(k: Constants) -> Any:
    """The rest of x has two parts, r and `lacking`, because rounding it to r would cost the sine one unit."""

    def turns(x):  # type: ignore[no-untyped-def]
        rounded = k.whole + x * k.two_over_pi
        n = rounded - k.whole
        most = x - n * k.quarter[0]
        r = most - n * k.quarter[1]
        lacking = ((most - r) - n * k.quarter[1]) - n * k.quarter[2]
        r = r if abs(x) < k.farthest else k.nan
        w = r * r
        sine = r + (lacking + r * w * polynomial(w, k.sin))
        cosine = (k.one - k.half * w) + (w * w * polynomial(w, k.cos) - r * lacking)
        return rounded, sine, cosine

    return turns


@twin(sin)
def compiled_sin(k: Constants) -> Any:
    """sin(x). Largest error for |x| ≤ 1000: float32 1.3, float64 1.3. NaN for |x| ≥ 2²¹ (float64: 2⁵⁰)."""

    def sin(x):  # type: ignore[no-untyped-def]
        rounded, sine, cosine = turns(x)
        return in_quarter(rounded, sine, cosine)

    return sin


@twin(cos)
def compiled_cos(k: Constants) -> Any:
    """cos(x). Largest error for |x| ≤ 1000: float32 1.32, float64 1.3. NaN for the same arguments as sine."""

    def cos(x):  # type: ignore[no-untyped-def]
        rounded, sine, cosine = turns(x)
        return in_quarter(rounded + k.one, sine, cosine)

    return cos
