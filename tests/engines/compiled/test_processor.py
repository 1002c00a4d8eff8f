import numpy as np
import pytest
from numba import njit

from memspan import MSELoss, Network
from memspan.engines.compiled import CompiledEngine
from memspan.engines.compiled.processor import FLUSH, X86, control_word, set_control_word

TINY = {np.float32: np.finfo(np.float32).tiny, np.float64: np.finfo(np.float64).tiny}

each_dtype = pytest.mark.parametrize("dtype", TINY)
on_x86 = pytest.mark.skipif(not X86, reason="other processors have no such switch")


@njit
def word():
    return control_word()


@njit
def flushed(x, factor, into):
    control = control_word()
    set_control_word(control | np.uint32(FLUSH))
    for i in range(x.size):
        into[i] = x[i] * factor[0]
    set_control_word(control)


def halves(dtype):
    """Half the smallest normal number is a denormal one; in NumPy it is not 0."""
    x = np.full(40, TINY[dtype])
    return x, x * dtype(0.5)


@on_x86
@each_dtype
def test_denormal_results_and_operands_are_zero_while_switched_off(dtype):
    x, denormal = halves(dtype)
    assert (denormal > 0).all()
    found = np.full_like(x, np.nan)
    flushed(x, np.array([0.5], dtype), found)
    np.testing.assert_array_equal(found, 0)
    flushed(denormal, np.array([2.0], dtype), found)
    np.testing.assert_array_equal(found, 0)
    flushed(x, np.array([2.0], dtype), found)
    np.testing.assert_array_equal(found, 2 * x)


@each_dtype
def test_the_caller_still_has_denormal_numbers_afterwards(dtype):
    network = Network("rnn", 1, 4, 1, dtype=dtype, rng=0)
    engine = CompiledEngine(network.layout, network.dtype, MSELoss())
    before, (x, denormal) = word(), halves(dtype)
    batch = np.ones((3, 2, 1), dtype), np.ones((2, 1), dtype)
    engine.differentiate(network.parameters[np.newaxis], [batch], norms=[0])
    engine.predict(network.parameters[np.newaxis], [batch[0]])
    assert word() == before
    np.testing.assert_array_equal(x * dtype(0.5), denormal)
    np.testing.assert_array_equal(denormal * dtype(2), x)
    assert (denormal > 0).all()


@on_x86
def test_a_vanished_gradient_is_exactly_zero():
    """Multiplied by a little less than 1, the smallest denormal number rounds to itself, for ever."""
    network = Network("rnn-linear", 1, 1, 1, dtype="float32", rng=0)
    network.set_weights({"W": [[1.0]], "R": [[0.9]], "bs": [[0.0]], "V": [[1.0]], "by": [[0.0]]})
    x, y = np.ones((2000, 1, 1), np.float32), np.zeros((1, 1), np.float32)
    loss = MSELoss()
    loss.forward(network.forward(x), y)
    assert (network.backpropagate(loss.backward()).d_a > 0).all()
    found = CompiledEngine(network.layout, network.dtype, loss).differentiate(
        network.parameters[np.newaxis], [(x, y)], norms=[0]
    )
    norms = found.norms[0, :, 0]
    assert (norms[:900] == 0).all()
    assert (norms[norms > 0] >= TINY[np.float32]).all()
    assert norms[-1] == pytest.approx(abs(float(2 * network.predict(x)[0, 0])))
