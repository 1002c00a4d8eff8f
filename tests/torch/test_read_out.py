"""The read-out is found where y is a linear function of it, and nowhere else."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan.torch import Sequence, Steps, TorchNetwork  # noqa: E402
from memspan.torch.read_out import find_read_out  # noqa: E402

F, H, O, T, B = 2, 4, 3, 6, 5


class Own(torch.nn.Module):
    """A model of the protocol itself, whose read-out is called in each step."""

    def __init__(self, bias=True, fed_back=False, after=lambda y: y, tied=False):
        super().__init__()
        self.R = torch.nn.Linear(F + H + O, H)
        self.V = torch.nn.Linear(H, O, bias=bias)
        self.fed_back, self.after, self.tied = fed_back, after, tied

    def forward(self, x, state=None):
        h, y = (x.new_zeros(x.shape[1], H), x.new_zeros(x.shape[1], O)) if state is None else state
        ys = []
        for x_t in x:
            given = y if self.fed_back else torch.zeros_like(y)
            h = torch.tanh(self.R(torch.cat([x_t, h, given], dim=-1)))
            h = h + 0.1 * (h @ self.V.weight.T @ self.V.weight) if self.tied else h
            y = self.V(h)
            ys.append(self.after(y))
        return torch.stack(ys), (h, y)


FOUND = {
    "a layer": lambda: Sequence(torch.nn.LSTM(F, H, 2), H, O),
    "a layer with the batch first": lambda: Sequence(torch.nn.GRU(F, H, batch_first=True), H, O),
    "a cell": lambda: Steps(torch.nn.GRUCell(F, H), H, O),
    "in each step": lambda: Own(),
    "without a bias": lambda: Own(bias=False),
}
NOT_FOUND = {
    "another function after it": lambda: Own(after=torch.tanh),
    "its output is an input": lambda: Own(fed_back=True),
    "its weights are used elsewhere": lambda: Own(tied=True),
    "frozen": lambda: _frozen(Own()),
    "none": lambda: Sequence(torch.nn.RNN(F, O), None, O),
}


def _frozen(module):
    module.V.requires_grad_(False)
    return module


@pytest.mark.parametrize("output_steps", [None, 2])
@pytest.mark.parametrize("name", FOUND)
def test_what_it_reads_times_its_weights_is_the_prediction(name, output_steps):
    torch.manual_seed(0)
    network = TorchNetwork(FOUND[name]().double(), F, O, output_steps=output_steps)
    read_out = network.read_out()
    assert read_out.width == H
    rng = np.random.default_rng(0)
    rows = network.parameters + 0.1 * rng.standard_normal((2, network.layout.size))
    x = rng.uniform(-1, 1, (T, B, F))
    states = read_out.states(rows, x)
    assert states.shape == (2, *([output_steps] if output_steps else []), B, H + (name != "without a bias"))
    for row, read in zip(rows, states, strict=True):
        y_hat = network.with_parameters(row).predict(x)
        np.testing.assert_allclose(read @ row[read_out.places], y_hat, rtol=0, atol=1e-14)
    other = rows.copy()
    other[:, read_out.places] += 1
    np.testing.assert_array_equal(read_out.states(other, x), states)


@pytest.mark.parametrize("name", NOT_FOUND)
def test_there_is_none_where_y_is_no_linear_function_of_its_weights(name):
    torch.manual_seed(0)
    network = TorchNetwork(NOT_FOUND[name]().double(), F, O)
    before = network.parameters.copy()
    assert find_read_out(network) is None
    np.testing.assert_array_equal(network.parameters, before)
    assert not any(part._forward_hooks for part in network.module.modules())
