"""JAX models of the user's own in studies: trained, stored, measured and compared like memspan's cells."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

from memspan import Comparison, Configuration, Study, find_span, run_study  # noqa: E402
from memspan.errors import InvalidArgument  # noqa: E402
from memspan.store.store import Store  # noqa: E402
from memspan.study.fingerprint import fingerprints  # noqa: E402
from memspan.study.identity import AnotherStudy  # noqa: E402

MODELS = """
from dataclasses import dataclass
import jax, jax.numpy as jnp
from memspan.jax import Steps

TWO = jnp.full((), 2.0)  # it starts JAX before memspan does


@jax.tree_util.register_dataclass
@dataclass
class Tanh:
    W: jax.Array
    R: jax.Array

    def __call__(self, x, h):
        return jnp.tanh(x @ self.W + h @ self.R)


def mine(features, outputs, hidden=32, scale=1.0, *, key):
    of_W, of_R = jax.random.split(key)
    W, R = jax.random.normal(of_W, (features, hidden)), jax.random.normal(of_R, (hidden, hidden)) / hidden
    return Steps(Tanh(scale * W, TWO * R), hidden, outputs, state=hidden, key=key)


@jax.tree_util.register_dataclass
@dataclass
class Short:
    model: Steps

    def __call__(self, x, state=None):
        if len(x) > 4:
            raise RuntimeError("more than 4 steps")
        return self.model(x, state)


def short(features, outputs, hidden=32, *, key):
    return Short(mine(features, outputs, hidden, key=key))


def raises(features, outputs, hidden=32, *, key):
    raise ValueError("no such model")
"""
FIELDS = {"hidden": 4, "updates": 5, "evaluation_samples": 20, "final_batches": 1, "lengths": 3, "repetitions": 2}
QUICK = ("hidden", "updates", "evaluation_samples", "final_batches")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The import path of a module with factories; a new name for each test."""
    name = f"jax_models_{tmp_path.name.replace('-', '_')}"
    Path(tmp_path, f"{name}.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield name
    sys.modules.pop(name, None)


def test_a_study_trains_and_stores_it_and_workers_give_the_same_digests(package, tmp_path):
    store = tmp_path / "store.sqlite"
    study = Study(cell=["rnn", f"{package}:mine"], options={"scale": 0.5}, **FIELDS)
    found = run_study(study, store, progress=False)
    _, _, mine, again = found.trials
    assert mine.updates == 5
    assert mine.digest != again.digest
    assert np.isfinite(mine.start.d_a).all() and np.isnan(mine.start.d_R).all()  # noqa: PT018
    with Store(store) as opened:
        stored = opened.find(opened.names()[0]).result()
    assert [trial.digest for trial in stored.trials] == [trial.digest for trial in found.trials]
    source = f"""
from memspan import Study, run_study
import json
if __name__ == "__main__":
    study = Study(**json.loads({study.model_dump_json(exclude_unset=True)!r}))
    print(json.dumps([trial.digest for trial in run_study(study, workers=2, progress=False).trials]))
"""
    Path("main.py").write_text(source)
    ended = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [trial.digest for trial in found.trials]


def test_the_fingerprint_follows_the_source_and_the_version_of_jax(package, tmp_path):
    study = Study(cell=f"{package}:mine", name="one", **FIELDS)
    found = fingerprints(study)
    assert found["distribution jax"] == version("jax")
    assert "distribution torch" not in found
    store = tmp_path / "store.sqlite"
    run_study(study, store, progress=False)
    path = Path(f"{package}.py")
    path.write_text(path.read_text().replace("jnp.tanh(", "jnp.sin("))
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


def test_a_faulty_model_is_refused_before_anything_is_written(package, tmp_path):
    study = Study(cell=["rnn", f"{package}:raises"], **FIELDS)
    with pytest.raises(InvalidArgument, match="must return a model; it raised ValueError: no such model"):
        run_study(study, tmp_path / "store.sqlite", progress=False)
    assert not (tmp_path / "store.sqlite").exists()


def test_a_model_that_fails_at_a_length_costs_no_other_trial(package):
    study = Study(cell=["rnn", f"{package}:short"], **{**FIELDS, "lengths": (3, 6)})
    trials = run_study(study, progress=False).trials
    failed = [trial for trial in trials if trial.outcome == "failed"]
    assert [(trial.configuration, trial.length) for trial in failed] == [(1, 6), (1, 6)]
    assert all("RuntimeError: more than 4 steps" in trial.reason for trial in failed)
    assert len(trials) == 8
