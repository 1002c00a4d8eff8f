"""`memspan doctor`: what it finds, and that it notices what is broken."""

import importlib
import json
import tomllib
from pathlib import Path

import pytest

from memspan import __version__
from memspan.cli.doctor.installation import EXTRAS
from memspan.network import Network

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
PARTS = ["memspan", "Python", "dependencies", "BLAS", "machine", "Numba's cache", "store"]
TESTS = ["gradient", "engines", "study"]
installation = importlib.import_module("memspan.cli.doctor.installation")
selftest = importlib.import_module("memspan.cli.doctor.selftest")


def found_by(memspan_, line):
    code, out, _ = memspan_(f"{line} --json")
    document = json.loads(out)
    assert document["sound"] == (code == 0)
    return code, {one["part"]: one for one in document["findings"]}


def test_it_finds_the_versions_the_machine_and_the_extras(memspan_, tmp_path):
    code, found = found_by(memspan_, "doctor --quick")
    assert code == 0
    assert [*found] == [*PARTS, *EXTRAS]
    assert found["memspan"]["found"].startswith(__version__)
    assert all(name in found["dependencies"]["found"] for name in ("numpy", "numba", "cyclopts"))
    assert found["store"] == {
        "part": "store",
        "found": "No store at memspan.sqlite",
        "state": "missing",
        "advice": "",
    }
    assert "blas" in found["BLAS"]["found"].lower()
    assert list(tmp_path.iterdir()) == []


def test_the_extras_are_those_of_the_distribution():
    declared = {name: listed for name, listed in PROJECT["optional-dependencies"].items() if name in EXTRAS}
    assert {*PROJECT["optional-dependencies"]} - {*EXTRAS} <= {"dev", "docs"}
    for name, (distributions, purpose) in EXTRAS.items():
        assert [one.partition(">=")[0].partition("[")[0] for one in declared[name]] == [*distributions]
        assert purpose


def test_an_extra_that_is_not_installed_is_named_with_the_command_that_installs_it(memspan_, monkeypatch):
    version = installation.version
    monkeypatch.setattr(installation, "version", lambda name: version("nothing" if name == "pyarrow" else name))
    code, found = found_by(memspan_, "doctor --quick")
    assert code == 0
    assert found["parquet"]["state"] == "missing"
    assert found["parquet"]["advice"] == "To install: pip install 'memspan[parquet]'."


def test_a_dependency_that_is_not_installed_is_broken(memspan_, monkeypatch):
    version = installation.version
    monkeypatch.setattr(installation, "version", lambda name: version("nothing" if name == "scipy" else name))
    code, found = found_by(memspan_, "doctor --quick")
    assert (code, found["dependencies"]["state"]) == (1, "broken")
    assert "scipy not installed" in found["dependencies"]["found"]


def test_a_damaged_store_is_broken(memspan_, tmp_path):
    (tmp_path / "memspan.sqlite").write_text("mine " * 50)
    code, found = found_by(memspan_, "doctor --quick")
    assert (code, found["store"]["state"]) == (1, "broken")
    code, out, _ = memspan_("doctor --quick")
    assert code == 1
    assert out.splitlines()[-1] == "Broken: store."


@pytest.mark.slow
def test_the_self_test_passes(memspan_, tmp_path):
    code, found = found_by(memspan_, "doctor")
    assert code == 0
    assert [*found] == [*PARTS, *EXTRAS, *TESTS]
    assert [found[part]["state"] for part in TESTS] == ["ok"] * 3
    assert "4 trainings in a worker process, kept in SQLite, are equal to those here" in found["study"]["found"]
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_gradient_is_found(monkeypatch):
    right = Network.backward

    def wrong(network, d_loss):
        gradients = right(network, d_loss)
        return {**gradients, "d_V": 1.001 * gradients["d_V"]}

    monkeypatch.setattr(Network, "backward", wrong)
    sound, text = selftest._gradient()
    assert not sound
    assert "The gradient is WRONG at " in text


def test_engines_that_disagree_are_found(monkeypatch):
    right = selftest.CompiledEngine.differentiate
    assert selftest._engines()[0]

    def wrong(*arguments):
        found = right(*arguments)
        found.gradients[:] *= 1.001
        return found

    monkeypatch.setattr(selftest.CompiledEngine, "differentiate", wrong)
    assert not selftest._engines()[0]


def test_trainings_that_differ_between_processes_are_found(monkeypatch):
    run = selftest.run_study
    seeds = iter((0, 1))
    monkeypatch.setattr(
        selftest,
        "run_study",
        lambda study, place, **how: run(study.with_(seed=next(seeds)), place, **how | {"workers": 0}),
    )
    sound, text = selftest._study()
    assert not sound
    assert "are DIFFERENT from those here" in text


def test_an_error_in_a_test_is_a_finding(memspan_, monkeypatch):
    def fail():
        raise RuntimeError("no kernel")

    for name in ("_gradient", "_engines", "_study"):
        monkeypatch.setattr(selftest, name, fail)
    code, found = found_by(memspan_, "doctor")
    assert code == 1
    assert {found[part]["state"] for part in TESTS} == {"broken"}
    assert found["engines"]["found"] == "RuntimeError: no kernel"
