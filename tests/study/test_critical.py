import csv
import math

import numpy as np
import pytest

from memspan import (
    CELLS,
    GRU,
    LSTM,
    RNN,
    Comparison,
    Configuration,
    InvalidArgument,
    Network,
    Search,
    Store,
    Study,
    Twins,
    find_span,
    get_task,
    label_signal,
    run_study,
)
from memspan.cells.initializers import CRITICAL
from memspan.store.export import export
from memspan.study import configuration, critical
from memspan.study.critical import critical_gain
from memspan.study.group import run_group, untrained

SMALL = Configuration(init=CRITICAL, hidden=8, updates=20, evaluation_samples=50, final_batches=2)


def by(monkeypatch, curve):
    """Let the critical gain come from a curve of ln P instead of networks."""
    monkeypatch.setattr(critical.Signals, "log_power", staticmethod(curve))
    monkeypatch.setattr(critical.Signals, "shown", staticmethod(lambda factor: True))


def scanned(cell, length, gains, networks=5, pairs=1024):
    """Scan ln P by the label signal itself, with other networks and many more sequences."""
    twins = Twins.of(get_task("recall"), length, pairs, 123, 2)
    found = np.zeros((networks, len(gains)))
    for k, row in enumerate(found):
        for place, gain in enumerate(gains):
            network = Network(cell, 1, 32, 1, recurrent_gain=gain, rng=np.random.SeedSequence(77, spawn_key=(k,)))
            row[place] = label_signal(network, twins).power[-1]
    return np.log(found.mean(axis=0))


def test_the_tanh_network_is_a_little_above_the_gain_at_which_perturbations_neither_grow_nor_shrink():
    variance = 32 * 0.2**2 / 3  # of R's elements times H, at gain 1
    for length in (30, 60):
        gain = Configuration(init=CRITICAL).critical_gain(length)
        assert 0.9 < variance * gain**2 < 2.5


@pytest.mark.parametrize(("cell", "length"), [("rnn", 30), ("gru", 20), ("lstm", 20)])
def test_the_signal_is_nearly_the_largest_and_much_larger_than_at_the_default_gain(cell, length):
    gain = Configuration(cell=cell, init=CRITICAL).critical_gain(length)
    gains = [1.0, *np.geomspace(0.5, 16, 11), gain]
    default, *others, chosen = scanned(cell, length, gains)
    assert chosen > max(others) - math.log(2)  # other networks, and the top is flat
    assert chosen > default + math.log(100)


def test_it_is_the_smallest_gain_with_its_share_of_the_largest_power(monkeypatch):
    """Instead of a network, a curve with a known maximum: ln P = 3 - 8 ln²(g / 3)."""
    curve = lambda factor: 3 - 8 * math.log(factor / 3) ** 2  # noqa: E731
    by(monkeypatch, curve)
    found = critical.critical_gain(CELLS["rnn"], get_task("recall"), 7, 32)
    expected = 3 * math.exp(-math.sqrt(-math.log(critical.SHARE) / 8))
    assert found == pytest.approx(expected, rel=0.04)
    assert curve(found) == pytest.approx(3 + math.log(critical.SHARE), abs=0.1)


def test_a_signal_without_a_maximum_counts_up_to_the_number_of_units(monkeypatch):
    by(monkeypatch, (lambda factor: 40 * math.log(factor)))
    found = critical.critical_gain(CELLS["rnn"], get_task("recall"), 7, 32)
    assert found == pytest.approx((0.8 * 32) ** (1 / 40), rel=1e-2)
    assert 1 < Configuration(cell="rnn-linear", init=CRITICAL, hidden=8).critical_gain(20) < 5


def test_a_signal_at_the_first_gain_and_one_that_begins_suddenly(monkeypatch):
    by(monkeypatch, (lambda factor: -factor))
    assert critical.critical_gain(CELLS["rnn"], get_task("recall"), 7, 32) == critical.GAINS[0]
    sudden = lambda factor: -1.0 if factor > 2.1 else -math.inf  # noqa: E731
    by(monkeypatch, sudden)
    assert 2.1 < critical.critical_gain(CELLS["rnn"], get_task("recall"), 7, 32) < 2.4


def test_a_label_that_no_gain_shows_is_refused(monkeypatch):
    by(monkeypatch, (lambda factor: -math.inf))
    with pytest.raises(InvalidArgument) as caught:
        critical.critical_gain(CELLS["rnn"], get_task("recall"), 7, 32)
    assert str(caught.value) == (
        "init must be another than critical for recall at length 7, got 'critical', because the last state of an "
        "untrained rnn does not show the label, with any gain of R"
    )


def test_noise_of_a_chaotic_network_does_not_count():
    signals = critical.Signals(CELLS["rnn"], get_task("recall"), 200, 32)
    assert signals.log_power(16.0) < signals.log_power(2.0) - 1


def test_the_gain_depends_on_the_length_the_size_and_the_seed_and_not_on_the_repetition():
    assert len({SMALL.critical_gain(length) for length in (3, 6, 12)}) > 1
    assert SMALL.with_(hidden=16).critical_gain(6) != SMALL.critical_gain(6)
    assert SMALL.with_(seed=1).critical_gain(6) != SMALL.critical_gain(6)
    again = SMALL.critical_gain(6)
    configuration._critical_gain.cache_clear()
    assert SMALL.critical_gain(6) == again
    assert {trial.critical_gain for trial in run_group(SMALL, 6, [0, 5])} == {again}
    assert float(f"{again:.3g}") == again


def test_the_weights_are_those_of_the_cells_default_with_another_r():
    usual = SMALL.with_(init=None)
    first, second = (untrained(one, 6, 0)[0] for one in (SMALL, usual))
    np.testing.assert_allclose(first.R, SMALL.critical_gain(6) * second.R, rtol=1e-6)
    for name in ("W", "bs", "V", "by"):
        assert (getattr(first, name) == getattr(second, name)).all()
    doubled = untrained(SMALL.with_(recurrent_gain=2), 6, 0)[0]
    np.testing.assert_allclose(doubled.R, 2 * first.R, rtol=1e-6)


def test_only_critical_has_a_gain_and_only_its_trials_keep_one():
    assert Configuration().critical_gain(10) is None
    (trial,) = run_group(SMALL.with_(init="glorot"), 4, [0])
    assert trial.critical_gain is None


def test_every_cell_with_r_takes_it_and_every_other_refuses():
    for cell in CELLS.values():
        for kind in (Configuration, Study, Search, Comparison):
            fields = {"cell": cell.name, "init": CRITICAL}
            if kind is Comparison:
                fields["cell"] = list(dict.fromkeys((cell.name, "gru")))
                fields["hidden"] = (8, 9)
            if cell.recurrent_gates:
                assert kind(**fields).init == CRITICAL
                continue
            with pytest.raises(InvalidArgument) as caught:
                kind(**fields)
            assert f"init must be another than critical for the cell {cell.name}, which has no R" in str(
                caught.value
            )


def test_a_network_alone_refuses_it_with_the_reason():
    for make in (
        lambda: Network("gru", 1, 4, 1, init=CRITICAL),
        *(lambda kind=kind: kind(1, 4, 1, init=CRITICAL) for kind in (RNN, LSTM, GRU)),
    ):
        with pytest.raises(
            InvalidArgument, match="the critical gain depends on the task and the length"
        ) as caught:
            make()
        assert caught.value.name == "init"


@pytest.mark.parametrize("task", ["order/hs97-2", "memory-capacity"])
def test_tasks_with_classes_or_several_answers(task):
    length = max(get_task(task).least_length, 20)
    assert 1 < critical_gain(CELLS["rnn"], get_task(task), length, 16) < critical.GAINS[-1]


def test_a_label_that_no_single_input_says_anything_about_is_refused_before_training():
    with pytest.raises(InvalidArgument, match="init must be another than critical for parity at length 20"):
        Configuration(task="parity", init=CRITICAL, hidden=8).make_network(20, 0)


def test_a_study_and_a_search_keep_the_gain_and_resume(tmp_path):
    path = tmp_path / "store.sqlite"
    study = Study(**SMALL.model_dump(exclude_unset=True), lengths=(3, 6), repetitions=2, name="chosen")
    first = run_study(study.with_(repetitions=1), path, progress=False)
    both = run_study(study, path, progress=False)
    alone = [run_group(SMALL, length, [one])[0] for length in (3, 6) for one in (0, 1)]
    assert [trial.digest for trial in both.trials] == [trial.digest for trial in alone]
    assert [trial.digest for trial in both.trials[::2]] == [trial.digest for trial in first.trials]
    assert [trial.critical_gain for trial in both.trials] == [
        SMALL.critical_gain(length) for length in (3, 3, 6, 6)
    ]
    assert {"gain of R", f"{SMALL.critical_gain(6):g}"} <= {
        text.strip() for line in str(both.table()).splitlines() for text in line.split("┃" if "┃" in line else "│")
    }
    assert "critical init" in study.describe()
    found = find_span(SMALL, store=path, budget=16, repetitions=2, groups=2, progress=False)
    with Store(path) as store:
        (stored,) = [one for one in store.overviews() if one.name != "chosen"]
        trials = list(store.find(stored.name).trials())
        export(store.find("chosen"), tmp_path / "trials.csv")
    assert found.estimate.trainings == len(trials)
    assert all(trial.critical_gain == SMALL.critical_gain(trial.length) for trial in trials)
    with (tmp_path / "trials.csv").open() as file:
        assert [float(row["critical_gain"]) for row in csv.DictReader(file)] == [
            trial.critical_gain for trial in both.trials
        ]
