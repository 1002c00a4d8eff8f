"""Compiled twins of `memspan.cells.activations`: what a Numba kernel runs where a cell calls one of its functions.

Importing this module registers them. A twin takes float32 or float64 scalars and computes in their dtype. It has
no branch, no table and no call, only arithmetic and selections, so that LLVM vectorises the loop that it stands
in. The kernel must be compiled with `error_model="numpy"`: Python's division by zero is a branch.
`fastmath={"contract"}` makes it faster, not less accurate.

Tangent, logistic function and softplus all come from an exponential, whose argument is reduced as by Cody and
Waite (1980): exp(y) = 2ⁿ exp(r) with n = rint(y / ln 2), so that |r| ≤ ln(2) / 2. Adding a number as large as
`magic`, whose last bit is worth 1, rounds to n; since the sum keeps n in its last bits, one shift turns it into
2ⁿ. Sine and cosine subtract n quarter turns in the same way, and the last two bits of n say which quarter it is.

Of the logistic function and of softplus, a result below the smallest normal number may be anything from 0 to that
number: kernels switch denormal numbers off (`memspan.engines.compiled.processor`).

The errors below are in units in the last place, the float32 ones over all 2³² arguments, the float64 ones over a
sample: `benchmarks/activation_errors.py`.
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


@intrinsic
def power_of_two(typing_context: Any, rounded: Any) -> Any:
    """2ⁿ, from a sum with `magic`: its last bits, n and the bias, are moved to where the exponent stands."""
    word, mantissa = (types.int32, 23) if rounded == types.float32 else (types.int64, 52)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = context.get_value_type(word)
        bits = builder.bitcast(arguments[0], integer)
        return builder.bitcast(builder.shl(bits, integer(mantissa)), arguments[0].type)

    return rounded(rounded), generate


@intrinsic
def in_quarter(typing_context: Any, rounded: Any, sine: Any, cosine: Any) -> Any:
    """A sine n quarter turns on, from a sum with `whole`: cosine and sine take turns, and so do their signs."""
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


@twin(tanh_derivative)
def compiled_tanh_derivative(k: Constants) -> Any:
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


def split_exp(y: Any) -> Any:
    """2ⁿ and exp(r) - 1, so that exp(y) = 2ⁿ exp(r)."""
    n = np.rint(y / np.log(2))
    return 2.0**n, np.expm1(y - n * np.log(2))


@twin(split_exp)
def compiled_split_exp(k: Constants) -> Any:
    """For |y| ≤ `limit`, where 2ⁿ is 0 if y is `-limit`; or NaN."""

    def split_exp(y):  # type: ignore[no-untyped-def]
        rounded = k.magic + y * k.log2_e
        n = rounded - k.magic
        r = y - n * k.ln2_high - n * k.ln2_low
        return power_of_two(rounded), r + r * r * polynomial(r, k.expm1)

    return split_exp


@twin(sigmoid)
def compiled_sigmoid(k: Constants) -> Any:
    """1 / (1 + exp(-x)), the smaller numbers of the sum first. Largest error: float32 2, float64 1.9."""

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
    """The larger of x and 0, and log(1 + e) = 2 atanh(e / (2 + e)). Largest error: float32 2.87, float64 2.4."""

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
    """Exact, and NaN stays NaN."""
    return lambda x: k.zero if x <= k.zero else x


@twin(relu_derivative)
def compiled_relu_derivative(k: Constants) -> Any:
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


def turns(x: Any) -> Any:
    """n, the quarter turns in x, plus `whole`; sine and cosine of what is left. Only inside kernels."""
    raise NotImplementedError


@twin(turns)
def compiled_turns(k: Constants) -> Any:
    """What is left has two parts, since rounding it would cost the sine one unit: r, and what r lacks."""

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
    """Largest error for |x| ≤ 1000: float32 1.3, float64 1.3. NaN from 2²¹ on (float64: 2⁵⁰)."""

    def sin(x):  # type: ignore[no-untyped-def]
        rounded, sine, cosine = turns(x)
        return in_quarter(rounded, sine, cosine)

    return sin


@twin(cos)
def compiled_cos(k: Constants) -> Any:
    """The sine one quarter turn on. Largest error for |x| ≤ 1000: float32 1.32, float64 1.3. NaN where sine is."""

    def cos(x):  # type: ignore[no-untyped-def]
        rounded, sine, cosine = turns(x)
        return in_quarter(rounded + k.one, sine, cosine)

    return cos
