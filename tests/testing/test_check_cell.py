"""Planted mistakes: each breaks the contract that should detect it, and the message names that contract."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from memspan import CELLS, InvalidArgument, MemspanError
from memspan.cells import Cell
from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.testing import CELL_CONTRACTS, ContractBroken, cell_functions, cell_networks, check_cell
from memspan.testing.report import Found, demand_near

LSTM, RNN, MGU, LRU, GRU = (CELLS[name] for name in ("lstm", "rnn", "mgu", "lru", "gru"))


def forward(s, previous, unit):
    a = tanh(s[0])
    return (a,), (a,)


def backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * tanh_derivative(residuals[0]),), (0.0 * d_state[0],), ()


def own(**change):
    """A cell of one's own, with a change."""
    return replace(Cell("own", ("a",), ("a",), forward, backward, "this test"), **change)


def wrong_slope(d_state, residuals, previous, state, unit):
    return (d_state[0] * one_minus(residuals[0]),), (0.0 * d_state[0],), ()


def wrong_gate(d_state, residuals, previous, state, unit):
    """The GRU's backward, with z where 1 - z belongs."""
    d_a, (n, r, z, u) = d_state[0], residuals
    d_n = d_a * one_minus(z) * tanh_derivative(n)
    d_r = d_n * u * sigmoid_derivative(r)
    d_z = d_a * (previous[0] - n) * sigmoid_derivative(z)
    return (d_n, d_r, d_z, d_n * r), (d_a * one_minus(z),), ()


def overwriting(s, previous, unit):
    a = tanh(s[0])
    s[0][:] = 0.0
    return (a,), (a,)


def overwriting_back(d_state, residuals, previous, state, unit):
    d_state[0][:] = d_state[0] * tanh_derivative(residuals[0])
    return (d_state[0],), (0.0 * d_state[0],), ()


def overwriting_residuals(d_state, residuals, previous, state, unit):
    slope = tanh_derivative(residuals[0])
    residuals[0][:] = 0.0
    return (d_state[0] * slope,), (0.0 * d_state[0],), ()


def doubling(s, previous, unit):
    a = tanh(2.0 * s[0])
    return (a,), (a,)


def doubling_back(d_state, residuals, previous, state, unit):
    return (2.0 * d_state[0] * tanh_derivative(residuals[0]),), (0.0 * d_state[0],), ()


def foreign(s, previous, unit):
    a = np.tanh(s[0])
    return (a,), (a,)


def double_precision(s, previous, unit):
    a = tanh(s[0] * np.float64(1.0))
    return (a,), (a,)


def looking_aside(s, previous, unit):
    a = tanh(s[0]) + 0.0 * np.mean(s[0])
    a = a + np.mean(s[0])
    return (a,), (a,)


def losing(s, previous, unit):
    """Real where it is complex."""
    a = tanh(s[0].real)
    return (a,), (a,)


count = iter(range(10**9))


def counting(s, previous, unit):
    a = tanh(s[0]) + 1e-9 * next(count)
    return (a,), (a,)


def wrong_q(s, previous, unit):
    return sigmoid(s[0]) * previous[0] * sigmoid(s[0])


def wrong_reset(d_q, residuals, previous, unit):
    (d_f,), (d_a,) = MGU.reset.backward(d_q, residuals, previous, unit)
    return (d_f,), (0.0 * d_a,)


def test_a_right_cell_keeps_every_contract():
    report = check_cell(own(), compiled=False)
    assert list(report.kept) == [name for name in CELL_CONTRACTS if name != "engines"]
    assert str(report) == f"The cell own keeps {len(report.kept)} contracts: {', '.join(report.kept)}."
    assert str(check_cell(own(), contracts=["names"])) == "The cell own keeps 1 contract: names."


@pytest.mark.parametrize(
    ("cell", "contract", "found"),
    [
        (own(source=""), "names", "an empty name or source"),
        (own(states=("h",), reads=("h",)), "names", "the first state is 'h' instead of 'a'"),
        (own(backward=wrong_slope), "derivative", "the derivative with respect to gate a is off by"),
        (replace(GRU, backward=wrong_gate), "derivative", "the derivative with respect to previous a is off by"),
        (own(backward=wrong_slope), "gradient", "The gradient is WRONG at"),
        (own(forward=overwriting), "inputs kept", "forward changes s"),
        (own(backward=overwriting_back), "inputs kept", "backward changes d_state"),
        (own(backward=overwriting_residuals), "inputs kept", "backward changes the state or the residuals"),
        (own(forward=doubling, backward=doubling_back), "arithmetic", "the constant 2.0 in doubling"),
        (own(forward=foreign), "arithmetic", "a call of np.tanh in foreign"),
        (
            own(forward=lambda s, previous, unit: forward(s, previous, unit)),
            "arithmetic",
            "<lambda> is not the",
        ),
        (own(forward=double_precision), "precision", "forward returns float64 for float32"),
        (own(sigmoid_gates=("a",)), "sigmoid gates", "a from -1 to 1"),
        (own(forward=looking_aside), "neighbours", "a unit alone is off by"),
        (own(forward=looking_aside), "batch", "the answer is off by"),
        (own(forward=losing), "derivative", "gate a is off by"),
        (own(forward=counting), "repeat", "the answer differs"),
        (replace(MGU, reset=replace(MGU.reset, forward=wrong_q)), "reset", "the q that forward saves"),
        (
            replace(MGU, reset=replace(MGU.reset, backward=wrong_reset)),
            "reset",
            "derivative 0 of the reset's states",
        ),
    ],
)
def test_a_planted_mistake_is_caught(cell, contract, found):
    with pytest.raises(ContractBroken) as caught:
        check_cell(cell, contracts=[contract])
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, MemspanError)
    assert caught.value.contract == contract
    assert caught.value.rule == CELL_CONTRACTS[contract].rule
    assert found in caught.value.found
    assert str(caught.value).startswith(f'The cell {cell.name} breaks the contract "{contract}". ')
    with pytest.raises(ContractBroken):
        check_cell(cell, compiled=False)


def test_an_error_of_the_cell_itself_breaks_the_contract():
    def raising(s, previous, unit):
        if s[0].shape == cell_functions.UNITS:
            raise KeyError("no such gate")
        return forward(s, previous, unit)

    with pytest.raises(ContractBroken, match="KeyError: 'no such gate'") as caught:
        check_cell(own(forward=raising))
    assert isinstance(caught.value.__cause__, KeyError)


def mistaken_network(monkeypatch, **methods):
    """The contracts inside a network judge the engine too: a mistake there is seen."""

    class Mistaken(cell_networks.Network):
        pass

    for name, method in methods.items():
        setattr(Mistaken, name, method)
    monkeypatch.setattr(cell_networks, "Network", Mistaken)


def test_mistakes_of_the_network_are_caught(monkeypatch):
    Network = cell_networks.Network

    def forward_of_the_last(self, x):
        y_hat = Network.forward(self, x)
        return y_hat.astype(np.float64) if len(x) > 1 else y_hat

    def offset(self, x):
        return Network.forward(self, x) + len(x) * x.shape[1] * self.dtype.type(1e-3)

    def of_one_step(self, d):
        gradients = Network.backward(self, d)
        gradients["d_W"] = gradients["d_W"] * self.dtype.type(2)
        return gradients

    def swapped(self, x):
        y_hat = Network.forward(self, x)
        self.trace.states[:, 3] = 0
        return y_hat

    for contract, methods in {
        "dtype": {"forward": forward_of_the_last},
        "batch": {"forward": offset},
        "prefixes": {"forward": offset},
        "total": {"backward": of_one_step},
        "feeds": {"forward": swapped},
    }.items():
        with monkeypatch.context() as patch:
            mistaken_network(patch, **methods)
            with pytest.raises(ContractBroken) as caught:
                check_cell(RNN, contracts=[contract])
            assert caught.value.contract == contract

    def twice_complex(self, x):
        return Network.forward(self, x) * (2 if self.dtype.kind == "c" else 1)

    mistaken_network(monkeypatch, forward=twice_complex)
    with pytest.raises(ContractBroken, match="the answer is off by"):
        check_cell(RNN, contracts=["complex"])


def test_own_weights_that_are_not_drawn_last_are_caught(monkeypatch):
    def greedy(rng, hidden):
        return np.ones((1, hidden + 1))

    with pytest.raises(ContractBroken, match="unit weights"):
        check_cell(replace(LRU, unit_init=greedy), contracts=["unit weights"])


@pytest.mark.slow
def test_the_engines_are_compared():
    """With a cell whose kernels are compiled anyhow."""
    cell = CELLS["gru-before"]
    assert list(check_cell(cell, contracts=["engines"]).kept) == ["engines"]
    original = cell_networks.CompiledEngine

    class Wrong(original):
        def differentiate(self, *arguments, **options):
            losses, gradients, norms = super().differentiate(*arguments, **options)
            return losses, [gradient * (1 + 1e-3) for gradient in gradients], norms

    cell_networks.CompiledEngine = Wrong
    try:
        with pytest.raises(ContractBroken, match=r"d_W at T=1, B=1, K=None, float32 is off by"):
            check_cell(cell, contracts=["engines"])
    finally:
        cell_networks.CompiledEngine = original


@pytest.mark.slow
def test_a_cell_that_does_not_compile_breaks_the_contract_of_the_engines():
    with pytest.raises(ContractBroken) as caught:
        check_cell(own(forward=counting), contracts=["engines"])
    assert caught.value.contract == "engines"


def test_what_is_no_cell_and_no_contract_is_refused():
    with pytest.raises(InvalidArgument, match="cell must be a Cell, got 'rnn'"):
        check_cell("rnn")
    with pytest.raises(InvalidArgument, match="contracts must be one of names, "):
        check_cell(RNN, contracts=["gradients"])


def test_neither_pytest_nor_hypothesis_is_needed():
    program = (
        "import sys; sys.modules.update(pytest=None, hypothesis=None, _pytest=None); "
        "from memspan.testing import check_cell, check_task"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def nan_forward(s, previous, unit):
    return (s[0] * np.nan,), (s[0],)


def nan_backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * np.nan,), (0.0 * d_state[0],), ()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"forward": nan_forward}, "the forward gives values of the state that are not finite"),
        ({"backward": nan_backward}, "the backward gives derivatives that are not finite"),
    ],
)
def test_a_cell_that_gives_nan_is_told_once(change, found):
    report = check_cell(own(**change), compiled=False, raises=False)
    (broken,) = report.broken
    assert broken.contract == "finite"
    assert broken.found.startswith(found)
    assert "gradient" in report.unchecked


def test_a_wrong_gradient_is_told_in_one_line():
    (broken,) = check_cell(own(backward=wrong_slope), contracts=["gradient"], raises=False).broken
    assert "\n" not in broken.found
    assert re.search(r" The largest relative error is [\d.e-]+, at [RWb]\S+", broken.found)
    assert broken.found.endswith(". `memspan gradcheck` prints all comparisons")


def test_what_is_not_finite_is_said():
    with pytest.raises(Found, match=r"^y has values that are not finite$"):
        demand_near(np.array([np.nan, 1.0]), np.ones(2), 1.0, "y")
    with pytest.raises(Found, match=r"^y is finite, where NaN or infinity is expected$"):
        demand_near(np.ones(2), np.array([np.nan, 1.0]), np.nan, "y")
