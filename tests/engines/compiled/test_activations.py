import platform

import numpy as np
import pytest
from numba import njit, types
from numba.core.errors import TypingError

import memspan.cells.activations as activations
import memspan.engines.compiled.activations as twins  # registers the twins

# Largest errors in units in the last place, as in the docstrings: over all float32, over a sample of float64.
BOUNDS = {
    "tanh": (2.0, 2.1),
    "sigmoid": (2.0, 1.9),
    "exp": (1.04, 1.0),
    "softplus": (2.87, 2.4),
    "softplus_derivative": (1.0, 1.1),
    "sin": (1.3, 1.3),
    "cos": (1.32, 1.3),
}
FARTHEST = 1000  # up to here sine and cosine keep to their bounds
POINTWISE = (
    "tanh",
    "tanh_derivative",
    "sigmoid",
    "sigmoid_derivative",
    "exp",
    "softplus",
    "softplus_derivative",
    "relu",
)
UNARY = (*POINTWISE, "relu_derivative", "one_minus", "sin", "cos")
DTYPES = (np.float32, np.float64)

each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def kernel_of(name):
    """A compiled loop over one argument."""
    function = getattr(activations, name)

    @njit(error_model="numpy", fastmath={"contract"})
    def kernel(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return kernel


KERNELS = {name: kernel_of(name) for name in UNARY}


def compiled(name, x):
    out = np.empty_like(x)
    KERNELS[name](x, out)
    return out


def units(result, truth, dtype):
    """Errors in units in the last place of the right result."""
    return np.abs(result.astype(truth.dtype) - truth) / np.spacing(np.abs(truth).astype(dtype))


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_error_is_within_its_bound(name):
    x = np.arange(0, 1 << 32, 4099, dtype=np.uint32).view(np.float32)
    x = x[np.isfinite(x) & ((x >= 0) | (name != "softplus_derivative"))]
    x = x[np.abs(x) <= FARTHEST] if name in ("sin", "cos") else x
    with np.errstate(over="ignore"):
        truth = getattr(activations, name)(x.astype(np.float64))
    normal = (np.abs(truth) >= np.finfo(np.float32).tiny) | (name not in ("sigmoid", "softplus"))
    x, truth = x[normal], truth[normal]
    within = truth < np.finfo(np.float32).max
    assert units(compiled(name, x[within]), truth[within], np.float32).max() <= BOUNDS[name][0]
    np.testing.assert_array_equal(compiled(name, x[~within]), np.inf)


@pytest.mark.parametrize("name", BOUNDS)
def test_float64_agrees_with_numpy(name):
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, scale, 20_000) for scale in (1e-8, 0.3, 3.0, 150.0)])
    x = np.abs(x) if name == "softplus_derivative" else x
    truth = getattr(activations, name)(x)
    # NumPy's own error is up to two units more.
    assert units(compiled(name, x), truth, np.float64).max() <= BOUNDS[name][1] + 2


@each_dtype
@pytest.mark.parametrize("name", UNARY)
def test_value_and_dtype_are_those_of_numpy(name, dtype):
    x = np.array([-3.0, -0.5, -0.0, 0.0, 0.25, 1.0, 2.5], dtype)
    x = np.abs(x) if name == "softplus_derivative" else x
    np.testing.assert_allclose(compiled(name, x), getattr(activations, name)(x), rtol=8 * np.finfo(dtype).eps)
    function = getattr(activations, name)
    scalar = njit(error_model="numpy")(lambda x: function(x))
    scalar(x[0])
    (signature,) = scalar.nopython_signatures
    assert signature.return_type == getattr(types, dtype.__name__)


@each_dtype
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tanh", [np.nan, 1, -1, 0.0, -0.0]),
        ("sigmoid", [np.nan, 1, 0, 0.5, 0.5]),
        ("exp", [np.nan, np.inf, 0, 1, 1]),
        ("softplus", [np.nan, np.inf, 0, np.log(2), np.log(2)]),
        ("softplus_derivative", [np.nan, 1]),
        ("relu", [np.nan, np.inf, 0, 0, 0]),
        ("sin", [np.nan, np.nan, np.nan, 0, 0]),
        ("cos", [np.nan, np.nan, np.nan, 1, 1]),
    ],
)
def test_special_values(name, expected, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)[: len(expected)]
    result = compiled(name, x)
    info = np.finfo(dtype)
    np.testing.assert_allclose(result, np.array(expected, dtype), rtol=2 * info.eps, atol=info.tiny)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(result)[numbers], np.signbit(np.array(expected))[numbers])


@pytest.mark.parametrize(("dtype", "below"), [(np.float32, -100.0), (np.float64, -740.0)])
def test_denormal_results_of_exp_are_not_flushed_to_zero(dtype, below):
    x = np.array([below], dtype)
    result = compiled("exp", x)
    np.testing.assert_allclose(result, np.exp(x), rtol=0, atol=np.finfo(dtype).smallest_subnormal)
    assert 0 < result[0] < np.finfo(dtype).tiny


@pytest.mark.parametrize(("dtype", "begin"), [(np.float32, -87.2), (np.float64, -708.3)])
@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_below_the_smallest_normal_number_results_stay_there(name, dtype, begin):
    x = np.linspace(begin, begin * 1.05, 2001, dtype=dtype)
    truth, result, tiny = getattr(activations, name)(x), compiled(name, x), np.finfo(dtype).tiny
    assert (truth > tiny).any()
    assert (truth < tiny).any()
    np.testing.assert_allclose(result, truth, rtol=4 * np.finfo(dtype).eps, atol=tiny)
    assert (np.diff(result) <= 0).all()


@each_dtype
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_next_to_their_zeros_keep_their_digits(name, dtype):
    """Near multiples of π / 2 little is left of x, unless π is subtracted with more digits than x has."""
    quarters = np.arange(1, 637, dtype=np.float64) * (np.pi / 2)
    x = quarters[(name == "cos") ^ 1 :: 2].astype(dtype)
    truth = getattr(activations, name)(x.astype(np.longdouble))
    assert np.abs(truth).max() < 1e-4
    assert units(compiled(name, x), truth, dtype).max() <= 2.3  # one of them NumPy's, where longdouble is double


@each_dtype
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_are_never_beyond_one_and_nan_where_a_number_has_no_angle(name, dtype):
    edge = dtype(2.0 ** (np.finfo(dtype).nmant - 2))
    x = np.concatenate([np.logspace(0, np.log10(edge), 1000)[:-1], [np.nextafter(edge, dtype(0))]]).astype(dtype)
    result = compiled(name, np.concatenate([x, -x]))
    assert (np.abs(result) <= 1).all()
    beyond = np.array([edge, -edge, 2 * edge, np.finfo(dtype).max], dtype)
    np.testing.assert_array_equal(compiled(name, beyond), np.nan)


@each_dtype
def test_exp_overflows_where_numpy_does(dtype):
    edge = dtype(np.log(np.finfo(dtype).max))
    x = np.array([np.nextafter(edge, dtype(0)), np.nextafter(edge, dtype(np.inf)) + dtype(1)], dtype)
    low, high = compiled("exp", x)
    np.testing.assert_allclose(low, np.exp(x[0]), rtol=4 * np.finfo(dtype).eps)
    assert high == np.inf


@each_dtype
def test_selection_of_two_and_of_three(dtype):
    larger, where_positive = activations.larger, activations.where_positive

    @njit
    def both(x, y):
        return larger(x, y), where_positive(x, y, x)

    for x, y in [(1, 2), (2, 1), (-1, -2), (0, 3), (np.nan, 1), (1, np.nan)]:
        x, y = dtype(x), dtype(y)
        np.testing.assert_array_equal(both(x, y), (activations.larger(x, y), activations.where_positive(x, y, x)))
        assert both.nopython_signatures[0].return_type.dtype == getattr(types, dtype.__name__)


def test_mixed_dtypes_are_refused():
    larger = activations.larger
    with pytest.raises(TypingError, match="larger"):
        njit(lambda x, y: larger(x, y))(np.float32(1), np.float64(2))


@pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="reads x86 assembly")
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp", "softplus", "sin", "cos"])
def test_loop_is_vectorised(name):
    compiled(name, np.zeros(4, np.float32))
    (assembly,) = (
        text for signature, text in KERNELS[name].inspect_asm().items() if signature[0].dtype == types.float32
    )
    assert "mulps" in assembly or "fmadd213ps" in assembly
    assert not any(call in assembly for call in ("tanhf", "expf", "log1pf", "atanhf", "sinf", "cosf"))


@each_dtype
def test_split_exp_is_what_its_name_says(dtype):
    split_exp, limit = twins.split_exp, twins.CONSTANTS[getattr(types, dtype.__name__)].limit
    run = njit(error_model="numpy")(lambda y: split_exp(y))
    for y in (dtype(-50), dtype(-0.5), dtype(0), dtype(0.3), dtype(limit)):
        power, rest = run(y)
        assert power == twins.split_exp(float(y))[0]
        np.testing.assert_allclose(power * (1 + rest), np.exp(y), rtol=4 * np.finfo(dtype).eps)
        assert abs(rest) < 0.42
    assert run(dtype(-limit))[0] == 0


@each_dtype
def test_half_exp_is_what_its_name_says(dtype):
    half_exp = twins.half_exp
    run = njit(error_model="numpy")(lambda x, shift: half_exp(x, shift))
    for x in (dtype(0), dtype(0.3), dtype(4)):
        expected = [twins.half_exp(float(x), shift) for shift in (-0.5, 0.5)]
        result = [run(x, dtype(shift)) for shift in (-0.5, 0.5)]
        np.testing.assert_allclose(result, expected, rtol=8 * np.finfo(dtype).eps, atol=0)
