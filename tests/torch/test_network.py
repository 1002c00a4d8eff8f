"""A PyTorch model as a network: the numbers of memspan's own cell with the same weights, and PyTorch's own."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_twins import FACTORIES, lstm, twin_of, weights_in_torch  # noqa: E402

from memspan import GradientFlow, InvalidArgument, Network  # noqa: E402
from memspan.errors import FaultyPart, NotReady  # noqa: E402
from memspan.torch import FaultyModel, Sequence, Steps, TorchNetwork, make_network  # noqa: E402

T, B, F, H, O = 7, 4, 2, 5, 3
every_cell = pytest.mark.parametrize("cell", FACTORIES)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def close(actual, expected):
    assert np.shape(actual) == np.shape(expected)
    assert np.linalg.norm(actual - expected) <= 1e-13 * np.linalg.norm(expected)


@every_cell
@pytest.mark.parametrize("output_steps", [None, 3])
def test_the_numbers_are_those_of_the_built_in_cell(cell, output_steps, rng):
    network = Network(cell, F, H, O, output_steps=output_steps, rng=1)
    network.bs += rng.uniform(-0.1, 0.1, network.bs.shape)
    twin, x = twin_of(network), rng.uniform(-1, 1, (T, B, F))
    d = rng.standard_normal((B, O) if output_steps is None else (output_steps, B, O))
    close(twin.forward(x), network.forward(x))
    close(twin.predict(x), network.predict(x))
    grads, expected = twin.backward(d), network.backward(d)
    close(twin.trace.a, network.trace.a)
    close(grads.d_a, expected.d_a)
    total = twin.layout.by_name(grads.total())
    weights = {name.removeprefix("d_"): gradient for name, gradient in expected.items()}
    steps = {**weights, "V": np.zeros((T, H, O)), "by": np.zeros((T, O, 1))}
    for name, gradient in weights_in_torch(network, steps).items():
        if not name.startswith("read_out"):
            close(grads[f"d_{name}"], gradient)
    for name, gradient in total.items():
        close(grads[f"d_{name}"].sum(axis=0), gradient)
    close(total["read_out.weight"], expected["d_V"].T)
    close(total["read_out.bias"], expected["d_by"][:, 0])


@every_cell
def test_the_flow_is_that_of_the_built_in_cell(cell, rng):
    network = Network(cell, F, H, O, rng=1)
    twin, x, d = twin_of(network), rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))
    flows = []
    for one in (network, twin):
        one.forward(x)
        flows.append(GradientFlow.of(one.backward(d)))
    for name in ("d_a", "d_R", "d_W"):
        close(getattr(flows[1], name), getattr(flows[0], name))
    close(flows[1].spread.quantiles, flows[0].spread.quantiles)


def test_the_flow_of_an_unknown_cell_has_no_part_of_its_weights(rng):
    network = TorchNetwork(Memory().double(), F, O)
    network.forward(rng.uniform(-1, 1, (T, B, F)))
    flow = GradientFlow.of(network.backward(np.ones((B, O))))
    assert np.isnan(flow.d_R).all()
    assert np.isnan(flow.d_W).all()
    assert (flow.d_a > 0).all()
    with pytest.raises(InvalidArgument, match="gradients must be the grads of a network"):
        GradientFlow.of(None)


@every_cell
def test_a_sequence_in_two_parts_is_the_whole(cell, rng):
    """The state goes on from one part to the next, and its gradient back."""
    network = make_network(FACTORIES[cell], F, O, hidden=H, dtype="float64", rng=0)
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))
    y_hat = network.forward(x)
    whole, last = network.backward(d), network.state
    network.forward(x[:3])
    middle = network.state
    close(network.forward(x[3:], middle), y_hat)
    close(network.trace.a, whole.trace.a[3:])
    later = network.backward(d)
    for one, expected in zip(leaves(network.state), leaves(last), strict=True):
        close(one, expected)
    close(network.predict(x[3:], middle), y_hat)
    network.forward(x[:3])
    first = network.backward(np.zeros((B, O)), later.d_state)
    close(first.total() + later.total(), whole.total())
    close(np.concatenate([first.d_a, later.d_a]), whole.d_a)
    assert first.d_state is None  # the model made it itself


def leaves(state):
    return state if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("output_steps", [None, 3])
def test_a_truncated_gradient_takes_the_state_before_its_window_as_a_constant(output_steps, rng):
    network = make_network(lstm, F, O, hidden=H, dtype="float64", output_steps=output_steps, rng=0)
    one, x, k = network.with_output_steps(None), rng.uniform(-1, 1, (T, B, F)), 3
    answers = output_steps or 1
    d = rng.standard_normal((answers, B, O))
    d_loss = d if output_steps else d[0]
    total, d_a = np.zeros(network.layout.size), np.zeros((T, B, H))
    for answer, end in enumerate(range(T - answers + 1, T + 1)):
        one.predict(x[: end - k])
        one.forward(x[end - k : end], one.state)
        grads = one.backward(d[answer])
        total += grads.total()
        d_a[end - k : end] += grads.d_a
    network.forward(x)
    found = network.backward(d_loss, truncate=k)
    close(found.total(), total)
    close(found.d_a, d_a)
    close(sum(found[f"d_{name}"].sum() for name in network.layout.shapes), total.sum())
    close(network.backward(d_loss, truncate=T).total(), network.backward(d_loss).total())
    with pytest.raises(InvalidArgument, match="truncate must be a whole number of at least 1, got 0"):
        network.backward(d_loss, truncate=0)
    with pytest.raises(InvalidArgument, match="d_state must be left out with truncate"):
        network.backward(d_loss, network.state, truncate=2)


def test_only_parameters_that_need_a_gradient_are_trained():
    network = make_network(lstm, F, O, hidden=H, rng=0)
    assert list(network.layout.shapes) == [
        "module.weight_ih_l0",
        "module.weight_hh_l0",
        "module.bias_ih_l0",
        "read_out.weight",
        "read_out.bias",
    ]
    assert network.parameters.shape == (network.layout.size,) == (4 * H * (F + H + 1) + O * (H + 1),)
    views = network.layout.by_name(network.parameters)
    views["read_out.bias"][:] = 7
    assert (network.parameters[-O:] == 7).all()


def test_the_seed_alone_decides_the_weights_and_the_callers_state_stays():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (make_network(lstm, F, O, rng=seed) for seed in (0, np.random.SeedSequence(0), 1))
    again = make_network(lstm, F, O, rng=0)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(one.parameters, again.parameters)
    assert not np.array_equal(one.parameters, other.parameters)
    assert not np.array_equal(one.parameters, same.parameters)  # a seed is a stream of each purpose
    torch.set_default_dtype(torch.float64)
    try:
        double = make_network(lstm, F, O, rng=0, dtype="float64")
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(double.parameters, one.parameters)


def test_models_built_in_several_threads_have_the_weights_of_their_seeds():
    """Dask workers run jobs in threads, which share PyTorch's generators."""
    alone = [make_network(lstm, F, O, rng=seed).parameters for seed in range(40)]
    with ThreadPoolExecutor(8) as threads:
        together = threads.map(lambda seed: make_network(lstm, F, O, rng=seed).parameters, range(40))
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one, other)


def test_weights_go_in_and_out_by_name(rng):
    network = make_network(lstm, F, O, hidden=H, rng=0, dtype="float64")
    other = make_network(lstm, F, O, hidden=H, rng=1, dtype="float64")
    other.set_weights(network.get_weights())
    x = rng.uniform(-1, 1, (T, B, F))
    np.testing.assert_array_equal(other.predict(x), network.predict(x))
    with torch.no_grad():
        y, _ = other.to_module()(torch.from_numpy(x))
    np.testing.assert_array_equal(y[-1].numpy(), network.predict(x))
    with pytest.raises(InvalidArgument, match=r"weights must be a mapping with exactly module\.weight_ih_l0"):
        other.set_weights({"W": np.ones(3)})


def test_other_dtypes_and_output_steps(rng):
    network, x = make_network(lstm, F, O, hidden=H, rng=0, dtype="float64"), rng.uniform(-1, 1, (T, B, F))
    single = network.astype("float32")
    assert single.predict(x).dtype == np.float32
    np.testing.assert_allclose(single.predict(x), network.predict(x), atol=1e-6)
    assert network.dtype == network.parameters.dtype == np.float64
    step = network.astype("complex128")
    step.parameters[0] += 1e-30j
    network.forward(x)
    gradient = network.backward(np.eye(O)[[0] * B]).total()[0]
    close(step.predict(x)[:, 0].sum().imag / 1e-30, gradient)
    assert network.with_output_steps(4).predict(x).shape == (4, B, O)
    assert network.output_steps is None


def test_a_gradient_read_late_is_that_of_the_weights_of_its_pass(rng):
    network, x = make_network(lstm, F, O, hidden=H, rng=0), rng.uniform(-1, 1, (T, B, F))
    network.forward(x)
    grads = network.backward(np.ones((B, O)))
    expected = network.backward(np.ones((B, O))).d_a
    network.parameters[:] = 0
    np.testing.assert_array_equal(grads.d_a, expected)
    assert np.abs(expected[0]).max() > 0


class Memory(torch.nn.Module):
    """A model that follows the protocol without an adapter; its state is a dictionary without its output."""

    def __init__(self, returned=lambda y, state: (y, state)):
        super().__init__()
        self.W, self.returned = torch.nn.Linear(F + H, H), returned
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x, state=None):
        h, ys = x.new_zeros(x.shape[1], H) if state is None else state["h"], []
        for x_t in x:
            h = torch.tanh(self.W(torch.cat([x_t, h], dim=-1)))
            ys.append(self.scale * h[:, :O])
        return self.returned(torch.stack(ys), {"h": h, "steps": len(x)})


def test_a_model_of_the_protocol_itself(rng):
    network = TorchNetwork(Memory().double(), F, O)
    assert (network.hidden_size, network.name) == (H, "Memory")
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))
    network.forward(x)
    grads = network.backward(d)
    np.testing.assert_allclose(grads.d_a[-1], np.hstack([0.5 * d, np.zeros((B, H - O))]))
    W = network.get_weights()["W.weight"][:, F:]
    later = grads.d_a[1:] * (1 - network.trace.a[1:] ** 2)
    np.testing.assert_allclose(grads.d_a[:-1], later @ W, atol=1e-14)


class Beside(torch.nn.Module):
    """A layer whose output is computed beside its state, and not from it."""

    def __init__(self):
        super().__init__()
        self.layer, self.batch_first = torch.nn.RNN(F, H), False

    def forward(self, x, state=None):
        a, h = self.layer(x, state)
        return a, h.clone()


def test_an_output_beside_the_state_counts_as_well(rng):
    network = TorchNetwork(Sequence(Beside().double(), None, H, state_axis=1), F, H)
    known = TorchNetwork(Sequence(Beside().double(), None, H, state_axis=1, read=lambda h: h[:, -1]), F, H)
    known.parameters[:] = network.parameters
    assert (network.hidden_size, known.hidden_size) == (2 * H, H)
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, H))
    for one in (network, known):
        one.forward(x)
    y_part, state_part = np.split(network.backward(d).d_a, 2, axis=-1)
    np.testing.assert_allclose(y_part + state_part, known.backward(d).d_a, atol=1e-15)
    np.testing.assert_array_equal(y_part[-1], d)


def module(build):
    """A factory of one's own that returns what `build` makes."""

    def mine(features, outputs, hidden=H):
        return build()

    return mine


def ends(*arguments):
    raise SystemExit(3)


def raises(*arguments):
    raise ValueError("no such size.\nAnother line")


class Device(Memory):
    def __init__(self):
        super().__init__()
        self.W = torch.nn.Linear(F + H, H, device="meta")


class Mixed(Memory):
    def __init__(self):
        super().__init__()
        self.W.bias = torch.nn.Parameter(torch.zeros(H, dtype=torch.float64))


class Empty(Memory):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


FAULTY = {
    "raises": (module(raises), "The factory .*mine must return a model; it raised ValueError: no such size."),
    "ends": (module(ends), "The factory .*mine must return a model; it raised SystemExit: 3."),
    "no module": (
        module(lambda: 3),
        "must return a torch.nn.Module, such as Steps .*; it returned 3; the factory of a JAX",
    ),
    "nothing": (module(lambda: None), r"such as Steps or Sequence of memspan.torch; it returned None.$"),
    "a layer alone": (module(lambda: torch.nn.LSTM(F, H)), r"Sequence\(LSTM\(.*; it returned the LSTM alone."),
    "a cell alone": (
        module(lambda: torch.nn.GRUCell(F, H)),
        r"Steps\(GRUCell\(.*; it returned the GRUCell alone.",
    ),
    "other arguments": (
        lambda features, outputs: Memory(),
        r"must be callable as \(features, outputs, hidden=...\); its signature is \(features, outputs\): got an",
    ),
    "no parameters": (module(torch.nn.Identity), "must have parameters to train; it has none."),
    "frozen": (module(Empty), "must have parameters to train; none of them has requires_grad=True."),
    "two dtypes": (module(Mixed), "must have parameters of one dtype; it has float32 and float64."),
    "half": (module(lambda: Memory().half()), "must have parameters of float32, .*; it has float16."),
    "another device": (module(Device), "must be on the CPU or on the device cpu; it has parameters on meta."),
    "y alone": (
        module(lambda: Memory(lambda y, state: y)),
        r"must return the pair \(y, state\); it returned a tensor",
    ),
    "another shape": (
        module(lambda: Memory(lambda y, state: (y[-1], state))),
        r"must return y of shape \[T, B, O\], which is \[4, 3, 3\] for x .*; it returned a tensor of shape \[3",
    ),
    "a wrong read": (
        module(lambda: Sequence(torch.nn.LSTM(F, H), H, O, read=lambda state: state[1][:, -1])),
        "must have an argument read of Sequence that returns the layer's output; y differs by",
    ),
    "NaN": (
        module(lambda: Memory(lambda y, state: (y / 0, state))),
        "must return finite numbers for numbers from -1 to 1 at the start, in float32; it returned infinity",
    ),
    "dropout": (
        module(lambda: Memory(lambda y, state: (torch.dropout(y, 0.5, train=True), state))),
        "must return the same y for the same x, without dropout and .*; y of a second call differs by",
    ),
    "float64 inside": (
        module(lambda: Memory(lambda y, state: (y.double(), state))),
        r"must compute in the dtype of its input, float32; it returned float64, as with torch.zeros\(...\) in",
    ),
    "a state of the layer": (
        module(lambda: Memory(lambda y, state: (y, state | {"other": y[None, 0]}))),
        r"must return a state of tensors \[B, ...\], with B = 3 here; it returned \[3, 5\], \[1, 3, 3\].",
    ),
    "a state that it does not take": (
        module(lambda: Memory(lambda y, state: (y, {"other": state["h"]}))),
        "must run on x .T, B, F., with and without the state that it returned; it raised KeyError",
    ),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_model_is_named(case):
    factory, message = FAULTY[case]
    with pytest.raises(FaultyModel, match=message) as caught:
        make_network(factory, F, O, hidden=H, rng=0)
    assert "\n" not in str(caught.value)
    assert f"test_network:{factory.__qualname__}" in str(caught.value)


def test_wrong_arguments():
    for arguments, message in (
        ({"factory": 3}, "factory must be a function"),
        ({"hidden": 0}, "hidden must be a whole number of at least 1, got 0"),
        ({"dtype": "int8"}, "dtype must be one of float32, float64, complex128, got 'int8'"),
        ({"device": "cellar"}, "device must be one that PyTorch can use, such as cpu or cuda, got 'cellar': "),
        ({"options": {"depth": 3}}, r"callable as \(features, outputs, hidden=..., depth=...\)"),
        ({"rng": "x"}, "rng must be a Generator"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            make_network(**{"factory": lstm, "features": F, "outputs": O, **arguments})
    with pytest.raises(InvalidArgument, match=r"module must be an object of a subclass of torch\.nn\.Module"):
        TorchNetwork(3, F, O)
    network = make_network(lstm, F, O, rng=0)
    with pytest.raises(NotReady):
        network.backward(np.ones((B, O)))
    with pytest.raises(InvalidArgument, match="x has 1 feature; the network takes 2"):
        network.forward(np.ones((T, B, 1)))


class Short(torch.nn.Module):
    """A cell that can only be called so often."""

    def __init__(self):
        super().__init__()
        self.W, self.left = torch.nn.Linear(F + H, H), 20

    def forward(self, x, h):
        self.left -= 1
        if not self.left:
            raise IndexError("no more steps")
        return torch.tanh(self.W(torch.cat([x, h], dim=-1)))


def test_an_error_in_a_later_call_names_the_model():
    network = TorchNetwork(Steps(Short(), H, O, state=H), F, O, name="mypkg.cells:short")
    with pytest.raises(FaultyPart, match=r"^The model mypkg.cells:short failed with IndexError: no more steps$"):
        network.forward(np.ones((50, 1, F)))


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []
    watch = Memory(lambda y, state: (seen.append(torch.get_num_threads()), (y, state))[1])
    try:
        TorchNetwork(watch, F, O).forward(np.ones((T, B, F)))
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_each_says_in_one_line_what_it_is(rng):
    network = make_network(lstm, F, O, hidden=H, rng=0)
    network.forward(rng.uniform(-1, 1, (T, B, F)))
    grads = network.backward(np.ones((B, O)))
    for thing, line in (
        (network, f"<TorchNetwork of torch_twins:lstm, {F} in, {H} hidden, {O} out, float32>"),
        (network.trace, f"<ForeignTrace of torch_twins:lstm: T = {T}, B = {B}, F = {F}>"),
        (grads, "<ForeignGradients of torch_twins:lstm: 5 parameters>"),
    ):
        assert repr(thing) == line
    assert repr(network.layout).startswith(
        "<ForeignLayout: module.weight_ih_l0 [20, 2], module.weight_hh_l0 [20, 5], "
    )
