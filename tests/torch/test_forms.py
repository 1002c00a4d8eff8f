"""The choice of a form: those that fail are named with the reason, and the fastest is kept."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_twins import lstm  # noqa: E402

from memspan import InvalidArgument, MSELoss, Recall  # noqa: E402
from memspan.foreign import FormTimes, time_forms  # noqa: E402
from memspan.torch import Form, Steps, choose_form, make_network  # noqa: E402

H = 4
BATCH = tuple(part.astype("float32") for part in Recall().sample(5, 8, np.random.default_rng(0)))


class Cell(torch.nn.Module):
    """A cell of one's own; `made` turns its new state into what it returns."""

    def __init__(self, hidden, made=lambda self, h: h):
        super().__init__()
        self.W, self.R, self.made = torch.nn.Linear(1, hidden), torch.nn.Linear(hidden, hidden), made
        self.offset = float(torch.rand(1))

    def forward(self, x, h):
        return self.made(self, torch.tanh(self.W(x) + self.R(h)))


def factory(made):
    def mine(features, outputs, hidden=H):
        return Steps(Cell(hidden, made), hidden, outputs, state=hidden)

    return mine


def several(factory, count=3):
    return [make_network(factory, 1, 1, hidden=H, rng=seed) for seed in range(count)]


def test_all_forms_of_a_cell_that_vmap_can_do():
    times = time_forms(several(factory(lambda self, h: h)), MSELoss(), BATCH, repeats=1)
    assert not times.failed
    assert set(times.seconds) == {Form("loop")} | {
        Form(name, size) for name in ("vmap-grad", "vmap-forward") for size in (2, 3)
    }
    assert times.best in times.seconds


FAILING = {
    "a condition on the data": (lambda self, h: h if h.sum() > 1e9 else h / 2, "data-dependent control flow"),
    "a number of its own outside the parameters": (lambda self, h: h * self.offset, "gradients differ from those"),
    "neighbours": (lambda self, h: h + 0 * torch.rand_like(h), "randomness"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_form_that_fails_is_left_out_with_the_reason(case):
    made, reason = FAILING[case]
    times = time_forms(several(factory(made)), MSELoss(), BATCH, repeats=1)
    assert times.best == Form("loop")
    assert {form.name for form in times.failed} == {"vmap-grad", "vmap-forward"}
    assert all(reason in text for text in times.failed.values()), times.failed
    assert all("\n" not in text and "_Differs" not in text for text in times.failed.values())


def test_a_layer_without_a_rule_is_trained_by_the_loop_and_nothing_is_warned():
    assert choose_form(several(lstm), MSELoss(), BATCH) == Form("loop")


def test_one_network_needs_no_choice():
    assert choose_form(several(factory(lambda self, h: h), 1), MSELoss(), BATCH) == Form("loop")


def test_nearly_as_fast_and_smaller_is_better():
    small, large, loop = Form("vmap-grad", 5), Form("vmap-forward", 20), Form("loop")
    assert FormTimes({loop: 2.0, small: 1.04, large: 1.0}).best == small
    assert FormTimes({loop: 2.0, small: 1.2, large: 1.0}).best == large


def test_wrong_arguments():
    with pytest.raises(
        InvalidArgument, match=r"networks must be at least one network of PyTorch or JAX, got \[\]"
    ):
        choose_form([], MSELoss(), BATCH)
    with pytest.raises(InvalidArgument, match="repeats must be a whole number of at least 1, got 0"):
        choose_form(several(lstm, 1), MSELoss(), BATCH, repeats=0)
