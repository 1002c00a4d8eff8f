"""The engine for any number of networks: its gradients are those of single networks in PyTorch's own loop."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan import MSELoss, Recall  # noqa: E402
from memspan.losses import value_of  # noqa: E402
from memspan.torch import Sequence, Steps, TorchNetwork  # noqa: E402

H, COUNT = 3, 4


class Scaled(torch.nn.Module):
    """A cell with a constant of its own, which changes its new state."""

    def __init__(self, change=lambda h: h):
        super().__init__()
        self.W, self.R, self.change = torch.nn.Linear(1, H), torch.nn.Linear(H, H), change
        self.register_buffer("scale", torch.rand(H))

    def forward(self, x, h):
        return self.change(torch.tanh(self.scale * (self.W(x) + self.R(h))))


def data_dependent(h):
    return -h if float(h.detach().sum()) > 100 else h  # vmap refuses `float`


def wrong_under_vmap(h):
    return h * 1.5 if torch._C._functorch.maybe_current_level() else h


MODELS = {
    "all at once": lambda: Steps(Scaled(), H, 1, state=H),
    "vmap has no rule": lambda: Steps(Scaled(data_dependent), H, 1, state=H),
    "other numbers under vmap": lambda: Steps(Scaled(wrong_under_vmap), H, 1, state=H),
    "a layer": lambda: Sequence(torch.nn.LSTM(1, H), H, 1),
}
FORMS = dict(zip(MODELS, ("vmap-forward", "loop", "loop", "vmap-grad"), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_losses_and_predictions_are_those_of_each_network_alone(name):
    torch.manual_seed(0)
    network, loss = TorchNetwork(MODELS[name]().double(), 1, 1), MSELoss()
    rng = np.random.default_rng(0)
    rows = network.parameters + 0.1 * rng.standard_normal((COUNT, network.layout.size))
    batches = [Recall().sample(5, 6, seed) for seed in range(COUNT)]
    engine = network.make_engine(loss)
    found = engine.differentiate(rows, batches)
    assert engine._by_count[COUNT].form.name == FORMS[name]
    y_hats = engine.predict(rows, [x for x, _ in batches])
    for k, (x, y) in enumerate(batches):
        one = network.with_parameters(rows[k])
        value = value_of(loss, one.forward(x), y)
        assert found.losses[k] == pytest.approx(value, rel=1e-13)
        total = one.backpropagate(loss.backward()).total()
        assert np.linalg.norm(found.gradients[k] - total) <= 1e-13 * np.linalg.norm(total)
        np.testing.assert_allclose(y_hats[k], one.predict(x), rtol=1e-13)
    assert (engine.layout, engine.output_steps) == (network.layout, None)


def test_a_single_network_needs_no_other_form_and_the_norms_of_gradients_are_measured():
    network = TorchNetwork(MODELS["all at once"]().double(), 1, 1)
    engine, batch = network.make_engine(MSELoss()), Recall().sample(5, 6, 0)
    found = engine.differentiate(network.parameters[np.newaxis], [batch], norms=[0])
    assert engine._by_count[1].form.name == "loop"
    assert found.norms[0].shape == (5, 6)
