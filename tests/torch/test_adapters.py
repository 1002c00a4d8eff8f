"""Each convention of a cell or layer gives the outputs of that cell or layer, run by hand."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan import InvalidArgument  # noqa: E402
from memspan.torch import Sequence, Steps  # noqa: E402

T, B, F, H, O = 5, 3, 2, 4, 1


class Tanh(torch.nn.Module):
    """A cell of one's own. `returned` is what it makes of its new state."""

    def __init__(self, returned=lambda h: h, swapped=False):
        super().__init__()
        self.W, self.R = torch.nn.Linear(F, H), torch.nn.Linear(H, H)
        self.returned, self.swapped = returned, swapped

    def forward(self, x, h):
        x, h = (h, x) if self.swapped else (x, h)
        return self.returned(torch.tanh(self.W(x) + self.R(h)))


class Keras(Tanh):
    """A cell as in Keras, with an initialiser of its own: ones."""

    def forward(self, x, states):
        h = super().forward(x, states[0])
        return 2 * h, [h]

    def get_initial_state(self, batch_size):
        return [torch.ones(batch_size, H)]


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(T, B, F)


def by_hand(cell, x, h):
    outputs = []
    for x_t in x:
        h = torch.tanh(cell.W(x_t) + cell.R(h))
        outputs.append(h)
    return torch.stack(outputs)


def test_a_cell_of_ones_own(x):
    cell = Tanh()
    model = Steps(cell, state=H, width=H, outputs=O)
    y, state = model(x)
    expected = by_hand(cell, x, torch.zeros(B, H))
    assert torch.equal(y, model.read_out(expected))
    assert torch.equal(state, expected[-1])
    assert y.shape == (T, B, O)


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("carry", Tanh(lambda h: (h, 2 * h), swapped=True)),
        ("keras", Tanh(lambda h: (2 * h, h))),
    ],
)
def test_an_output_that_is_not_the_state(x, form, cell):
    a, state = Steps(cell, H, O, state=H, form=form).features(x)
    expected = by_hand(cell, x, torch.zeros(B, H))
    assert torch.equal(a, 2 * expected)
    assert torch.equal(state, expected[-1])


def test_the_cells_own_initialiser_comes_before_widths_and_after_a_function(x):
    cell = Keras()
    ones, twos = by_hand(cell, x, torch.ones(B, H)), by_hand(cell, x, torch.full((B, H), 2.0))
    for state, expected in ((None, ones), ((H,), ones), (lambda batch, x: [torch.full((batch, H), 2.0)], twos)):
        a, _ = Steps(cell, H, O, state=state, form="keras").features(x)
        assert torch.equal(a, 2 * expected)


def test_a_call_without_a_state_starts_afresh_and_one_with_it_goes_on(x):
    model = Steps(torch.nn.LSTMCell(F, H), H, O)
    y, _ = model(x)
    again, state = model(x[:2])
    rest, _ = model(x[2:], state)
    assert torch.equal(y, torch.cat([again, rest]))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_the_cells_of_pytorch_are_its_layers(x, kind):
    layer, cell = getattr(torch.nn, kind)(F, H), getattr(torch.nn, f"{kind}Cell")(F, H)
    cell.load_state_dict({name.removesuffix("_l0"): part for name, part in layer.state_dict().items()})
    of_layer, of_cell = Sequence(layer, H, O), Steps(cell, H, O)
    a, state = of_layer.features(x)
    expected, last = of_cell.features(x)
    torch.testing.assert_close(a, expected)
    torch.testing.assert_close(of_layer.read(state), of_cell.read(last))
    assert torch.equal(a, layer(x)[0])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_layer_goes_on_from_its_state_step_by_step(x, kind, batch_first):
    """The states are [B, layers, H], and one step is read from the state itself."""
    layer = getattr(torch.nn, kind)(F, H, num_layers=2, batch_first=batch_first)
    model = Sequence(layer, H, O)
    y, _ = model(x)
    steps, state = [], None
    for x_t in x.split(1):
        y_t, state = model(x_t, state)
        steps.append(y_t)
    torch.testing.assert_close(torch.cat(steps), y)
    assert all(len(part) == B for part in (state if kind == "LSTM" else [state]))


def test_torchrecurrent(x):
    torchrecurrent = pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed")
    for cell, layer in (("MGUCell", "MGU"), ("PeepholeLSTMCell", "PeepholeLSTM"), ("TLSTMCell", "TLSTM")):
        one, whole = getattr(torchrecurrent, cell)(F, H), getattr(torchrecurrent, layer)(F, H)
        whole.cells[0].load_state_dict(one.state_dict())
        y, _ = Steps(one, H, O).features(x)
        assert torch.equal(y, whole(x)[0])
        torch.testing.assert_close(Sequence(whole, H, O).features(x)[0], y)


def test_ncps(x):
    networks = pytest.importorskip("ncps.torch", reason="ncps is not installed")
    layer = networks.CfC(F, H)
    assert layer.batch_first
    a, state = Sequence(layer, H, O).features(x)
    assert torch.equal(a, layer(x.transpose(0, 1))[0].transpose(0, 1))
    assert state.shape == (B, H)


def test_the_module_gives_the_outputs_itself(x):
    model = Steps(torch.nn.GRUCell(F, H), width=None, outputs=H)
    assert model(x)[0].shape == (T, B, H)
    assert model.read_out is None


REFUSED = {
    "no module": (
        lambda: Steps(len, H, O),
        "module must be an object of a subclass of torch.nn.Module, got <built-in",
    ),
    "no state": (lambda: Steps(Tanh(), H, O), "state must be the width of the state of Tanh, .*, got None"),
    "width 0": (lambda: Steps(Tanh(), H, O, state=0), "state must be a whole number of at least 1, got 0"),
    "no widths": (lambda: Steps(Tanh(), H, O, state=()), "state must be a width, .* of at least one width, .*got"),
    "unknown form": (lambda: Steps(Tanh(), H, O, state=H, form="jax"), "form must be one of torch, carry, keras"),
    "form of a known cell": (
        lambda: Steps(torch.nn.GRUCell(F, H), H, O, form="carry"),
        "form must be 'torch' for GRUCell, or left out, got 'carry'",
    ),
    "a layer as a cell": (lambda: Steps(torch.nn.GRU(F, H), H, O), r"cell must be a cell .*write Sequence\(GRU"),
    "a cell as a layer": (
        lambda: Sequence(torch.nn.GRUCell(F, H), H, O),
        r"rnn must be a layer .*write Steps\(GRUC",
    ),
    "bidirectional": (
        lambda: Sequence(torch.nn.GRU(F, H, bidirectional=True), 2 * H, O),
        "rnn must be a layer that reads forwards only; with bidirectional=True y.t. depends on .*, got GRU",
    ),
    "the wrong batch_first": (
        lambda: Sequence(torch.nn.GRU(F, H), H, O, batch_first=True),
        "batch_first must be False, as in this GRU, or left out, got True",
    ),
    "batch_first unknown": (
        lambda: Sequence(Tanh(), H, O),
        "batch_first must be given, because Tanh has no attrib",
    ),
    "state_axis": (
        lambda: Sequence(torch.nn.GRU(F, H), H, O, state_axis=2),
        "state_axis must be at most 1, got 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments(case):
    make, message = REFUSED[case]
    with pytest.raises(InvalidArgument, match=message):
        make()


UNCLEAR = {
    "a pair for one tensor": (
        lambda: Steps(Tanh(lambda h: (h, h)), H, O, state=H),
        r"form='keras' if it returns \(out",
    ),
    "a tensor for a pair": (
        lambda: Steps(Tanh(lambda h: h[0]), H, O, state=lambda batch, x: (torch.zeros(batch, H),)),
        "form must be given for Tanh",
    ),
    "another width": (
        lambda: Steps(Tanh(), H + 1, O, state=H),
        r"of shape \[B, 5\] = \[3, 5\] \(width\), got one",
    ),
    "carry": (
        lambda: Steps(Tanh(swapped=True), H, O, state=H, form="carry"),
        r"the pair \(carry, output\), got one te",
    ),
    "keras": (
        lambda: Steps(Tanh(), H, O, state=H, form="keras"),
        r"The result of Tanh must be the pair \(output, st",
    ),
    "layer of another width": (
        lambda: Sequence(torch.nn.GRU(F, H), 2, O),
        r"of shape \[T, B, 2\] = \[5, 3, 2\] \(width\)",
    ),
    "layer that returns y alone": (
        lambda: Sequence(Layer(), H, O, batch_first=False),
        r"must be the pair \(y, state\)",
    ),
}


class Layer(torch.nn.Module):
    def forward(self, x, state=None):
        return x.new_zeros(*x.shape[:2], H)


@pytest.mark.parametrize("case", UNCLEAR)
def test_an_unclear_result_is_an_error(case, x):
    make, message = UNCLEAR[case]
    model = make()
    if case == "a tensor for a pair":
        model.module.forward = lambda x, state: state[0]
    with pytest.raises(InvalidArgument, match=message):
        model(x)
