"""Weights from PyTorch's modules into networks, and back."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import CELLS, GRU, LSTM, RNN, InvalidArgument, MSELoss, Network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan.torch import load_weights, to_torch  # noqa: E402

F, H, O, B, T = 3, 5, 2, 4, 12
NONLINEARITY = {"rnn": {"nonlinearity": "tanh"}, "rnn-relu": {"nonlinearity": "relu"}}
NAMES = {"rnn": "RNN", "rnn-relu": "RNN", "lstm": "LSTM", "gru": "GRU"}
every_cell = pytest.mark.parametrize("cell", NAMES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def module_of(cell, kind="", dtype="float64", **options):
    """PyTorch's module of a cell, with random weights, also of both biases."""
    made = getattr(torch.nn, NAMES[cell] + kind)
    return made(F, H, dtype=getattr(torch, dtype), **{**NONLINEARITY.get(cell, {}), **options})


def network_of(cell, dtype="float64", seed=0):
    """A network with random weights, also of all biases."""
    network = Network(cell, F, H, O, dtype=dtype, rng=seed)
    network.parameters[:] = np.random.default_rng(seed).uniform(-0.5, 0.5, network.parameters.size)
    return network


def batch(dtype="float64"):
    return np.random.default_rng(1).uniform(-1, 1, (T, B, F)).astype(dtype)


def output(module, x):
    """The output at every step: that of a layer, or of a cell called step by step."""
    if isinstance(module, torch.nn.RNNBase):
        return module(x.transpose(0, 1))[0].transpose(0, 1) if module.batch_first else module(x)[0]
    state, found = None, []
    for x_t in x:
        state = module(x_t, state)
        found.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(found)


# --- into a network -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("kind", ["", "Cell"])
@every_cell
def test_a_network_with_a_modules_weights_predicts_the_same(cell, kind, options):
    if kind == "Cell" and "batch_first" in options:
        return
    module, read_out = module_of(cell, kind, **options), torch.nn.Linear(H, O, dtype=torch.float64)
    network, x = network_of(cell), batch()
    load_weights(network, module, read_out)
    expected = read_out(output(module, torch.from_numpy(x))[-1]).detach().numpy()
    np.testing.assert_allclose(network.forward(x), expected, rtol=0, atol=1e-12)
    if "bias" in options:
        assert not network.bs.any()


@pytest.mark.parametrize("network", [RNN(F, H, O), LSTM(F, H, O), GRU(F, H, O)], ids=repr)
def test_named_networks_take_weights_too(network):
    module = module_of(network.cell.name)
    load_weights(network, module)
    a = output(module, torch.from_numpy(batch()))
    network.forward(batch())
    np.testing.assert_allclose(network.trace.a, a.detach(), rtol=0, atol=1e-12)


def test_without_a_read_out_that_of_the_network_stays():
    network = network_of("lstm")
    V, by = network.V.copy(), network.by.copy()
    load_weights(network, module_of("lstm"))
    np.testing.assert_array_equal(network.V, V)
    np.testing.assert_array_equal(network.by, by)
    load_weights(network, module_of("lstm"), torch.nn.Linear(H, O, bias=False))
    assert not network.by.any()


def test_the_weights_are_copies_and_the_module_is_not_changed():
    module, network = module_of("gru"), network_of("gru")
    before = copy.deepcopy(module.state_dict())
    load_weights(network, module)
    network.parameters[:] = 0
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, before[name])


def test_an_earlier_trace_is_discarded():
    network = network_of("lstm")
    network.forward(batch())
    load_weights(network, module_of("lstm"))
    assert network.trace is None


@pytest.mark.parametrize("mine", ["float32", "float64"])
@pytest.mark.parametrize("theirs", ["float32", "float64", "bfloat16"])
def test_the_weights_are_rounded_to_the_networks_dtype_and_only_once(mine, theirs):
    module, network = module_of("lstm", dtype=theirs), network_of("lstm", mine)
    load_weights(network, module)
    np.testing.assert_array_equal(network.R, module.weight_hh_l0.detach().double().numpy().T.astype(mine))
    both = module.bias_ih_l0.detach().double().numpy() + module.bias_hh_l0.detach().double().numpy()
    np.testing.assert_array_equal(network.bs[:, 0], both.astype(mine))


def test_the_bias_inside_the_reset_stays_apart():
    module, network = module_of("gru"), network_of("gru")
    load_weights(network, module)
    theirs = module.bias_ih_l0.detach().numpy(), module.bias_hh_l0.detach().numpy()
    n, r, z, u = network.bs[:, 0].reshape(4, H)
    np.testing.assert_array_equal(u, theirs[1][2 * H :])
    np.testing.assert_array_equal(n, theirs[0][2 * H :])
    np.testing.assert_array_equal(np.concatenate([r, z]), (theirs[0] + theirs[1])[: 2 * H])


# --- out of a network -----------------------------------------------------------------------------------


@every_cell
def test_a_model_with_a_networks_weights_predicts_the_same_after_every_step(cell):
    network, x = network_of(cell), batch()
    model = to_torch(network)
    y, _ = model(torch.from_numpy(x))
    expected = network.with_output_steps(T).forward(x)
    np.testing.assert_allclose(y.detach(), expected, rtol=0, atol=1e-12)


@every_cell
def test_the_state_goes_on(cell):
    model, x = to_torch(network_of(cell)), torch.from_numpy(batch())
    whole, last = model(x)
    first, state = model(x[:5])
    second, end = model(x[5:], state)
    np.testing.assert_allclose(torch.cat([first, second]).detach(), whole.detach(), rtol=0, atol=1e-14)
    for mine, theirs in zip(as_tuple(end), as_tuple(last), strict=True):
        assert mine.shape == (B, 1, H)
        np.testing.assert_allclose(mine.detach(), theirs.detach(), rtol=0, atol=1e-14)


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


@every_dtype
@every_cell
def test_there_and_back_is_the_same_to_the_last_bit(cell, dtype):
    network, other = network_of(cell, dtype), network_of(cell, dtype, seed=1)
    model = to_torch(network)
    load_weights(other, model)
    assert other.parameters.tobytes() == network.parameters.tobytes()
    load_weights(other, model.module, model.read_out)
    assert other.parameters.tobytes() == network.parameters.tobytes()
    for parameter in model.parameters():
        assert str(parameter.dtype) == f"torch.{dtype}"


wide = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=30)
@given(st.sampled_from([*NAMES]), st.lists(wide, min_size=3, max_size=20))
def test_so_are_all_numbers_also_zeros_with_a_sign(cell, numbers):
    for dtype in ("float32", "float64"):
        network, other = Network(cell, 1, 2, 1, dtype=dtype), Network(cell, 1, 2, 1, dtype=dtype)
        network.parameters[:] = np.resize(np.array(numbers, dtype), network.parameters.size)
        load_weights(other, to_torch(network))
        assert other.parameters.tobytes() == network.parameters.tobytes()


@every_cell
def test_a_module_of_pytorchs_own_takes_the_weights_of_the_model(cell):
    model, x = to_torch(network_of(cell)), torch.from_numpy(batch())
    layer = module_of(cell)
    layer.load_state_dict(model.module.state_dict())
    np.testing.assert_allclose(layer(x)[0].detach(), model.module(x)[0].detach(), rtol=0, atol=1e-14)


def test_pytorchs_random_numbers_stay_as_they_are():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    to_torch(network_of("gru"))
    assert torch.equal(torch.rand(3), expected)


def test_the_network_does_not_change_with_the_model():
    network = network_of("lstm")
    before = network.parameters.tobytes()
    model = to_torch(network)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert network.parameters.tobytes() == before


# --- gradients, and the second bias ---------------------------------------------------------------------


def gradients(model, dtype="float64"):
    """The gradients of a model as a network of the same cell, in whose weights they stand."""
    holder = copy.deepcopy(model)
    with torch.no_grad():
        for kept, parameter in zip(holder.parameters(), model.parameters(), strict=True):
            kept.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    return holder


@every_cell
def test_the_gradients_are_those_of_the_network(cell):
    network, x, d = network_of(cell), batch(), np.random.default_rng(2).standard_normal((B, O))
    model = to_torch(network)
    model(torch.from_numpy(x))[0][-1].backward(torch.from_numpy(d))
    found = network_of(cell)
    load_weights(found, gradients(model))
    network.forward(x)
    grads = network.backward(d)
    for name, gradient in found.get_weights().items():
        expected = grads[f"d_{name}"]
        expected = expected.sum(axis=0) if expected.ndim == 3 else expected
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12)


@every_cell
def test_the_second_bias_is_zero_and_frozen(cell):
    model = to_torch(network_of(cell))
    second, counted = model.module.bias_hh_l0, 2 * H if cell == "gru" else None
    model(torch.from_numpy(batch()))[0].sum().backward()
    assert not second[:counted].any()
    assert second.requires_grad is (cell == "gru")
    if cell == "gru":
        assert not second.grad[:counted].any()
        assert second.grad[counted:].all()
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained == network_of(cell).parameters.size + (counted or 0)


def test_the_frozen_part_counts_in_no_way_of_calling():
    """Also in copies, and where the weights are passed to the model, as engines for several models do."""
    model, x = copy.deepcopy(to_torch(network_of("gru"))), torch.from_numpy(batch())
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(weights):
        return torch.func.functional_call(model, weights, (x,))[0].square().sum()

    several = {name: torch.stack([weight, 2 * weight]) for name, weight in weights.items()}
    for gradient in (torch.func.grad(loss)(weights), *unstacked(torch.func.vmap(torch.func.grad(loss))(several))):
        d_second = gradient["module.bias_hh_l0"]
        assert not d_second[: 2 * H].any()
        assert d_second[2 * H :].all()


def unstacked(gradients):
    return ({name: gradient[m] for name, gradient in gradients.items()} for m in range(2))


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-13), ("float32", 1e-6)])
@every_cell
def test_training_with_both_has_the_same_losses(cell, dtype, atol):
    """50 updates of gradient descent from the same weights. The second bias would otherwise learn twice."""
    network, x, rate = network_of(cell, dtype), batch(dtype), 0.05
    y = np.random.default_rng(3).standard_normal((B, O)).astype(dtype)
    model, loss = to_torch(network), MSELoss()
    rule = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], rate)
    for _ in range(50):
        mine = loss.forward(network.forward(x), y)
        network.backward(loss.backward())
        network.update(rate)
        rule.zero_grad()
        theirs = torch.nn.functional.mse_loss(model(torch.from_numpy(x))[0][-1], torch.from_numpy(y))
        theirs.backward()
        rule.step()
        assert abs(mine - theirs.item()) <= atol
    assert not model.module.bias_hh_l0[: 2 * H if cell == "gru" else None].any()


def test_both_biases_unfrozen_learn_at_twice_the_rate():
    """So the test above would see it."""
    network, x, y = network_of("lstm"), batch(), np.ones((B, O))
    model, loss = to_torch(network), MSELoss()
    model.requires_grad_(True)
    loss.forward(network.forward(x), y)
    network.backward(loss.backward())
    torch.nn.functional.mse_loss(model(torch.from_numpy(x))[0][-1], torch.from_numpy(y)).backward()
    found = network_of("lstm")
    load_weights(found, gradients(model))
    np.testing.assert_allclose(found.bs, 2 * network.grads["d_bs"].sum(axis=0), rtol=1e-10)


# --- what has no equal ----------------------------------------------------------------------------------


class OwnLSTM(torch.nn.LSTM):
    pass


RULES = {
    "layers": (lambda: torch.nn.LSTM(F, H, num_layers=2), r"\(num_layers=1\), got num_layers=2"),
    "directions": (
        lambda: torch.nn.LSTM(F, H, bidirectional=True),
        r"\(bidirectional=False\), got bidirectional=",
    ),
    "projections": (lambda: torch.nn.LSTM(F, H, proj_size=2), r"\(proj_size=0\), got proj_size=2"),
    "features": (
        lambda: torch.nn.LSTM(F + 1, H),
        "of 3 inputs and 5 units, as the network, got 4 inputs and 5 units",
    ),
    "units": (
        lambda: torch.nn.LSTM(F, H + 1),
        "of 3 inputs and 5 units, as the network, got 3 inputs and 6 units",
    ),
    "cell": (lambda: torch.nn.RNN(F, H), "'lstm', got RNN with nonlinearity='tanh', which is 'rnn'$"),
    "subclass": (
        lambda: OwnLSTM(F, H),
        r"of a class that memspan knows \(torch.nn: GRU, GRUCell, .*\), got OwnLSTM",
    ),
    "Linear": (lambda: torch.nn.Linear(F, H), "of a class that memspan knows"),
    "number": (lambda: 3, "of a class that memspan knows .*, got 3"),
    "complex": (lambda: torch.nn.LSTM(F, H).to(torch.complex128), "with real weights, got torch.complex128"),
}


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
@pytest.mark.parametrize("rule", RULES)
def test_a_module_without_an_equal_is_refused_and_nothing_changes(rule):
    make, message = RULES[rule]
    network = network_of("lstm")
    before = network.parameters.tobytes()
    with pytest.raises(InvalidArgument, match=f"^module must be .*{message}"):
        load_weights(network, make())
    assert network.parameters.tobytes() == before


@pytest.mark.parametrize("mine", ["rnn", "rnn-relu"])
def test_another_nonlinearity_is_refused(mine):
    theirs = {"rnn": "rnn-relu", "rnn-relu": "rnn"}[mine]
    with pytest.raises(InvalidArgument, match=f"of the network's cell, '{mine}', got RNNCell with nonlinearity="):
        load_weights(network_of(mine), module_of(theirs, "Cell"))


def test_pytorchs_gru_is_not_that_of_the_paper():
    message = "cell, 'gru-before', got GRU, which is 'gru', in which the reset comes after the product with R"
    with pytest.raises(InvalidArgument, match=message):
        load_weights(network_of("gru-before"), module_of("gru"))
    with pytest.raises(InvalidArgument, match="got 'gru-before'; in the GRU of PyTorch the reset comes after"):
        to_torch(network_of("gru-before"))


@pytest.mark.parametrize("cell", sorted(CELLS.keys() - NAMES.keys()))
def test_a_cell_that_pytorch_does_not_have_is_refused(cell):
    message = rf"net must be of a cell that PyTorch has \(rnn, rnn-relu, lstm, gru\), got '{cell}'"
    with pytest.raises(InvalidArgument, match=message):
        to_torch(network_of(cell))


def test_a_cell_that_only_has_the_name_is_refused():
    own = Network(replace(CELLS["rnn"], forward=CELLS["rnn-relu"].forward), F, H, O)
    with pytest.raises(InvalidArgument, match="got 'another rnn'"):
        to_torch(own)
    with pytest.raises(InvalidArgument, match="of the network's cell, 'another rnn'"):
        load_weights(own, module_of("rnn"))


def test_a_network_of_complex_numbers_has_no_model():
    with pytest.raises(InvalidArgument, match="net must be of float32 or float64, got complex128"):
        to_torch(network_of("rnn").astype("complex128"))


@pytest.mark.parametrize("net", [3, "rnn", torch.nn.LSTM(1, 1)], ids=str)
def test_what_is_no_network_is_refused(net):
    with pytest.raises(InvalidArgument, match="net must be a Network"):
        to_torch(net)
    with pytest.raises(InvalidArgument, match="net must be a Network"):
        load_weights(net, module_of("lstm"))


@pytest.mark.parametrize(
    ("read_out", "message"),
    [
        (
            lambda: torch.nn.Linear(H, O + 1),
            "of 5 inputs and 2 outputs, as in the network, got 5 inputs and 3 outputs",
        ),
        (lambda: torch.nn.Linear(H + 1, O), "got 6 inputs and 2 outputs"),
        (lambda: torch.nn.Identity(), "an nn.Linear, got Identity"),
        (lambda: 3, "an nn.Linear, got 3"),
    ],
)
def test_a_read_out_that_does_not_fit_is_refused(read_out, message):
    network = network_of("lstm")
    before = network.parameters.tobytes()
    with pytest.raises(InvalidArgument, match=f"^read_out must be .*{message}"):
        load_weights(network, module_of("lstm"), read_out())
    assert network.parameters.tobytes() == before


def test_weights_that_are_not_finite_are_refused():
    module, network = module_of("gru"), network_of("gru")
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = torch.nan
    before = network.parameters.tobytes()
    with pytest.raises(InvalidArgument, match="R must be finite in float64, got nan"):
        load_weights(network, module)
    assert network.parameters.tobytes() == before
