"""Right models keep all contracts; a planted mistake breaks the one that names it; bad models get a sentence."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from memspan import InvalidArgument
from memspan.testing import MODEL_CONTRACTS, ContractBroken, check_model


def test_importing_the_contracts_imports_neither_pytorch_nor_jax():
    code = "import sys, memspan.testing; print(sorted({'torch', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factory": 3}, "factory must be a function"),
        ({"factory": dict, "features": 0}, "features must be"),
        ({"factory": dict, "outputs": 1.5}, "outputs must be"),
        ({"factory": dict, "seed": -1}, "seed must be"),
        ({"factory": dict, "contracts": ["casual"]}, "contracts must be .*, got 'casual'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        check_model(**arguments)


try:
    import torch
except ModuleNotFoundError:
    if "CI" in os.environ:
        raise
    pytest.skip("PyTorch is not installed", allow_module_level=True)

from memspan.torch import Sequence, Steps  # noqa: E402
from memspan.torch.mistakes import MODEL_MISTAKES, RightModel  # noqa: E402

nn = torch.nn


def rnn_relu(features, outputs, hidden=32):
    return Steps(nn.RNNCell(features, hidden, nonlinearity="relu"), width=hidden, outputs=outputs)


def gru(features, outputs, hidden=32):
    return Sequence(nn.GRU(features, hidden, batch_first=True), width=hidden, outputs=outputs)


def lstm(features, outputs, hidden=32):
    return Sequence(nn.LSTM(features, hidden, num_layers=2), width=hidden, outputs=outputs)


@pytest.mark.parametrize("factory", [RightModel, rnn_relu, gru, lstm])
def test_a_right_model_keeps_all_contracts(factory):
    report = check_model(factory)
    assert report
    assert list(report.kept) == list(MODEL_CONTRACTS)
    # The fused relu of PyTorch's cells cannot be given complex numbers.
    oracle = "central differences" if factory is rnn_relu else "the complex step"
    assert report.notes["gradient"].startswith(f"compared with {oracle}")


@pytest.mark.parametrize("name", MODEL_MISTAKES)
def test_a_planted_mistake_is_named(name):
    mistake = MODEL_MISTAKES[name]
    with pytest.raises(ContractBroken, match=mistake.says) as caught:
        check_model(mistake.factory)
    assert caught.value.contract == mistake.contract
    assert caught.value.cause


def test_a_wrong_gradient_says_where_and_how_large():
    report = check_model(MODEL_MISTAKES["truncated"].factory, raises=False)
    assert not report
    (broken,) = report.broken
    assert "x[0] (sample " in broken.found
    assert "is 0 by back-propagation" in broken.found
    # Detached before steps 0, 4 and 8, so that y[10] reaches back to x[8].
    assert "the steps of x that are wrong: 0, 1, 2, 3, 4, 5, 6, 7;" in broken.found
    assert report.unchecked == ("state gradient",)
    assert set(report.kept) == set(MODEL_CONTRACTS) - {"gradient", "state gradient"}


class Pair(RightModel):
    """The state is a counter, which does nothing, and two halves of h, of which `given` may change one."""

    given = staticmethod(lambda half: half)

    def forward(self, x, state=None):
        h = None if state is None else torch.cat((state["halves"][0], self.given(state["halves"][1])), dim=1)
        y, h = super().forward(x, h)
        steps = torch.zeros(len(h), dtype=torch.int64) if state is None else state["steps"]
        return y, {"halves": h.split(h.shape[1] // 2, dim=1), "steps": steps + len(x)}


def test_the_gradient_of_each_array_of_the_initial_state_is_checked():
    report = check_model(Pair)
    assert report.notes["state gradient"].startswith("compared with the complex step")
    wrong = type("Wrong", (Pair,), {"given": staticmethod(lambda half: half.detach())})
    (broken,) = check_model(wrong, raises=False).broken
    assert broken.contract == "state gradient"
    assert "with respect to array 1 of the initial state is 0 by back-propagation" in broken.found
    assert broken.cause.endswith("on the state that the model is given")


class Activated(RightModel):
    """The state passes through one more function."""

    function = staticmethod(torch.nn.functional.softplus)

    def next(self, x, t, h):
        return torch.tanh(self.function(self.drive(x[t]) + self.recurrent(h)))


def layer_norm(h):
    return torch.nn.functional.layer_norm(h, h.shape[-1:])


@pytest.mark.parametrize(
    "function",
    [
        torch.relu,
        torch.nn.functional.leaky_relu,
        torch.nn.functional.elu,
        torch.nn.functional.softplus,
        torch.nn.functional.hardtanh,
        lambda h: h.clamp(-0.4, 0.6),
        lambda h: h.softmax(-1),
        layer_norm,
    ],
)
def test_operations_without_a_complex_form_get_one(function):
    model = type("Own", (Activated,), {"function": staticmethod(function)})
    report = check_model(model, contracts=["gradient"])
    assert report.notes["gradient"].startswith("compared with the complex step")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (torch.nn.functional.hardsigmoid, "has no complex form"),
        (torch.abs, "has no complex form"),
        (lambda h: h.real.abs() + 0 * h, "not its analytic continuation"),
    ],
)
def test_without_a_right_complex_form_differences_are_the_oracle(function, why):
    """The last function loses the derivative of a complex number: a false alarm, which differences contradict."""
    model = type("Own", (Activated,), {"function": staticmethod(function)})
    report = check_model(model, contracts=["gradient"])
    assert report.notes["gradient"].startswith("compared with central differences, because ")
    assert why in report.notes["gradient"]


@pytest.mark.parametrize("function", [torch.abs, lambda h: h.real.abs() + 0 * h])
def test_a_mistake_is_also_caught_by_differences(function):
    class Wrong(Activated):
        def next(self, x, t, h):
            return super().next(x, t, h.detach())

    Wrong.function = staticmethod(function)
    with pytest.raises(ContractBroken, match=r"by central differences, .* Usual cause: detach"):
        check_model(Wrong, contracts=["gradient"])


# --- bad models ------------------------------------------------------------------------------------------


class Changed(RightModel):
    """A right model of which `forward` changes the result."""

    def forward(self, x, state=None):
        return self.changed(*super().forward(x, state))


def changed(change):
    return type("Bad", (Changed,), {"changed": staticmethod(change)})


def needs_depth(features, outputs, hidden, depth):
    raise AssertionError("not called")


def raising(features, outputs, hidden=8):
    raise OSError("no such weights")


def no_module(features, outputs, hidden=8):
    return {}


def nothing(features, outputs, hidden=8):
    RightModel(features, outputs, hidden)


class Raising(RightModel):
    def forward(self, x, state=None):
        raise RuntimeError("the model's own\nmessage")


def frozen(features, outputs, hidden=8):
    return RightModel(features, outputs, hidden).requires_grad_(False)


def on_meta(features, outputs, hidden=8):
    return RightModel(features, outputs, hidden).to("meta")


def half(features, outputs, hidden=8):
    return RightModel(features, outputs, hidden).half()


def mixed(features, outputs, hidden=8):
    model = RightModel(features, outputs, hidden)
    model.drive.double()
    return model


BAD = [
    (raising, "built", r"OSError: no such weights \(test_models.py, line \d+\)"),
    (needs_depth, "built", r"its signature is .*missing a required argument: 'depth'.*--options.NAME"),
    (no_module, "built", "returned a value of type dict instead of a torch.nn.Module; the factory of a JAX"),
    (nothing, "built", r"returned nothing \(None\) instead of a torch.nn.Module\."),
    (frozen, "built", "without parameters.*requires_grad"),
    (half, "built", r"parameters of float16 instead of float32 or float64.*\.half\(\)"),
    (mixed, "built", "parameters of float32 and float64 instead of"),
    (on_meta, "built", "drive.weight is on the device meta"),
    (Raising, "shape", r"RuntimeError: the model's own message \(test_models.py, line \d+\)"),
    (changed(lambda y, h: y), "shape", r"a tensor of shape \(11, 3, 3\) instead of a pair.*that returns y alone"),
    (
        changed(lambda y, h: (y[-1], h)),
        "shape",
        r"y of shape \(3, 3\) instead of \(11, 3, 3\).*y of the last step only",
    ),
    (changed(lambda y, h: (y[..., :1], h)), "shape", r"y of shape \(11, 3, 1\) .*the factory's argument out"),
    (changed(lambda y, h: (y.transpose(0, 1), h)), "shape", "batch_first"),
    (changed(lambda y, h: (y, h[None])), "shape", r"a state of shape \(1, 3, 8\) for a batch of 3"),
    (changed(lambda y, h: (y, (h, "x"))), "shape", "the state is a value of type str"),
    (
        changed(lambda y, h: (y / 0 * 0, h)),
        "finite",
        r"y\[0, 0, 0\] = nan, the first of 99 values.*a division by zero",
    ),
    (changed(lambda y, h: (y.double(), h)), "dtype", "y in float64 for a model in float32"),
    (changed(lambda y, h: (y.to("meta"), h)), "shape", "y is on the device meta"),
]


@pytest.mark.parametrize(("factory", "contract", "message"), BAD)
def test_a_bad_model_breaks_a_contract_with_one_sentence(factory, contract, message):
    report = check_model(factory, raises=False)
    assert report.broken[0].contract == contract
    assert re.search(message, str(report))
    assert "\n" not in report.broken[0].found
    assert len(report.unchecked) + len(report.kept) + len(report.broken) == len(MODEL_CONTRACTS)


def test_a_model_may_be_made_in_float64():
    assert check_model(lambda *sizes: RightModel(*sizes).double(), contracts=["built"])


def test_a_model_in_place_of_a_factory_is_refused():
    with pytest.raises(InvalidArgument, match="got a model, RightModel"):
        check_model(RightModel(2, 3))


def test_options_reach_the_factory_and_hidden_only_one_that_takes_it():
    seen = []

    def factory(features, outputs, width=3, gain=1.0):
        seen.append((features, outputs, width, gain))
        return RightModel(features, outputs, width)

    check_model(factory, features=1, outputs=2, options={"gain": 2.0}, contracts=["built"])
    assert set(seen) == {(1, 2, 3, 2.0)}


def test_the_check_leaves_pytorchs_generator_and_numpys_errors_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with np.errstate(all="raise"):
        check_model(RightModel)
        assert np.geterr()["divide"] == "raise"
    assert torch.equal(torch.rand(3), expected)
