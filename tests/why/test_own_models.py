"""Models of PyTorch are predicted and explained like the built-in cell of the same weights."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks_explained import LEAVES, STAYS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan import Configuration, InvalidArgument, Store, Study, StudyResult, explain, predict, run_study  # noqa: E402
from memspan.errors import generator  # noqa: E402
from memspan.figures.mechanism import Gates, Spectra  # noqa: E402
from memspan.study.group import untrained  # noqa: E402
from memspan.why.evidence import NUMBERS, evidence_of  # noqa: E402
from memspan.why.explanation import table_of  # noqa: E402
from memspan.why.page import UNKNOWN_R, UNKNOWN_UNITS, page_record  # noqa: E402
from memspan.why.predict import EXPONENT_STEPS  # noqa: E402
from memspan.why.remedy import SUGGESTIONS, Limited, remedies_of  # noqa: E402

MODELS = """
import torch
from memspan import Network
from memspan.torch import Steps, to_torch

WEIGHTS = {}  # the initial weights of the built-in cell, by the seed that a repetition gets


def twin(cell):
    def factory(features, outputs, hidden=32):
        network = Network(cell, features, hidden, outputs, dtype="float64", rng=0)
        network.parameters[:] = WEIGHTS[cell].get(torch.initial_seed(), network.parameters)
        return to_torch(network)

    factory.__module__, factory.__qualname__ = __name__, cell
    return factory


rnn, lstm, gru = map(twin, ("rnn", "lstm", "gru"))


class Bare(torch.nn.Module):  # with another function after its read-out
    def __init__(self, features, outputs, hidden, shift):
        super().__init__()
        self.W, self.V = torch.nn.Linear(features + hidden, hidden), torch.nn.Linear(hidden, outputs)
        self.hidden, self.shift = hidden, shift

    def forward(self, x, state=None):
        h, ys = x.new_zeros(x.shape[1], self.hidden) if state is None else state, []
        for x_t in x:
            h = torch.tanh(self.W(torch.cat([x_t, h], dim=-1)) + self.shift)
            ys.append(torch.tanh(self.V(h)))
        return torch.stack(ys), h


def bare(features, outputs, hidden=32):
    return Bare(features, outputs, hidden, 0.0)


class Shifted(torch.nn.Module):  # with a constant of its own in each network
    def __init__(self, features, hidden, shift):
        super().__init__()
        self.W, self.R = torch.nn.Linear(features, hidden), torch.nn.Linear(hidden, hidden)
        self.shift = shift

    def forward(self, x, h):
        return torch.tanh(self.W(x) + self.R(h) + self.shift)


def shifted(features, outputs, hidden=32):
    return Steps(Shifted(features, hidden, float(torch.rand(1))), hidden, outputs, state=hidden)
"""
SMALL = {"hidden": 4, "updates": 60, "batch": 16, "evaluation_samples": 20, "final_batches": 1, "dtype": "float64"}
MOMENTUM = {"optimizer": "momentum", "learning_rate": 0.1}
RMSPROP = {"optimizer": "rmsprop", "learning_rate": 0.003}
CELLS = ("rnn", "lstm", "gru")
PLATEAU = ("needed", "without_noise")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The name of a module with factories."""
    folder, name = tmp_path_factory.mktemp("models"), "explained_models"
    Path(folder, f"{name}.py").write_text(MODELS)
    sys.path.insert(0, str(folder))
    yield name
    sys.path.remove(str(folder))
    sys.modules.pop(name, None)


def twins(package, cell, lengths, repetitions, **fields):
    """Two configurations of the same initial weights: of the built-in cell, and of PyTorch's layer."""
    fields = SMALL | fields
    built_in = Configuration(cell=cell, **fields)
    weights = importlib.import_module(package).WEIGHTS.setdefault(cell, {})
    for length in lengths:
        for repetition in range(repetitions):
            key = np.random.SeedSequence(built_in.seed, spawn_key=(length, repetition))
            seed = int(generator("rng", key.spawn(3)[0], "weights").integers(2**63))
            weights[seed] = untrained(built_in, length, repetition)[0].parameters
    return built_in, Configuration(cell=f"{package}:{cell}", **fields)


def numbers_agree(found, expected):
    """The equation of the plateau is integrated with differences in place of a derivative, which cost digits."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize(("cell", "optimizer"), [*((cell, MOMENTUM) for cell in CELLS), ("lstm", RMSPROP)])
def test_the_evidence_is_that_of_the_built_in_cell(package, cell, optimizer):
    built_in, foreign = twins(package, cell, [4], 1, **optimizer)
    for expected, found in zip(*(evidence_of(one, 4, [0]) for one in (built_in, foreign)), strict=True):
        numbers_agree(found.numbers, expected.numbers)
        np.testing.assert_allclose(found.share, expected.share, rtol=1e-9)
        np.testing.assert_allclose(found.norm, expected.norm, rtol=1e-8)
        assert (found.outcome, found.end) == (expected.outcome, pytest.approx(expected.end, rel=1e-9))
        unknown = {"noise_jump"} | ({*PLATEAU, "decay"} if optimizer is RMSPROP else set())
        assert {name for name in NUMBERS if np.isnan(found.numbers[name])} == unknown


def test_other_weights_have_other_evidence(package):
    """What the comparison would see: one weight that differs by a millionth."""
    built_in, foreign = twins(package, "rnn", [4], 1, **MOMENTUM)
    weights = sys.modules[package].WEIGHTS["rnn"]
    kept = dict(weights)
    for seed, row in kept.items():
        weights[seed] = row + 1e-6 * (np.arange(len(row)) == 3)
    try:
        (expected,), (found,) = (evidence_of(one, 4, [0]) for one in (built_in, foreign))
    finally:
        weights.update(kept)
    with pytest.raises(AssertionError):
        numbers_agree(found.numbers, expected.numbers)


def test_the_prediction_is_that_of_the_built_in_cell(package):
    fields = MOMENTUM | {"updates": 20}
    built_in, foreign = twins(package, "lstm", [1, 2, 3, EXPONENT_STEPS], 16, **fields)
    expected, found = (predict(one, budget=16, longest=3, progress=False) for one in (built_in, foreign))
    assert sorted(found.needed) == sorted(expected.needed)
    assert np.isfinite(np.concatenate([one.updates for one in expected.needed.values()])).any()
    for length, needed in expected.needed.items():
        for name in ("updates", "without_noise", "theta", "z", "decay"):
            np.testing.assert_allclose(getattr(found.needed[length], name), getattr(needed, name), rtol=1e-9)
    assert found.lambda_1 == pytest.approx(expected.lambda_1, rel=1e-9)
    assert (found.limit, str(found)) == (expected.limit, str(expected))
    assert found.numbers()["needed_by_length"].keys() == expected.numbers()["needed_by_length"].keys()


def test_each_network_keeps_its_own_constants(package):
    """Networks of one factory need not differ in their weights only."""
    configuration = Configuration(cell=f"{package}:shifted", **SMALL, **MOMENTUM)
    both, (second,) = (evidence_of(configuration, 4, numbers) for numbers in ([0, 1], [1]))
    shifts = [one.trained.module.module.shift for one in both]
    assert shifts[0] != shifts[1]
    numbers_agree(both[1].numbers, second.numbers)


def test_a_stored_study_is_trained_again_and_has_the_verdict_of_the_built_in_cell(package, tmp_path):
    fields = MOMENTUM | {"updates": 20, "learning_rate": 0.03}
    configurations = twins(package, "lstm", [3], 1, **fields)
    study = Study(cell=[one.cell for one in configurations], **(SMALL | fields), lengths=3, repetitions=1)
    run_study(study, tmp_path / "store.sqlite", progress=False)
    with Store(tmp_path / "store.sqlite") as store:
        result = store.find(store.names()[0]).result()
    built_in, foreign = explain(result, progress=False)
    assert foreign.reproduced
    assert [one.digest for one in foreign.evidence] == [trial.digest for trial in result.parts[1].trials]
    assert foreign.verdict in ("budget", "noise", "vanishing")
    assert (foreign.verdict, foreign.condition) == (built_in.verdict, built_in.condition)
    numbers_agree(foreign.numbers_of_evidence, built_in.numbers_of_evidence)
    remedies = [[(dict(one.after), one.expected) for one in each.remedies] for each in (built_in, foreign)]
    assert remedies[1] == [one for one in remedies[0] if "init" not in one[0]]
    assert len(remedies[1]) >= 3
    assert foreign.not_known == built_in.not_known == ""
    assert "Not known" not in str(table_of([foreign]).caption)
    pages = [page_record(part, one) for part, one in zip(result.parts, (built_in, foreign), strict=True)]
    assert isinstance(pages[1].mechanism.spectra, Spectra)
    assert isinstance(pages[1].mechanism.gates, Gates)
    radii = [sorted(abs(page.mechanism.spectra.after)) for page in pages]
    np.testing.assert_allclose(radii[1], radii[0], rtol=1e-7)
    for gate, openness in pages[0].mechanism.gates.after.items():
        np.testing.assert_allclose(pages[1].mechanism.gates.after[gate], openness, rtol=1e-9)


@pytest.fixture(scope="module")
def of_bare(package):
    study = Study(cell=f"{package}:bare", **SMALL, **MOMENTUM, lengths=6, repetitions=1)
    result = run_study(study, progress=False)
    assert isinstance(result, StudyResult)
    return result, explain(result, progress=False)[0]


def test_what_is_not_known_is_said_and_the_verdict_is_made_without_it(of_bare):
    result, found = of_bare
    (evidence,) = found.evidence
    unknown = {"slope", "slope_after", "radius", "radius_after", *PLATEAU, "decay", "noise_jump"}
    assert {name for name in NUMBERS if np.isnan(evidence.numbers[name])} == unknown
    assert not {*found.numbers_of_evidence} & unknown
    assert found.not_known == (
        "Not known for this model: the slope of the units, the spectral radius of R, the updates needed to leave "
        "the plateau. The verdict is made without them."
    )
    assert str(table_of([found]).caption).endswith(found.not_known)
    assert found.criterion(evidence)
    assert not {*found.criterion.numbers} & unknown
    json.dumps(found.numbers(), allow_nan=False)
    page = page_record(result, found)
    assert (page.mechanism.spectra, page.mechanism.gates) == (UNKNOWN_R, UNKNOWN_UNITS)
    assert found.not_known in page.title
    assert page.limits.leaving.predicted == {}
    assert 6 in page.limits.leaving.measured


def test_without_a_known_read_out_nothing_is_predicted(package):
    configuration = Configuration(cell=f"{package}:bare", **SMALL, **MOMENTUM)
    with pytest.raises(InvalidArgument, match="cell must be a model with a linear read-out that memspan finds"):
        predict(configuration)
    with pytest.raises(InvalidArgument, match="cell must be rnn, for which the jump by noise was measured, got"):
        predict(configuration.with_(optimizer="adam"))


@pytest.mark.parametrize("verdict", SUGGESTIONS)
def test_no_remedy_changes_the_initial_weights_of_a_model(package, verdict):
    for optimizer in (MOMENTUM, {"optimizer": "adam"}):
        one = Configuration(cell=f"{package}:bare", **SMALL, **optimizer)
        for evidence in (
            replace(STAYS, needed=np.nan),
            LEAVES,
            replace(STAYS, needed=np.nan, growth=9.0, slope=0.1),
        ):
            case = Limited(one, 6, verdict, [evidence], np.inf)
            changed = {name for remedy in remedies_of(case) for name in remedy.after}
            assert not changed & {"init", "gain", "recurrent_gain", "options", "cell"}
            assert changed or verdict == "saturation"


def test_the_command_line_explains_a_model(package, memspan_, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    fields = f"--cell {package}:bare --hidden 4 --batch 16 --optimizer momentum --updates 20"
    code, out, err = memspan_(f"predict {fields}")
    assert (code, out) == (2, "")
    assert "--cell must be a model with a linear read-out that memspan finds, as Steps and Sequence have" in err
    run = f"study run {fields} --lengths 4 --repetitions 1 --name one --workers 0 --no-figures"
    assert memspan_(run)[0] == 0
    code, out, _ = memspan_("explain one")
    assert code == 0
    assert "Not known for this model: the slope of the units" in " ".join(out.split())
    code, out, _ = memspan_("explain one --json")
    assert json.loads(out)[0]["evidence"]["reproduced"]
