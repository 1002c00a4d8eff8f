from types import SimpleNamespace

import numpy as np
import pytest

from memspan import FitResult, Learner, Network, Outcome
from memspan.engines.compiled import CompiledEngine
from memspan.reproduce import Options, hs97
from memspan.reproduce.hs97 import ADDING, ORDER, Run, Watched, learn


class Scripted:
    """Stands for a learner whose errors are known."""

    def __init__(self, errors, loss):
        self.errors, self.seen_by, self.updates = errors, loss, 0
        self.history = SimpleNamespace(loss=[])

    def fit(self, updates, *, observe, **options):
        for error in self.errors[:updates]:
            self.seen_by.largest.append(error)
            self.history.loss.append(error**2)
            self.updates += 1
            if observe(self) is True:
                break
        self.seen_by.largest.append(99.0)  # an evaluation at the end, which is not training
        return FitResult(Outcome.UNSOLVED, self.updates)


def stopped(errors, monkeypatch, tolerance=0.1, error=1.0, most=10**6):
    monkeypatch.setattr(hs97, "WITHOUT_MISTAKE", 5)
    loss = Watched()
    run = Run("adding/hs97", 0.5, (0.0,) * 4, error, most, (0,))
    learner = Scripted(errors, loss)
    found = hs97._train(learner, loss, tolerance, run)
    assert found in (None, learner.updates)  # the weights that are tested are those of that sequence
    return found


def test_training_stops_after_so_many_sequences_without_a_mistake(monkeypatch):
    right, wrong = 0.05, 0.5
    assert stopped([right] * 9, monkeypatch) == 5
    assert stopped([wrong, *[right] * 9], monkeypatch) == 6
    assert stopped([right] * 4 + [wrong] + [right] * 9, monkeypatch) == 10
    assert stopped([right, wrong] * 50, monkeypatch, most=80) is None


def test_the_training_error_must_be_small_as_well(monkeypatch):
    assert stopped([0.09] * 7 + [0.01] * 9, monkeypatch, error=0.002) == 11


def test_a_network_that_diverges_has_failed(monkeypatch):
    assert stopped([0.5] * 3, monkeypatch) is None


def test_the_largest_error_is_seen_by_the_engine():
    """A kernel with the loss inside would leave nothing to see."""
    network = Network("lstm-1997", 2, 3, 1, output_steps=2, dtype="float32", rng=0)
    loss = Watched()
    engine = CompiledEngine(network.layout, network.dtype, loss, output_steps=2)
    x = np.ones((4, 1, 2), np.float32)
    y = np.array([[[np.nan]], [[0.5]]], np.float32)
    (value,), _, _ = engine.differentiate(network.parameters[np.newaxis], [(x, y)])
    (largest,) = loss.largest
    answer = network.forward(x)[1, 0, 0]
    assert largest == pytest.approx(abs(answer - 0.5), rel=1e-5)
    assert value == pytest.approx(largest**2, rel=1e-5)


def test_findings_agree_with_the_paper_or_say_that_they_do_not():
    published = ORDER.run
    counts = np.linspace(20_000, 42_780, 20).astype(int).tolist()
    good = published.findings([(count, 1) for count in counts])
    assert [finding.agrees for finding in good] == [True] * 3
    bad = published.findings([(3 * count, 9) for count in counts[:-1]] + [(None, 2000)])
    assert [finding.agrees for finding in bad] == [False] * 3
    assert bad[0].ours == "19 of 20 trials"
    few = published.findings([(31_390 + k, 1) for k in range(-3, 4)] + [(None, 2560)] * 13)
    assert [finding.agrees for finding in few] == [False, False, True]  # those that failed would have needed more
    (nothing,) = published.findings([(None, 2000)] * 20)
    assert not nothing.agrees


@pytest.mark.slow
def test_no_sequence_is_trained_after_the_criterion_is_met(monkeypatch):
    """With a criterion that is easily met, and the real learner."""
    monkeypatch.setattr(hs97, "WITHOUT_MISTAKE", 3)
    trained = []
    fit = Learner.fit

    def watched(self, *arguments, **options):
        outcome = fit(self, *arguments, **options)
        trained.append((self.updates, len(self.history.loss), self.loss.largest[:-1]))
        return outcome

    monkeypatch.setattr(Learner, "fit", watched)
    success, _ = learn(Run("latch/3a", 1.0, (-1.0, -3.0, -5.0, -5.0), 1.0, 3000, (0, 1)))
    ((updates, losses, largest),) = trained
    assert success == updates == losses
    right = np.array(largest[:updates]) < 0.2
    assert right[-3:].all()
    assert not any(right[k : k + 3].all() for k in range(updates - 3))


@pytest.mark.slow
def test_a_run_gives_up_and_is_a_function_of_its_seed():
    run = Run("order/hs97-2", 0.5, (-2.0, -2.0, -4.0, -4.0), 0.1, 1500, (0, 3))
    assert learn(run) == learn(run)
    success, wrong = learn(run)
    assert success is None
    assert 1000 < wrong <= hs97.TEST


def test_settings_are_those_of_the_paper():
    for reproduction, trials, sequences in ((ADDING, 10, 74_000), (ORDER, 20, 31_390)):
        assert (reproduction.run.trials, reproduction.run.sequences) == (trials, sequences)
        assert reproduction.shortened == ""
    assert Options() == Options(full=False, workers=1, seed=0, progress="auto")
