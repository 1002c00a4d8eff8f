"""The constants of the compiled activations in float32 and float64: limits and polynomial coefficients.

`memspan.engines.compiled.activations` explains their use.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types

SHIFT = 64
"""exp multiplies by 2ⁿ in two steps, 2ⁿ∓⁶⁴ and 2^±⁶⁴, because 2ⁿ can be outside the range of the dtype."""


class Constants(NamedTuple):
    """The constants in the dtype of a function's argument; a literal would turn float32 into float64."""

    zero: Any
    half: Any
    one: Any
    two: Any
    two_log2_e: Any  # 2 / ln 2
    half_ln2: Any
    log2_e: Any
    ln2_high: Any  # has so few bits that its product with n is exact
    ln2_low: Any
    two_over_pi: Any
    quarter: tuple[Any, ...]  # π / 2 in three parts, whose products with n are exact for n up to 2¹⁰
    saturated: Any  # for larger arguments tanh is 1
    lowest: Any  # for smaller arguments exp is 0
    highest: Any  # for larger arguments exp is infinite
    limit: Any  # 2ⁿ is finite for y up to `limit`, and 0 at y = -`limit`
    nan: Any
    farthest: Any  # for larger arguments sine and cosine are NaN
    whole: Any  # its last bits are 0
    magic: Any  # its last bits hold the exponent's bias; those of the next two hold it ∓ SHIFT
    magic_up: Any
    magic_down: Any
    up: Any
    down: Any
    expm1: tuple[Any, ...]  # expm1(r) = r + r² (expm1[0] + expm1[1] r + ...)
    half_expm1: tuple[Any, ...]  # expm1(2r) / 2 = r + r² (...)
    atanh: tuple[Any, ...]  # atanh(z) = z + z³ (atanh[0] + atanh[1] z² + ...)
    sin: tuple[Any, ...]  # sin(r) = r + r³ (sin[0] + sin[1] r² + ...)
    cos: tuple[Any, ...]  # cos(r) = 1 - r² / 2 + r⁴ (cos[0] + cos[1] r² + ...)


def constants(
    dtype: type[np.floating], *, expm1: tuple[float, ...], **others: float | tuple[float, ...]
) -> Constants:
    """Return all constants in `dtype`."""
    info = np.finfo(dtype)
    whole = 1.5 * 2.0**info.nmant
    magic = whole + info.maxexp - 1
    values = others | {
        "zero": 0,
        "half": 0.5,
        "one": 1,
        "two": 2,
        "two_log2_e": 2 / math.log(2),
        "half_ln2": math.log(2) / 2,
        "log2_e": 1 / math.log(2),
        "two_over_pi": 2 / math.pi,
        "nan": math.nan,
        "farthest": 2.0 ** (info.nmant - 2),
        "whole": whole,
        "magic": magic,
        "magic_up": magic - SHIFT,
        "magic_down": magic + SHIFT,
        "up": 2.0**SHIFT,
        "down": 2.0**-SHIFT,
        "expm1": expm1,
        "half_expm1": tuple(2 ** (i + 1) * c for i, c in enumerate(expm1)),
    }

    def typed(value: float | tuple[float, ...]) -> Any:
        return tuple(map(dtype, value)) if isinstance(value, tuple) else dtype(value)

    return Constants(**{name: typed(value) for name, value in values.items()})


# In float32 the polynomials minimise the largest relative error of the function; their coefficients were rounded
# one by one. In float64 they interpolate at Chebyshev nodes. The intervals are |r| ≤ ln(2) / 2, 0 ≤ z ≤ 1/3, and
# |r| ≤ π / 4 for sine and cosine.
CONSTANTS = {
    types.float32: constants(
        np.float32,
        saturated=10,
        lowest=-104,
        highest=89,
        limit=88,
        ln2_high=0.693359375,
        ln2_low=-2.1219444005469057e-4,
        quarter=(1.57080078125, -4.454515874385834e-06, 6.07710062827671e-11),
        expm1=(0.5, 0.1666654795408249, 0.041666820645332336, 0.00836610235273838, 0.0013901006896048784),
        atanh=(0.3333320915699005, 0.20010718703269958, 0.1400151252746582, 0.14003390073776245),
        sin=(-0.16666655242443085, 0.008332189172506332, -0.0001951829035533592),
        cos=(0.04166664555668831, -0.0013887309469282627, 2.4432327336398885e-05),
    ),
    types.float64: constants(
        np.float64,
        saturated=20,
        lowest=-746,
        highest=710,
        limit=709,
        ln2_high=0.6931471803691238,
        ln2_low=1.9082149292705877e-10,
        quarter=(1.5707963267950618, -1.6513995372428237e-13, 1.6446256936324258e-26),
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
        sin=(
            *(-0.16666666666666666, 0.008333333333330948, -0.0001984126983675854, 2.7557316102534617e-06),
            *(-2.505113184128889e-08, 1.5918129027234826e-10),
        ),
        cos=(
            *(0.041666666666666664, -0.0013888888888887398, 2.4801587298765665e-05, -2.7557317271718644e-07),
            *(2.087614626607931e-09, -1.1382632258093615e-11),
        ),
    ),
}
