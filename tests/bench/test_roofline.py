import numpy as np
import pytest
from numba import njit

from memspan.bench import Case
from memspan.bench.roofline import COUNT, WIDTH, each_tanh, roofline
from memspan.engines.compiled.compiling import OPTIONS


def test_a_call_stands_for_as_many_models_as_its_operations_say():
    case = Case("lstm", 50, 64, 32)
    passes = roofline(case)
    assert passes["products"].models == pytest.approx(2 * 1024**3 / (6 * 50 * 64 * 4 * 32**2))
    assert passes["tanh"].models == pytest.approx(2**14 / (2 * 50 * 64 * 4 * 32))
    # At 100 GFLOP/s and 0.5 ns an element, by hand: 78.6 Mflop take 0.786 ms, 819200 elements 0.41 ms.
    seconds = 2 * WIDTH**3 / 100e9 / passes["products"].models + COUNT * 0.5e-9 / passes["tanh"].models
    assert seconds == pytest.approx(1.196e-3, rel=1e-3)


def test_a_cell_without_products_is_bounded_by_its_gates_alone():
    assert set(roofline(Case("mingru", 5, 4, 3))) == {"tanh"}


def test_what_is_timed_is_a_product_and_a_tanh():
    product = roofline(Case("rnn", 5, 4, 3))["products"].run()
    rng = np.random.default_rng(0)
    A, B = (rng.standard_normal((WIDTH, WIDTH), np.float32) for _ in range(2))
    np.testing.assert_allclose(product[:3, :3], A[:3].astype(float) @ B[:, :3].astype(float), rtol=0, atol=1e-3)
    x, out = np.linspace(-3, 3, 100, dtype=np.float32), np.empty(100, np.float32)
    njit(**OPTIONS)(each_tanh)(x, out)
    np.testing.assert_allclose(out, np.tanh(x), rtol=1e-6)
