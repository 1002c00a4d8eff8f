"""Right models keep all contracts; each planted mistake breaks the one that names it."""

import pytest

from memspan.testing import MODEL_CONTRACTS, ContractBroken, check_model

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

from memspan.torch import Sequence, Steps  # noqa: E402
from memspan.torch.mistakes import MODEL_MISTAKES, RightModel  # noqa: E402


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
    oracle = "central differences" if factory is rnn_relu else "the complex step"
    assert report.notes["gradient"].startswith(f"compared with {oracle}")


@pytest.mark.parametrize("name", MODEL_MISTAKES)
def test_a_planted_mistake_is_named(name):
    mistake = MODEL_MISTAKES[name]
    with pytest.raises(ContractBroken, match=mistake.says) as caught:
        check_model(mistake.factory)
    assert caught.value.contract == mistake.contract


if __name__ == "__main__":
    pass
