"""The diagnostics of PyTorch models: the numbers of the built-in cell of the same weights, or of equations."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_twins import twin_of, weights_in_torch  # noqa: E402

from memspan import (  # noqa: E402
    InvalidArgument,
    Jacobians,
    LyapunovExponents,
    Network,
    Recall,
    Saturation,
    label_gradient,
    label_signal,
    recurrent_spectra,
)
from memspan.diagnostics import Twins  # noqa: E402
from memspan.diagnostics.label import label_engine  # noqa: E402
from memspan.foreign.steps import ForeignSteps  # noqa: E402
from memspan.torch import Sequence, Steps, TorchNetwork, to_torch  # noqa: E402

T, B, F, H = 8, 3, 1, 5
CELLS = ("rnn", "lstm", "gru")
every_cell = pytest.mark.parametrize("cell", CELLS)


def pair(cell, dtype="float64"):
    """A network with biases, and the model of the same weights."""
    network = Network(cell, F, H, 1, dtype=dtype, gain=3, rng=1)
    network.bs += np.random.default_rng(2).uniform(-0.1, 0.1, network.bs.shape)
    return network, TorchNetwork(to_torch(network), F, 1)


def inputs():
    return np.random.default_rng(0).uniform(-1, 1, (T, B, F))


def twins():
    return Twins.of(Recall(), T, 16, 0, parts=8)


def difference(found, expected):
    """The distance of two arrays as a share of the norm of the second one."""
    assert np.shape(found) == np.shape(expected)
    return np.linalg.norm(np.asarray(found) - expected) / np.linalg.norm(expected)


@every_cell
@pytest.mark.parametrize("engine", [None, "readable"])
def test_the_label_gradient_is_that_of_the_built_in_cell(cell, engine):
    network = pair(cell)[0]
    twin = twin_of(network)
    expected, found = (label_gradient(one, twins(), engine=engine) for one in (network, twin))
    assert difference([found.theta, found.z], [expected.theta, expected.z]) < 1e-12
    by_name = weights_in_torch(network, network.layout.by_name(expected.gradient))
    for name, gradient in twin.layout.by_name(found.gradient).items():
        np.testing.assert_allclose(gradient, by_name[name], rtol=1e-11, atol=1e-13 * expected.theta**0.5)
    twin.parameters[0] += 1e-6  # a small mistake is seen
    assert difference(label_gradient(twin, twins(), engine=engine).parts, found.parts) > 1e-9


def test_a_prepared_engine_serves_networks_of_one_shape():
    network, twin = pair("rnn")
    found = label_gradient(twin, twins(), engine=label_engine(twin))
    np.testing.assert_array_equal(found.parts, label_gradient(twin, twins()).parts)
    with pytest.raises(InvalidArgument, match="engine must be one for networks of this shape"):
        label_gradient(twin, twins(), engine=label_engine(network))
    with pytest.raises(InvalidArgument, match="engine must be 'readable', or left out, for <TorchNetwork"):
        label_gradient(twin, twins(), engine="compiled")


@every_cell
def test_the_label_signal_is_that_of_the_built_in_cell(cell):
    network, twin = pair(cell)
    expected = label_signal(network, twins())
    for engine in (None, "readable"):
        found = label_signal(twin, twins(), engine=engine)
        assert difference(found.s, expected.s) < 1e-12
        assert difference(found.power, expected.power) < 1e-12


@every_cell
def test_jacobians_and_exponents_are_those_of_the_built_in_cell(cell):
    network, twin = pair(cell)
    assert difference(Jacobians.of(twin, inputs()).J, Jacobians.of(network, inputs()).J) < 1e-13
    for discard in (0, 2):
        expected, found = (LyapunovExponents.largest(one, inputs(), discard=discard) for one in (network, twin))
        assert difference(found.by_sample, expected.by_sample) < 1e-12
        assert found.steps == expected.steps


@every_cell
def test_pytorch_takes_gradients_of_the_state_back_as_the_built_in_cell_does(cell):
    network, twin = pair(cell)
    expected, found = network.steps(inputs()), ForeignSteps(twin, inputs())
    assert (found.shape, found.widths, found.first) == (expected.shape, expected.widths, 0)
    rows = np.random.default_rng(3).standard_normal((4, B, sum(found.widths)))
    for t in (0, 3, T - 1):
        assert difference(found.back(t, rows), expected.back(t, rows)) < 1e-13


@every_cell
def test_the_built_in_network_of_a_model_has_its_weights(cell):
    network, twin = pair(cell)
    known = twin.with_output_steps(2).built_in()
    np.testing.assert_array_equal(known.parameters, network.parameters)
    assert (known.cell.name, known.output_steps) == (cell, 2)
    layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](F, H)  # with two biases
    twice = TorchNetwork(Sequence(layer, H, 1).double(), F, 1)
    np.testing.assert_allclose(twice.built_in().predict(inputs()), twice.predict(inputs()), rtol=0, atol=1e-14)
    assert own().built_in() is None


@every_cell
def test_slopes_gates_and_spectra_are_those_of_the_built_in_cell(cell):
    network, twin = pair(cell)
    expected, found = (Saturation.of(one, inputs()) for one in (network, twin))
    np.testing.assert_allclose(found.slope, expected.slope, rtol=1e-14)
    assert list(found.openness) == list(expected.openness)
    for gate, values in expected.openness.items():
        np.testing.assert_allclose(found.openness[gate], values, rtol=1e-14)
    spectra, of_twin = recurrent_spectra(network), recurrent_spectra(twin)
    assert [(gate, one.radius) for gate, one in of_twin.items()] == [
        (gate, one.radius) for gate, one in spectra.items()
    ]


def test_a_model_of_float32_is_measured_in_float64():
    network, twin = pair("lstm", "float32")
    assert (
        difference(label_gradient(twin, twins()).parts.sum(), label_gradient(network, twins()).parts.sum()) < 1e-12
    )
    assert difference(Jacobians.of(twin, inputs()).J, Jacobians.of(network, inputs()).J) < 1e-13


class Leaky(torch.nn.Module):
    """A cell of one's own: h[t] = ½ h[t-1] + ½ tanh(R h[t-1] + W x[t]) + the bias of R."""

    def __init__(self):
        super().__init__()
        self.W, self.R = torch.nn.Linear(F, H, bias=False), torch.nn.Linear(H, H)

    def forward(self, x, h):
        return 0.5 * h + 0.5 * torch.tanh(self.W(x) + self.R(h))


def own(**how):
    torch.manual_seed(0)
    how = {"state": H} | how
    return TorchNetwork(Steps(Leaky().double(), H, 1, **how).double(), F, 1)


def test_a_cell_of_ones_own_has_the_jacobians_of_its_equation():
    network, x = own(), inputs()
    J = Jacobians.of(network, x).J
    weights = network.get_weights()
    W, R, b = (weights[f"module.{name}"] for name in ("W.weight", "R.weight", "R.bias"))
    h = np.zeros((B, H))
    for t in range(T):
        inner = np.tanh(x[t] @ W.T + h @ R.T + b)
        h = 0.5 * h + 0.5 * inner
        expected = 0.5 * np.eye(H) + 0.5 * (1 - inner**2)[..., np.newaxis] * R
        np.testing.assert_allclose(J[t], expected, atol=1e-15)


def test_what_is_known_of_named_cells_only_is_refused_for_others():
    network = own()
    with pytest.raises(InvalidArgument, match="network must be one of a cell that memspan has, got <TorchNetwork"):
        Saturation.of(network, inputs())
    with pytest.raises(InvalidArgument, match="network must be one whose recurrent weights R memspan knows"):
        recurrent_spectra(network)


def ones(batch, x):
    return x.new_ones(batch, H)


def test_an_initial_state_that_is_not_zero_is_not_taken_for_zeros():
    """Its first step is not measured; from the second one on nothing changes."""
    network, x = own(state=ones), inputs()
    found = LyapunovExponents.largest(network, x)
    assert found.steps == T - 1
    network.predict(x[:1])
    state, later = network.state, x[1:]
    assert abs(state - 0.5).max() > 0.1
    steps = network.steps(x)
    assert steps.first == 1
    zeros = own().steps(later)
    rows = np.random.default_rng(1).standard_normal((2, B, H))
    assert difference(steps.back(1, rows), zeros.back(0, rows)) > 1e-3
    with pytest.raises(InvalidArgument, match="network must be one whose initial state is zeros"):
        Jacobians.of(network, x)
    cell = torch.nn.RNNCell(F, H).double()
    started, plain = (TorchNetwork(Steps(cell, H, 1, **how).double(), F, 1) for how in ({"state": ones}, {}))
    assert started.built_in() is None
    assert plain.built_in().cell.name == "rnn"


def test_layers_on_layers_have_a_spectrum_for_each_block():
    network = TorchNetwork(Sequence(torch.nn.LSTM(F, H, 2), H, 1).double(), F, 1)
    spectra = recurrent_spectra(network)
    assert list(spectra) == [f"module.weight_hh_l{layer} {k}" for layer in (0, 1) for k in (1, 2, 3, 4)]
    R = network.get_weights()["module.weight_hh_l1"]
    assert spectra["module.weight_hh_l1 3"].radius == pytest.approx(max(abs(np.linalg.eigvals(R[2 * H : 3 * H]))))
    assert Jacobians.of(network, inputs()).J.shape == (T, B, 4 * H, 4 * H)
    projected = TorchNetwork(Sequence(torch.nn.LSTM(F, H, proj_size=2), 2, 1).double(), F, 1)
    assert projected.recurrent_blocks() is None


class Stateless(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.V = torch.nn.Linear(F, 1)

    def forward(self, x, state=None):
        return self.V(x), ()


def test_nothing_goes_back_through_a_model_without_a_state():
    network = TorchNetwork(Stateless().double(), F, 1)
    assert np.isneginf(LyapunovExponents.largest(network, inputs()).values[0])


def test_states_that_overflow_are_refused():
    layer = torch.nn.RNN(F, H, nonlinearity="relu")
    network = TorchNetwork(Sequence(layer, H, 1).double(), F, 1)
    network.parameters[:] = 1e200
    with pytest.raises(InvalidArgument, match="network must be one whose states stay finite on x, got infinity"):
        LyapunovExponents.largest(network, inputs())
