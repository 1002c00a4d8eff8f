"""The engine of PyTorch models: chosen once, recorded with the study, used wherever its trials are trained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan import Comparison, Configuration, Search, Study, UnreadableFile, compare, run_search, run_study  # noqa: E402
from memspan._version import __version__  # noqa: E402
from memspan.execution import engines as module  # noqa: E402
from memspan.execution import plan as plan_module  # noqa: E402
from memspan.execution.engines import Choice, choose, choose_engines, engines_event  # noqa: E402
from memspan.execution.events import Engine, Engines, Finished, Planned, Timing  # noqa: E402
from memspan.execution.jobs import OtherVersion  # noqa: E402
from memspan.execution.listeners import remark_on  # noqa: E402
from memspan.execution.memory import TooLarge, bytes_of  # noqa: E402
from memspan.execution.plan import groups_in_room, make_plan  # noqa: E402
from memspan.execution.run import StudyRun  # noqa: E402
from memspan.execution.running import silent  # noqa: E402
from memspan.execution.teams import Alone, Serial, Team  # noqa: E402
from memspan.runtime.interrupts import Interrupts  # noqa: E402
from memspan.store.store import Store  # noqa: E402
from memspan.study import Key  # noqa: E402
from memspan.study.engines import recorded, workload_of  # noqa: E402
from memspan.study.group import digest_of, fit, prepared, run_group, run_trial  # noqa: E402
from memspan.study.identity import canonical, default_name  # noqa: E402

MODELS = """
import torch
from memspan.torch import Sequence, Steps


class Tanh(torch.nn.Module):
    def __init__(self, features, hidden, most=1000):
        super().__init__()
        self.W, self.R = torch.nn.Linear(features, hidden), torch.nn.Linear(hidden, hidden)
        self.steps, self.most = 0, most

    def forward(self, x, h):
        return torch.tanh(self.W(x) + self.R(h))


class Late(Tanh):
    def forward(self, x, h):
        new = super().forward(x, h)
        return new if torch.equal(h, torch.zeros_like(h)) else new / 2


def mine(features, outputs, hidden=32):
    return Steps(Tanh(features, hidden), state=hidden, width=hidden, outputs=outputs)


def late(features, outputs, hidden=32):
    return Steps(Late(features, hidden), state=hidden, width=hidden, outputs=outputs)


def lstm(features, outputs, hidden=32):
    return Sequence(torch.nn.LSTM(features, hidden), hidden, outputs)
"""
SMALL = {"hidden": 4, "batch": 8, "updates": 5, "evaluation_samples": 20, "final_batches": 1}
FORM = "vmap-forward of 3"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The import path of a module with factories; a new name for each test."""
    name = f"nets_{tmp_path.name.replace('-', '_')}"
    Path(tmp_path, f"{name}.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield name
    sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """The time of a trial is not measured before a run, because that takes longer than these runs."""
    monkeypatch.setattr(plan_module, "_measure", lambda *of: {})


@pytest.fixture
def study(package):
    return Study(cell=f"{package}:mine", **SMALL, lengths=(2, 3), repetitions=4, name="one")


def record(study, form=FORM):
    """A record with one engine for all workloads of a study or search."""
    return {canonical(workload_of(one)): form for one in study.configurations}


def begun(study, path, form=FORM):
    """A store in which a study has begun with this engine."""
    with Store(path, create=True) as store:
        store.enter(study, engines=record(study, form))
    return path


def digests(result):
    return {trial.key: trial.digest for trial in result.trials}


def heard_in(study, store=None, **options):
    """The result of a study, and the events of its run."""
    heard = []
    return run_study(study, store, progress=False, listen=heard.append, **options), heard


def never(*of):
    raise AssertionError("timed again")


class Wide(Team):
    """A team in this process with any number of slots and bytes."""

    def __init__(self, slots=1, memory=None):
        super().__init__(Serial, slots)
        self.bytes = memory

    def memory(self):
        return self.bytes


# --- the bits -------------------------------------------------------------------------------------------


def test_the_bits_of_a_trial_do_not_depend_on_those_beside_it(package):
    one = Configuration(cell=f"{package}:mine", **SMALL)
    together = run_group(one, 3, range(7), engine=FORM)
    assert {trial.engine for trial in together} == {FORM}
    again = [run_trial(one, 3, k, FORM) for k in (0, 6)]
    assert [trial.digest for trial in again] == [together[k].digest for k in (0, 6)]
    loop = run_trial(one, 3, 0, "loop")
    assert loop.engine == "loop" and loop.digest != together[0].digest  # noqa: PT018
    assert run_trial(one, 3, 0).digest == loop.digest  # the model's own engine is the loop


def test_training_again_with_the_engine_of_a_trial_gives_its_digest(package, study, tmp_path):
    trial = run_study(study, begun(study, tmp_path / "store.sqlite"), progress=False).trials[-1]
    ensemble = prepared(study.configuration, trial.length, [trial.repetition], trial.engine)
    fit(ensemble, study.configuration, [trial.repetition])
    assert digest_of(ensemble.members[0].model) == trial.digest


def test_a_cell_of_memspan_has_its_own_engine_whatever_is_named():
    one = Configuration(**SMALL)
    assert run_trial(one, 3, 0, "loop").digest == run_trial(one, 3, 0).digest
    assert run_trial(one, 3, 0, "loop").engine == "compiled"


def test_a_form_that_fails_ends_only_its_trial_with_its_name_and_the_reason(package, tmp_path):
    study = Study(cell=f"rnn,{package}:late", **SMALL, lengths=3, repetitions=2)
    cell = study.configurations[1]
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        store.enter(study, engines={canonical(workload_of(cell)): FORM})
    trials = run_study(study, path, progress=False).trials
    assert [trial.outcome == "failed" for trial in trials] == [False, False, True, True]
    assert all(trial.engine == FORM for trial in trials[2:])
    reason = f"With the engine {FORM}: The model {cell.cell} failed with RuntimeError: Batching rule not"
    assert all(trial.reason.startswith(reason) for trial in trials[2:])


# --- the record -----------------------------------------------------------------------------------------


def test_an_interrupted_an_extended_and_a_divided_study_use_the_recorded_engine(study, tmp_path, monkeypatch):
    """In this process and in another one, after an interrupt, and where the study is run in parts."""
    monkeypatch.setattr(module, "choose", never)
    whole = run_study(study, begun(study, tmp_path / "whole.sqlite"), progress=False)
    assert {trial.engine for trial in whole.trials} == {FORM}

    parts = begun(study, tmp_path / "parts.sqlite")

    def stop(event):
        if isinstance(event, Finished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(study.with_(lengths=3, repetitions=2), parts, progress=False, listen=stop)
    run_study(study.with_(lengths=3), parts, progress=False)
    assert digests(run_study(study, parts, progress=False)) == digests(whole)

    path = begun(study, tmp_path / "process.sqlite")
    assert digests(run_study(study, path, workers=1, progress=False)) == digests(whole)


@pytest.mark.slow
def test_dask_workers_use_the_recorded_engine(dask, study, tmp_path):
    from distributed import Client

    here = run_study(study, begun(study, tmp_path / "here.sqlite"), progress=False)
    with Client(dask.address, set_as_default=False) as client:
        client.run(lambda folder: sys.path.append(folder), str(tmp_path))
        there = run_study(study, begun(study, tmp_path / "there.sqlite"), scheduler=dask.address, progress=False)
        client.run(lambda folder: sys.path.remove(folder), str(tmp_path))
    assert {trial.engine for trial in there.trials} == {FORM}
    assert digests(there) == digests(here)


def test_an_engine_is_timed_once_for_a_workload(package, tmp_path, monkeypatch):
    calls = []

    def timed(one, length, together, version):
        calls.append((one.hidden, length, together))
        return Choice(FORM)

    monkeypatch.setattr(module, "choose", timed)
    monkeypatch.setattr(module, "TIMED", 0)
    study = Study(cell=f"rnn,{package}:mine", **SMALL, learning_rate="0.1,0.01", lengths="2,8", repetitions=4)
    found, heard = heard_in(study, tmp_path / "store.sqlite")
    assert calls == [(4, 4, 4)]
    assert [trial.engine for trial in found.trials].count(FORM) == 16
    assert [type(event) for event in heard[:3]] == [Timing, Planned, Engines]
    assert heard[0].cells == (f"{package}:mine",)
    assert heard[2].lines == (Engine(f"{package}:mine", FORM, ""),)
    longer = study.with_(lengths="2,3,8", hidden="4,5", name=default_name(study))
    _, heard = heard_in(longer, tmp_path / "store.sqlite")
    assert calls == [(4, 4, 4), (5, 4, 4)]
    _, heard = heard_in(longer, tmp_path / "store.sqlite")
    assert calls[2:] == []
    assert not [event for event in heard if isinstance(event, Timing | Engines)]  # nothing is trained


def test_of_two_runs_that_begin_together_the_first_one_records(study, tmp_path):
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        store.enter(study, engines=record(study))
        second = store.enter(study, engines=record(study, "loop"))
        assert second.engines == store.find("one").engines == store.existing(study).engines == record(study)


def test_a_study_without_results_forgets_the_engines_of_other_code(package, study, tmp_path):
    path = begun(study, tmp_path / "store.sqlite")
    file = Path(f"{package}.py")
    file.write_text(file.read_text().replace("torch.tanh(", "torch.sin("))
    sys.modules.pop(package, None)
    with Store(path) as store:
        assert store.existing(study).engines == {}
        assert store.enter(study, engines=record(study, "loop")).engines == record(study, "loop")


def test_the_record_is_no_setting_and_a_damaged_one_is_reported(study, tmp_path):
    path = begun(study, tmp_path / "store.sqlite")
    with Store(path) as store:
        (overview,) = store.overviews()
        assert overview.study == study
        store.enter(study, engines={"other": "loop"})
        assert store.overviews()[0].hash == overview.hash
        with pytest.raises(UnreadableFile, match=r"Study 'one' in .* cannot be read \(its engines are damaged\)"):
            store._catalogue.engines({"specification": '{"engines": ["loop"]}'}, "one")


def test_a_store_is_read_without_pytorch(study, tmp_path):
    run_study(study, begun(study, tmp_path / "store.sqlite"), progress=False)
    source = """
import sys
from memspan import load_study
print([trial.engine for trial in load_study("store.sqlite", "one").trials][0], "torch" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{FORM} False\n"


def test_trials_of_another_engine_are_not_copied(study, tmp_path):
    path = begun(study, tmp_path / "store.sqlite")
    old = run_study(study, path, progress=False)
    new, heard = heard_in(study.with_(repetitions=5, name="new"), path, reuse=True)
    assert heard[0].copied == {"one": 8}
    assert {trial.engine for trial in new.trials} == {FORM}
    assert digests(old).items() <= digests(new).items()
    other = study.with_(name="other")
    with Store(path) as store:
        store.enter(other, engines=record(other, "loop"))
    found, heard = heard_in(other, path, reuse=True)
    assert heard[0].copied == {}
    assert {trial.engine for trial in found.trials} == {"loop"}


def test_searches_and_comparisons_record_it_too(package, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMED", 0)
    monkeypatch.setattr(
        module, "choose", lambda one, length, together, version: Choice(f"vmap-grad of {together}")
    )
    search = Search(cell=f"{package}:mine", **SMALL, groups=2, repetitions=2, budget=4, longest=20, name="span")
    path, heard = tmp_path / "store.sqlite", []
    found = run_search(search, path, progress=False, listen=heard.append)
    assert {trial.engine for trial in found.trials} == {"vmap-grad of 2"}
    assert [event.lines for event in heard if isinstance(event, Engines)] == [
        (Engine(f"{package}:mine", "vmap-grad of 2", ""),)
    ]
    monkeypatch.setattr(module, "choose", never)
    longer = run_search(search.with_(budget=12), path, progress=False)
    assert len(longer.trials) > len(found.trials)
    assert {trial.engine for trial in longer.trials} == {"vmap-grad of 2"}
    monkeypatch.setattr(module, "choose", lambda one, length, together, version: Choice("vmap-grad of 2"))
    settings = {"groups": 2, "repetitions": 2, "budget": 4, "longest": 20}
    both = compare(Comparison(cell=f"rnn,{package}:mine", **SMALL, **settings), path, progress=False)
    assert [{trial.engine for trial in one.trials} for one in both.results] == [{"compiled"}, {"vmap-grad of 2"}]


# --- the choice -----------------------------------------------------------------------------------------


def test_the_engines_that_work_are_timed_on_a_worker(package):
    one = Configuration(cell=f"{package}:mine", **SMALL, truncate=2)
    found = choose(one, 4, 3, __version__)
    assert found.engine in {"loop"} | {f"{name} of {n}" for name in ("vmap-grad", "vmap-forward") for n in (2, 3)}
    assert found.reason == ""


def test_where_no_other_engine_can_be_used_the_reason_is_said(package):
    found = choose(Configuration(cell=f"{package}:lstm", **SMALL), 4, 3, __version__)
    assert found.engine == "loop"
    assert "vmap-forward cannot be used (RuntimeError: Batching rule not implemented" in found.reason
    said = remark_on(Engines((Engine("a:b", *found), Engine("a:c", FORM, ""))))
    first, second = said.split("\n")
    assert first == f"a:b: loop; {found.reason}"
    assert second == f"a:c: {FORM}"


def test_what_cannot_be_timed_keeps_its_own_engine(package, monkeypatch):
    def broken(*of):
        raise MemoryError("no room")

    monkeypatch.setattr(module, "choose", broken)
    study = Study(cell=f"{package}:mine", **{**SMALL, "updates": 500}, lengths=(2, 3))
    (found,) = choose_engines([study], [{}], Alone(), Interrupts(), silent)
    assert [*found.values()] == [Choice("loop", "the others could not be timed (MemoryError: no room)")]


def test_a_worker_of_another_version_chooses_nothing(package, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "__version__", "0.0.0")
    study = Study(cell=f"{package}:mine", **{**SMALL, "updates": 500}, lengths=(2, 3))
    with pytest.raises(OtherVersion, match=r"The worker .* has memspan .*, the coordinator 0\.0\.0"):
        run_study(study, tmp_path / "store.sqlite", progress=False)
    assert not (tmp_path / "store.sqlite").exists()


@pytest.mark.parametrize(
    ("fields", "slots", "together"),
    [
        ({"repetitions": 8}, 1, 8),
        ({"repetitions": 100}, 1, 20),
        ({"repetitions": 8, "lengths": 4}, 4, 2),  # every slot has something to do
        ({"repetitions": 8, "lengths": 4}, 8, None),
        ({"repetitions": 8, "updates": 5}, 1, None),  # timing takes longer than the study
        ({"repetitions": 100, "lengths": (100, 200), "task": "recall/distractors"}, 1, 20),
    ],
)
def test_how_many_are_timed_together(package, monkeypatch, fields, slots, together):
    calls = []
    monkeypatch.setattr(module, "choose", lambda *of: (calls.append(of), Choice(FORM))[1])
    usual = {**SMALL, "updates": 500, "lengths": (2, 3), "cell": f"{package}:mine"}
    choose_engines([Study(**{**usual, **fields})], [{}], Wide(slots), Interrupts(), silent)
    assert [of[2] for of in calls] == [together] * (together is not None)
    assert all(2 <= of[1] <= 20 for of in calls)


def test_as_many_are_timed_together_as_memory_allows(package, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "choose", lambda *of: (calls.append(of), Choice(FORM))[1])
    large = {**SMALL, "hidden": 64, "batch": 512, "updates": 500}
    study = Study(cell=f"{package}:mine", **large, lengths=(2, 1000), repetitions=16)
    one = study.configuration
    room = module.USUAL_BASE + bytes_of(one, 1000, 4, (), 4)
    choose_engines([study], [{}], Wide(1, room), Interrupts(), silent)
    assert [of[2] for of in calls] == [4]
    with pytest.raises(TooLarge, match=r"^Training needs .* of memory"):
        choose_engines([study], [{}], Wide(1, 2**28), Interrupts(), silent)


def test_engines_are_named_by_their_cell_or_where_they_differ_by_the_workload(package):
    study = Study(cell=f"rnn,{package}:mine", hidden="4,8", seed="1,2")
    workloads = [recorded(dict.fromkeys([*record(study)], FORM), one) for one in study.configurations]
    assert workloads == [None] * 4 + [FORM] * 4
    assert engines_event(study.configurations, workloads, []).lines == (Engine(f"{package}:mine", FORM, ""),)
    names = [None] * 4 + [FORM, FORM, "loop", "loop"]
    key = canonical(workload_of(study.configurations[-1]))
    found = engines_event(study.configurations, names, [{key: Choice("loop", "it is so")}])
    assert found.lines == (
        Engine(f"{package}:mine, hidden 4", FORM, ""),
        Engine(f"{package}:mine, hidden 8", "loop", "it is so"),
    )


# --- the plan -------------------------------------------------------------------------------------------


def test_groups_of_trials_fit_the_calls_of_their_engine(package):
    study = Study(cell=f"rnn,{package}:mine", **{**SMALL, "updates": 1}, lengths=3, repetitions=12)
    plan = make_plan(study, study.keys, Wide(2), Interrupts(), [None, "vmap-grad of 5"])
    widths = [[len(group) for group in plan.groups if group[0].configuration == place] for place in (0, 1)]
    assert widths == [[3, 3, 3, 3], [5, 5, 2]]
    keys = [Key(place, 3, k) for place in (0, 1) for k in range(12)]
    groups = groups_in_room(study.configurations, keys, Wide(6), [None, "vmap-grad of 5"])
    assert [len(group) for group in groups] == [2] * 6 + [5, 5, 2]


def test_the_estimate_of_memory_covers_all_networks_of_a_call(package):
    """At least twice what PyTorch keeps of a call for the way back."""
    configuration = Configuration(cell=f"{package}:mine", hidden=16, batch=32)
    ensemble = prepared(configuration, 20, range(5), "vmap-forward of 5")
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ensemble.fit(1, final_batches=1, progress=False)
    assert 2 * sum(saved.values()) < bytes_of(configuration, 20, 5, (), 5) < 2**26
    assert bytes_of(configuration, 20, 5) < bytes_of(configuration, 20, 5, (), 5)


def test_a_dry_run_writes_nothing(study, tmp_path):
    with StudyRun(study, tmp_path / "store.sqlite") as running:
        assert running.plan().trials == 8
    assert not (tmp_path / "store.sqlite").exists()


def test_json_has_the_engines(study, tmp_path, capsys):
    run_study(study, begun(study, tmp_path / "store.sqlite"), progress="json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line["engines"] for line in lines if line["event"] == "engines"]
    assert told == [[{"label": study.cell, "name": FORM, "reason": ""}]]
