"""PyTorch models of the user's own in studies: trained, stored, measured and compared like memspan's cells."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan import Comparison, Configuration, Study, find_span, run_study  # noqa: E402
from memspan.errors import InvalidArgument  # noqa: E402
from memspan.execution.memory import bytes_of  # noqa: E402
from memspan.store.store import Store  # noqa: E402
from memspan.study.comparison import hidden_for, parameters_of  # noqa: E402
from memspan.study.figures import save_figures  # noqa: E402
from memspan.study.fingerprint import fingerprints  # noqa: E402
from memspan.study.group import digest_of, gradient_flow, untrained  # noqa: E402
from memspan.study.identity import AnotherStudy, canonical  # noqa: E402
from memspan.torch import make_network  # noqa: E402

MODELS = """
import torch
from memspan.cells import get_cell
from memspan.torch import Sequence, Steps


class Tanh(torch.nn.Module):
    def __init__(self, features, hidden, scale=1.0):
        super().__init__()
        self.W, self.R = torch.nn.Linear(features, hidden), torch.nn.Linear(hidden, hidden)
        self.scale = scale

    def forward(self, x, h):
        return torch.tanh(self.W(x) + self.scale * self.R(h))


class Layer(torch.nn.Module):
    def __init__(self, layer, limit):
        super().__init__()
        self.layer, self.limit = layer, limit
        self.batch_first = False

    def forward(self, x, state=None):
        if len(x) > self.limit:
            raise RuntimeError(f"more than {self.limit} steps")
        return self.layer(x, state)


class Fading(Layer):
    def forward(self, x, state=None):
        y, state = self.layer(x, state)
        return (y * float("nan") if len(x) > self.limit else y), state


numpy = get_cell("leaky")


def fading(features, outputs, hidden=32):
    return Fading(lstm(features, outputs, hidden), 4)


def mine(features, outputs, hidden=32, scale=1.0):
    return Steps(Tanh(features, hidden, scale), state=hidden, width=hidden, outputs=outputs)


def fixed(features, outputs, hidden=32):
    return mine(features, outputs, 8)


def even(features, outputs, hidden=32):
    if hidden % 2:
        raise ValueError("hidden must be even")
    return mine(features, outputs, hidden)


def lstm(features, outputs, hidden=32):
    return Sequence(torch.nn.LSTM(features, hidden), hidden, outputs)


class Long(torch.nn.Module):  # an LSTM in single operations
    def __init__(self, features, hidden):
        super().__init__()
        self.W, self.R = torch.nn.Linear(features, 4 * hidden), torch.nn.Linear(hidden, 4 * hidden)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.W(x) + self.R(h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


def long(features, outputs, hidden=32):
    return Steps(Long(features, hidden), state=(hidden, hidden), width=hidden, outputs=outputs)


def short(features, outputs, hidden=32, limit=4):
    return Sequence(Layer(torch.nn.RNN(features, hidden), limit), hidden, outputs, state_axis=1)


def wide(features, outputs, hidden=32):
    return Steps(Tanh(features, hidden), state=hidden, width=None, outputs=outputs)


def of_jax(features, outputs, hidden=32, *, key):
    raise AssertionError("it is never called")


def raises(features, outputs, hidden=32):
    raise ValueError("no such model")


def needs(features, outputs, hidden, heads):
    return mine(features, outputs, hidden)


def poor(features, outputs, hidden=32):
    model = mine(features, outputs, hidden)
    return model.requires_grad_(False)


def infinite(features, outputs, hidden=32):
    return mine(features, outputs, hidden, scale=float("nan"))


def elsewhere(features, outputs, hidden=32):
    return mine(features, outputs, hidden).to("meta")
"""
FIELDS = {"hidden": 4, "updates": 5, "evaluation_samples": 20, "final_batches": 1, "lengths": 3, "repetitions": 2}

QUICK = ("hidden", "updates", "evaluation_samples", "final_batches")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The import path of a module with factories; a new name for each test."""
    name = f"models_{tmp_path.name.replace('-', '_')}"
    Path(tmp_path, f"{name}.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield name
    sys.modules.pop(name, None)


def test_a_study_trains_stores_and_draws_it_beside_a_cell(package, tmp_path):
    store = tmp_path / "store.sqlite"
    study = Study(cell=["rnn", f"{package}:mine"], **FIELDS)
    found = run_study(study, store, progress=False)
    _, _, mine, again = found.trials
    assert mine.engine == "loop"
    assert mine.updates == 5
    assert mine.digest != again.digest
    assert np.isfinite(mine.start.d_a).all() and np.isnan(mine.start.d_R).all()  # noqa: PT018
    with Store(store) as opened:
        entry = opened.find(opened.names()[0])
        stored, network = entry.result(), entry.network(mine.length, configuration=1)
    assert digest_of(network) == mine.digest
    assert dict(network.to_module().named_parameters()).keys() == network.layout.shapes.keys()
    assert [trial.digest for trial in stored.trials] == [trial.digest for trial in found.trials]
    written = {path.relative_to(tmp_path).as_posix() for path in save_figures(stored, tmp_path / "out")}
    assert "out/cell-rnn/gradient-of-weights-by-lag.png" in written
    own = {path for path in written if "mine" in path}
    assert f"out/cell-{package}-mine/gradient-by-lag.png" in own
    assert f"out/cell-{package}-mine/gradient-of-weights-by-lag.png" not in own


def test_repetitions_do_not_depend_on_those_beside_them(package):
    study = Study(cell=f"{package}:mine", **FIELDS)
    both = run_study(study, progress=False).trials
    alone = run_study(study.with_(repetitions=1), progress=False).trials
    assert alone[0].digest == both[0].digest


def test_workers_give_the_same_digests(package):
    study = Study(cell=f"{package}:mine", options={"scale": 0.5}, **FIELDS)
    source = f"""
from memspan import Study, run_study
import json
if __name__ == "__main__":
    study = Study(**json.loads({study.model_dump_json(exclude_unset=True)!r}))
    print(json.dumps([trial.digest for trial in run_study(study, workers=2, progress=False).trials]))
"""
    Path("main.py").write_text(source)
    ended = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [trial.digest for trial in run_study(study, progress=False).trials]


def test_the_fingerprint_follows_the_source_and_the_version_of_torch(package, tmp_path):
    study = Study(cell=f"{package}:mine", name="one", **FIELDS)
    assert fingerprints(study)["distribution torch"] == version("torch")
    store = tmp_path / "store.sqlite"
    run_study(study, store, progress=False)
    path = Path(f"{package}.py")
    path.write_text(path.read_text().replace("torch.tanh(", "torch.sin("))
    del sys.modules[package]
    with pytest.raises(AnotherStudy, match=rf"The code of cell {package}:mine has changed"):
        run_study(study, store, progress=False)


def test_a_span_and_a_comparison_at_equal_parameters(package):
    comparison = Comparison(cell=["lstm", f"{package}:mine"], equal="parameters", hidden=8)
    lstm, mine = comparison.chosen_configurations
    sizes = [one.make_network(3, 0).parameters.size for one in (lstm, mine)]
    assert abs(sizes[1] / sizes[0] - 1) < 0.1
    quick = {name: FIELDS[name] for name in QUICK}
    found = find_span(Configuration(cell=f"{package}:mine", **quick), budget=32, progress=False)
    assert found.estimate.left_censored


def test_equal_parameters_leave_out_the_sizes_that_a_model_refuses(package):
    even = Configuration(cell=f"{package}:even")
    sizes = {hidden: parameters_of(even.with_(hidden=hidden)) for hidden in range(2, 42, 2)}
    for wanted in (sizes[2], 300, sizes[22], sizes[22] + 1, 1000):
        assert hidden_for(even, wanted) == min(sizes, key=lambda hidden: abs(sizes[hidden] - wanted))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "fixed",
            "must be one with more weights for more hidden units, so that equal numbers of weights can be chosen, "
            "got 97 weights for hidden 1 and 97 for hidden 536,870,912",
        ),
        (
            "raises",
            "must be one that takes a hidden size from 1 to 64, got for 1: The factory {}:raises must return a "
            "model; it raised ValueError: no such model; give hidden, and leave out equal",
        ),
    ],
)
def test_a_model_without_a_size_for_equal_parameters_is_named(package, name, message):
    with pytest.raises(InvalidArgument) as caught:
        Comparison(cell=["lstm", f"{package}:{name}"], equal="parameters")
    assert str(caught.value) == f"The cell {package}:{name} {message.format(package)}"


def test_the_gradient_flow_of_an_untrained_model(package):
    configuration = Configuration(cell=f"{package}:mine", hidden=4)
    network, batches, _ = untrained(configuration, 6, 0)
    flow = gradient_flow(network, configuration.make_task().make_loss(), next(batches))
    assert flow.d_a.shape == (6,)
    assert (flow.d_a > 0).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wide", r"The output of Tanh must be of shape \[B, 1\] = \[3, 1\] \(outputs\), got one tensor of shape "),
        ("raises", "must return a model; it raised ValueError: no such model"),
        ("needs", r"must be callable as \(features, outputs, hidden=...\)"),
        ("poor", "must have parameters to train; none of them has requires_grad=True"),
        ("infinite", "must return finite numbers"),
        ("elsewhere", "must be on the CPU"),
    ],
)
def test_a_faulty_model_is_refused_before_anything_is_written(package, tmp_path, name, message):
    study = Study(cell=["rnn", f"{package}:{name}"], **FIELDS)
    with pytest.raises(InvalidArgument, match=message):
        run_study(study, tmp_path / "store.sqlite", progress=False)
    assert not (tmp_path / "store.sqlite").exists()


def test_a_model_of_jax_without_jax_says_what_to_install(package, monkeypatch):
    for name in [one for one in sys.modules if one == "memspan.jax" or one.startswith("memspan.jax.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jax", None)  # it cannot be imported
    with pytest.raises(InvalidArgument) as caught:
        run_study(Study(cell=f"{package}:of_jax", **FIELDS), progress=False)
    assert str(caught.value) == (
        f"The cell {package}:of_jax cannot be imported: its models need jax, which is not installed "
        "(pip install 'memspan[jax]')."
    )


@pytest.mark.parametrize("field", [{"init": "orthogonal"}, {"gain": 2}, {"recurrent_gain": 2}])
def test_what_only_memspans_weights_have_is_refused(package, field):
    study = Study(cell=f"{package}:mine", **FIELDS, **field)
    with pytest.raises(InvalidArgument, match=rf"{next(iter(field))} must be left out for {package}:mine"):
        run_study(study, progress=False)


@pytest.mark.parametrize("command", ["predict --longest 4", "flow --length 4 -o new", "study run --lengths 4"])
@pytest.mark.parametrize("option", ["--gain 1,2", "--init orthogonal", "--recurrent-gain 2"])
def test_every_command_leaves_the_initial_weights_to_a_model(package, memspan_, tmp_path, command, option):
    before = {*tmp_path.iterdir()}
    code, out, err = memspan_(f"{command} --cell {package}:mine {option}")
    assert (code, out) == (2, "")
    name = option.split()[0]
    assert f"{name} must be left out for {package}:mine, a model that chooses its own initial weights" in err
    assert {*tmp_path.iterdir()} - before <= {tmp_path / "__pycache__"}


def test_flow_takes_options(package, memspan_):
    code, out, err = memspan_(f"flow --cell {package}:mine --options.scale 0.5,1 --hidden 4 --length 4")
    assert (code, err) == (0, "")
    (half, *half_norms), (one, *one_norms) = (
        [cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")
    )
    assert (half, one) == ("0.5", "1")
    assert half_norms != one_norms


def test_a_model_that_is_not_imported_yet_draws_its_own_weights(package):
    """The configuration could not know it when it was made."""
    configuration = Configuration(cell=f"{package}:mine", gain=2)
    with pytest.raises(InvalidArgument, match=f"gain must be left out for {package}:mine"):
        configuration.make_network(3, 0)


def test_a_model_that_fails_at_a_length_costs_no_other_trial(package):
    study = Study(cell=["rnn", f"{package}:short"], **{**FIELDS, "lengths": (3, 6)})
    trials = run_study(study, progress=False).trials
    failed = [trial for trial in trials if trial.outcome == "failed"]
    assert [(trial.configuration, trial.length) for trial in failed] == [(1, 6), (1, 6)]
    assert all("RuntimeError: more than 4 steps" in trial.reason for trial in failed)
    assert len(trials) == 8


def test_a_model_that_gives_nan_before_training_has_not_diverged(package):
    study = Study(cell=["rnn", f"{package}:fading"], **{**FIELDS, "lengths": (3, 6)})
    trials = run_study(study, progress=False).trials
    rule = f"The model {package}:fading must return finite numbers before training, at every length; at T=6 it "
    for trial in trials:
        faulty = (trial.configuration, trial.length) == (1, 6)
        assert (trial.outcome == "failed") == faulty
        assert trial.reason == (f"{rule}returned infinity or NaN." if faulty else "")
    assert len(trials) == 8


@pytest.mark.parametrize("name", ["mine", "lstm", "long"])
def test_the_estimate_of_memory_is_at_least_what_pytorch_keeps(package, name):
    """Twice the tensors that PyTorch saves for the way back, because that needs memory of its own."""
    configuration = Configuration(cell=f"{package}:{name}", hidden=16, batch=32)
    network, batches, _ = untrained(configuration, 20, 0)
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network.forward(next(batches).x)
    assert 2 * sum(saved.values()) < bytes_of(configuration, 20, 1) < 2**26


def test_memory_is_estimated(package):
    small, large = (Configuration(cell=f"{package}:mine", hidden=H) for H in (8, 64))
    assert 0 < bytes_of(small, 10, 2) < bytes_of(large, 10, 2) < bytes_of(large, 100, 2)


# --- the device -----------------------------------------------------------------------------------------


def test_the_device_is_handed_to_the_model_and_is_part_of_the_identity(package, tmp_path):
    (tmp_path / "study.toml").write_text(f'cell = "{package}:mine"\ndevice = "cpu:0"\n')
    study = Study.read(tmp_path / "study.toml", **FIELDS)
    assert study.configuration.describe().endswith("batch 64, on cpu:0")
    assert canonical(study.configuration) != canonical(study.with_(device="cpu").configuration)
    assert run_study(study, progress=False).trials[0].outcome == "unsolved"
    seen = []

    def make(*sizes, device, **options):
        seen.append(device)
        return make_network(*sizes, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memspan.torch.make_network", make)
        study.configuration.make_network(3, 0)
    assert seen == ["cpu:0"]


@pytest.mark.parametrize("device", ["cuda:7", "nowhere", "meta"])
def test_a_device_that_pytorch_cannot_use_is_refused_before_anything_is_written(package, tmp_path, device):
    study = Study(cell=f"{package}:mine", device=device, **FIELDS)
    message = rf"^device must be one that PyTorch can use, such as cpu or cuda, got '{device}': \S"
    for run in (run_study, lambda study, store, progress: find_span(study.configuration, store=store)):
        with pytest.raises(InvalidArgument, match=message):
            run(study, tmp_path / "store.sqlite", progress=False)
    assert not (tmp_path / "store.sqlite").exists()


def test_a_device_is_for_models_of_other_libraries(package):
    mixed = Study(cell=f"lstm,{package}:mine", device="cuda")
    assert [one.device for one in mixed.configurations] == ["cpu", "cuda"]
    comparison = Comparison(cell=f"lstm,{package}:mine", device="cuda")
    assert [one.configuration.device for one in comparison.searches()] == ["cpu", "cuda"]
    with pytest.raises(
        InvalidArgument, match=r"^device must be cpu for lstm, which memspan computes itself, got cu"
    ):
        Study(cell="lstm", device="cuda")
    with pytest.raises(InvalidArgument, match=r"^device must be one value beside lstm, which memspan computes"):
        Study(cell=f"lstm,{package}:mine", device="cpu,cuda")
    with pytest.raises(
        InvalidArgument, match=r"^device must be the name of a device, such as cpu, cuda or cuda:1"
    ):
        Study(cell=f"{package}:mine", device="GPU 1")
    with pytest.raises(InvalidArgument, match=rf"^device must be cpu for {package}:numpy, which memspan computes"):
        run_study(Study(cell=f"{package}:numpy", device="cuda"), progress=False)


def test_the_graph_on_another_device_takes_no_memory_of_the_machine(package):
    here, there = (Configuration(cell=f"{package}:mine", batch=4096, device=name) for name in ("cpu", "cuda"))
    assert bytes_of(there, 100, 1) < bytes_of(here, 100, 1) / 2
