"""Cells and tasks of the user's own in studies: imported by their paths, identified by their code."""

import importlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from memspan import CELLS, Comparison, Configuration, Study, find_span, get_task, run_study
from memspan.cells import get_cell
from memspan.errors import InvalidArgument
from memspan.runtime import imports
from memspan.store.store import Store
from memspan.study.fingerprint import fingerprints
from memspan.study.identity import AnotherStudy, canonical, restored, specified
from memspan.study.labels import labels_of
from memspan.tasks import StandIn

CELL = """
from memspan import Cell
from memspan.cells.activations import one_minus, tanh, tanh_derivative


def forward(s, previous, unit):
    h = tanh(s[0])
    return (one_minus(unit[0]) * previous[0] + unit[0] * h,), (h,)


def backward(d_state, residuals, previous, state, unit):
    d_a = d_state[0]
    return (d_a * unit[0] * tanh_derivative(residuals[0]),), (d_a * one_minus(unit[0]),), ()


def leaky(alpha=0.1, name="mine"):
    return Cell(name, ("h",), ("a",), forward, backward, "a test", constants={"alpha": alpha})


mine = leaky()
linear = Cell("linear", ("h",), ("a",), forward, backward, "a test", recurrent_gates=(), constants={"alpha": 0.5})
"""
TASK = """
from dataclasses import dataclass

from memspan import Recall
from memspan.tasks.base import parameter
from memspan.errors import whole_number


@dataclass(frozen=True)
class Later(Recall):
    family = "later"
    least_length = 3
    extra: int = parameter(1, whole_number)

    def shape(self, length):
        return super().shape(length)


later = Later()
"""
FIELDS = {"hidden": 4, "updates": 3, "evaluation_samples": 20, "final_batches": 1}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package with cells and tasks, which the tests may change.

    It is the same name in every test, so that a cell that was not changed is not compiled again.
    """
    name = "own_parts"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "cells.py").write_text(CELL)
    (folder / "tasks.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    path, modules = sys.path.copy(), {*sys.modules}
    yield name
    sys.path[:] = path
    for module in {*sys.modules} - modules:
        if module.startswith(name):
            del sys.modules[module]


def rewritten(package, old, new, file="cells"):
    """Change the source of the package, as an editor and a new process would."""
    path = Path(package, f"{file}.py")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    for module in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[module]
    importlib.invalidate_caches()


def test_a_cell_by_its_path_trains_like_the_same_cell_of_memspan(package):
    own, ours = (
        Study(cell=cell, lengths=3, repetitions=2, **FIELDS) for cell in (f"{package}.cells:mine", "leaky")
    )
    found, expected = (run_study(study, progress=False).trials for study in (own, ours))
    assert [one.digest for one in found] == [one.digest for one in expected]


def test_a_task_by_its_path(package):
    study = Study(task=f"{package}.tasks:Later", lengths=3, repetitions=1, **FIELDS)
    assert run_study(study, progress=False).trials[0].outcome == "unsolved"
    assert get_task(f"{package}.tasks:later", extra=2).extra == 2


def test_the_parts_themselves_become_their_paths(package):
    get_cell(f"{package}.cells:mine")  # as any import, it finds the current folder
    cells, tasks = (importlib.import_module(f"{package}.{name}") for name in ("cells", "tasks"))
    path = f"{package}.cells"
    assert Study(cell=[cells.mine, cells.leaky, CELLS["gru"]]).cell == (f"{path}:mine", f"{path}:leaky", "gru")
    assert Study(task=tasks.later, lengths=3).task == f"{package}.tasks:later"
    assert Configuration(task=tasks.Later).task == f"{package}.tasks:Later"


def test_options_reach_the_function_and_belong_to_the_identity(package):
    path = f"{package}.cells:leaky"
    several = Study(cell=path, options={"alpha": [0.2, 1]}, lengths=3)
    assert [one.make_cell().constants["alpha"] for one in several.configurations] == [0.2, 1]
    assert several.varying == ("options.alpha",)
    assert several.label(0) == "alpha 0.2"
    assert len({canonical(one) for one in several.configurations}) == 2
    assert Configuration(cell=path, options={"alpha": "0.5", "name": "text"}).make_cell().name == "text"
    assert restored(specified(several)["specification"]) == several
    assert Study(cell=path, options={"a": "inf", "b": "1e3", "c": "2.5", "d": 4.0}).options == {
        "a": "inf",
        "b": 1000,
        "c": 2.5,
        "d": 4,
    }


def test_memspans_cells_beside_one_with_options_have_none(package):
    study = Study(cell=["lstm", f"{package}.cells:leaky"], options={"alpha": 0.2}, lengths=3)
    assert [one.options for one in study.configurations] == [{}, {"alpha": 0.2}]
    assert study.configurations[0] == Configuration(cell="lstm")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"cell": "mypkg.cells:mine", "options": {"a": ["True", 1]}},
            "options.a must be a number or a name, not a truth value (write 1 or 0), got True",
        ),
        (
            {"cell": "mypkg.cells:mine", "options": {"hidden": [5, 6]}},
            "options.hidden must be left out, got 5; the field hidden is the number of hidden units",
        ),
        (
            {"cell": "mypkg.cells:mine", "options": {"features": 2}},
            "options.features must be left out, got 2; the task gives the number of features",
        ),
        (
            {"cell": "mypkg.cells:mine", "options": {"outputs": 2}},
            "options.outputs must be left out, got 2; the task gives the number of outputs",
        ),
        (
            {"cell": "mypkg.cells:mine", "options": {"key": 2}},
            "options.key must be left out, got 2; the seed gives the key",
        ),
        (
            {"cell": "lstm", "options": {"a": 1}},
            "options must be left out for lstm, which takes none, got {'a': 1}",
        ),
        (
            {"cell": "lstm,a.b:c", "options": {"a": [1, 2]}},
            "options.a must be one value beside lstm, which takes no options, got (1, 2)",
        ),
        ({"cell": "a b:c"}, "cell must be an import path of the form package.module:attribute, such as "),
        ({"cell": "__main__:mine"}, "cell must be at the top level of a module that worker processes can import"),
        ({"task": lambda: 1}, "task must be at the top level of a module that worker processes can import"),
    ],
)
def test_what_cannot_be_a_part_is_refused_when_a_study_is_made(fields, message):
    with pytest.raises(InvalidArgument) as caught:
        Study(**fields)
    assert str(caught.value).startswith(message)


def test_lambdas_closures_and_objects_of_the_main_program_are_refused_with_what_to_do():
    def closure():
        """A function inside a function."""

    for part, got in ((closure, "closure, which is defined inside a function"), (lambda: 1, "a lambda")):
        with pytest.raises(InvalidArgument, match=r"move it to a file, and give its import path") as caught:
            Study(cell=part)
        assert str(caught.value).endswith(f"got {got}")
    source = """
        from memspan import Study
        def mine():
            pass
        Study(cell=mine)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1].endswith("got mine of the main program")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "nowhere.cells:mine",
            "The cell nowhere.cells:mine cannot be imported: there is no module nowhere in the ",
        ),
        ("{}.nothing:mine", "The cell {}.nothing:mine cannot be imported: there is no module {}.nothing in the "),
        ("{}.cells:nothing", "The cell {}.cells:nothing cannot be imported: {}.cells has no attribute nothing."),
        ("{}.cells:CELL", "The cell {}.cells:CELL cannot be imported: {}.cells has no attribute CELL."),
        (
            "{}.cells:tanh",
            "cell must be the import path of a Cell or of a function that returns one, got {}.cells",
        ),
        ("{}.broken:mine", "The cell {}.broken:mine cannot be imported: {}.broken raises ZeroDivisionError: "),
        ("{}.ends:mine", "The cell {}.ends:mine cannot be imported: {}.ends raises SystemExit: 3."),
        ("{}.needs:mine", "The cell {}.needs:mine cannot be imported: the module {}.needs needs nowhere, "),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_written(package, tmp_path, part, message):
    Path(package, "broken.py").write_text("1 / 0")
    Path(package, "ends.py").write_text("raise SystemExit(3)")
    Path(package, "needs.py").write_text("import nowhere")
    study = Study(cell=part.format(package), lengths=3, repetitions=1, **FIELDS)
    for run in (
        lambda: run_study(study, tmp_path / "store.sqlite", progress=False),
        lambda: find_span(study.configuration, store=tmp_path / "store.sqlite", progress=False),
    ):
        with pytest.raises(InvalidArgument) as caught:
            run()
        assert str(caught.value).startswith(message.format(package, package))
    assert not (tmp_path / "store.sqlite").exists()


def test_what_an_imported_part_does_not_take_is_refused_before_anything_is_written(package, tmp_path):
    cell, task = f"{package}.cells:leaky", f"{package}.tasks:Later"
    for fields, message in (
        (
            {"cell": cell, "options": {"beta": 1}},
            "got .* unexpected keyword argument 'beta'; the factory of PyTorch or JAX models must ",
        ),
        ({"cell": f"{package}.cells:linear", "recurrent_gain": 2}, "recurrent_gain must be 1 for the cell linear"),
        ({"cell": f"{package}.cells:linear", "init": "critical"}, "another than critical for the cell linear"),
        ({"cell": f"{package}.cells:mine", "options": {"a": 1}}, "options must be left out for the cell"),
        ({"task": task, "lengths": 2}, "lengths must be at least 3 for later"),
        ({"task": task, "task_parameters": {"size": 1}}, "a parameter of later must be one of "),
        ({"task": task, "task_parameters": {"extra": 0.5}}, "extra must be a whole number"),
    ):
        for module in [name for name in sys.modules if name.startswith(package)]:
            del sys.modules[module]
        study = Study(**{"lengths": 3, **FIELDS, **fields})
        with pytest.raises(InvalidArgument, match=message):
            run_study(study, tmp_path / "store.sqlite", progress=False)
    assert not (tmp_path / "store.sqlite").exists()


def test_changed_source_is_refused_under_the_same_name_and_a_new_study_otherwise(package, tmp_path):
    study = Study(cell=f"{package}.cells:mine", lengths=3, repetitions=1, **FIELDS)
    store = tmp_path / "store.sqlite"
    run_study(study.with_(name="named"), store, progress=False)
    run_study(study, store, progress=False)
    rewritten(package, "alpha=0.1", "alpha=0.1, unused=3")
    run_study(study.with_(name="named"), store, progress=False)  # `mine` is the same cell
    rewritten(package, "h = tanh(s[0])", "h = tanh(tanh(s[0]))")
    with pytest.raises(
        AnotherStudy, match=rf"^The code of cell {package}.cells:mine has changed since study 'named'"
    ):
        run_study(study.with_(name="named"), store, progress=False)
    run_study(study, store, progress=False)
    with Store(store) as opened:
        _, usual, beside = opened.names()
        assert beside.startswith(f"{usual}-")
        assert usual.startswith("recall-mine-")


def test_the_version_of_an_installed_distribution_counts(package, monkeypatch):
    study = Study(cell=f"{package}.cells:mine")
    assert not [name for name in fingerprints(study) if name.startswith("distribution")]
    monkeypatch.setattr(imports, "_distributions", lambda: {package: ["numpy"]})
    assert fingerprints(study)["distribution numpy"] == np.__version__


def test_reading_a_store_imports_nothing(package, tmp_path):
    """In a new process, in a folder without the package: the table lacks only what the task alone knows."""
    fields = {"cell": f"{package}.cells:mine", "task": f"{package}.tasks:Later", "lengths": 3, "repetitions": 2}
    store = tmp_path / "store.sqlite"
    run_study(Study(**fields, **FIELDS, name="one"), store, progress=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "memspan"]
    for arguments in (["study", "show", "one"], ["store", "ls"], ["store", "show", "one"], ["store", "doctor"]):
        ended = subprocess.run(
            [*command, *arguments, "--store", str(store)], cwd=elsewhere, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        assert "nan" not in ended.stdout
        if "show" in arguments:
            assert f"{package}.tasks:Later" in ended.stdout


BETA = 'def leaky(beta=0.1, name="mine"):\n    alpha = beta'


@pytest.mark.parametrize(("old", "new"), [("leaky(", "gone("), ('def leaky(alpha=0.1, name="mine"):', BETA)])
def test_a_store_is_read_after_its_parts_have_changed_or_gone(package, tmp_path, old, new):
    """Also in a process that has imported the module as it is now."""
    cells = [f"{package}.cells:mine", f"{package}.cells:leaky"]
    study = Study(cell=cells, options={"alpha": 0.2}, lengths=3, repetitions=1, name="one", **FIELDS)
    with pytest.raises(InvalidArgument, match="options must be left out for the cell"):
        run_study(study, progress=False)
    study = study.with_(cell=cells[1])
    store = tmp_path / "store.sqlite"
    digests = [trial.digest for trial in run_study(study, store, progress=False).trials]
    rewritten(package, old, new)
    importlib.import_module(f"{package}.cells")
    with Store(store) as opened:
        result = opened.find("one").result()
    assert [trial.digest for trial in result.trials] == digests
    assert "alpha 0.2" in result.study.describe()


def test_workers_import_by_path(package, tmp_path):
    """Two processes give the digests of one."""
    study = Study(
        cell=["rnn", f"{package}.cells:leaky"],
        options={"alpha": 0.3},
        task=f"{package}.tasks:Later",
        lengths=3,
        repetitions=2,
        **FIELDS,
    )
    script = Path("main.py")
    script.write_text(
        f"from memspan import Study, run_study\n"
        f"import json, sys\n"
        f"if __name__ == '__main__':\n"
        f"    study = Study(**json.loads({study.model_dump_json(exclude_unset=True)!r}))\n"
        f"    trials = run_study(study, workers=2, progress=False).trials\n"
        f"    print(json.dumps([trial.digest for trial in trials]))\n"
    )
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [trial.digest for trial in run_study(study, progress=False).trials]


@pytest.mark.slow
def test_a_part_that_dask_workers_cannot_import_costs_no_other_trial(package, tmp_path, dask):
    """Once the workers can import it, the failed trials are those of one process, to the last bit."""
    from distributed import Client

    cell = f"{package}.cells:mine"
    study, store = Study(cell=["rnn", cell], lengths=3, repetitions=1, **FIELDS), tmp_path / "store.sqlite"
    ours, mine = run_study(study, store, scheduler=dask.address, progress=False).trials
    assert ours.outcome == "unsolved"
    assert mine.outcome == "failed"
    assert mine.reason.startswith(f"The cell {cell} cannot be imported: there is no module {package} in")
    with Client(dask.address, set_as_default=False) as client:
        client.run(lambda folder: sys.path.append(folder), str(tmp_path))
        found = run_study(study, store, scheduler=dask.address, retry_failed=True, progress=False).trials
        client.run(lambda folder: sys.path.remove(folder), str(tmp_path))
    assert [one.reason for one in found] == ["", ""]
    assert [one.digest for one in found] == [one.digest for one in run_study(study, progress=False).trials]


def test_a_comparison_counts_the_weights_of_an_own_cell(package):
    comparison = Comparison(cell=["lstm", f"{package}.cells:mine"], equal="parameters", hidden=4)
    lstm, mine = comparison.chosen_configurations
    assert mine.hidden > 2 * lstm.hidden


def test_a_stand_in_has_no_facts():
    task = Configuration(task="nowhere.tasks:mine").known_task()
    assert isinstance(task, StandIn)
    assert task.name == "nowhere.tasks:mine"
    two = [Configuration(task=name) for name in ("nowhere.tasks:mine", "nowhere.tasks:other")]
    assert labels_of(two) == ["nowhere.tasks:mine", "nowhere.tasks:other"]
    with pytest.raises(RuntimeError, match=r"^The task nowhere.tasks:mine has not been imported"):
        task.sample(5, 2, 0)


def test_get_cell_takes_names_paths_and_options(package):
    assert get_cell("gru") is CELLS["gru"]
    assert get_cell(f"{package}.cells:leaky", alpha=0.7).constants == {"alpha": 0.7}
