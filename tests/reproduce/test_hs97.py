import numpy as np
import pytest

from memspan import FitResult, Learner, Network, Outcome
from memspan.engines.compiled import CompiledEngine
from memspan.reproduce import Options, Verdict, learning_1997
from memspan.reproduce.hs97 import ADDING, EXPERIMENT_4, EXPERIMENT_6A, ORDER, _findings, _weights
from memspan.reproduce.learning_1997 import (
    TEST,
    Criterion,
    Experiment,
    Trial,
    Watched,
    at_end,
    learn_as_in_paper,
    learn_with_cell,
)
from memspan.tasks import get_task


def stopped(monkeypatch, errors, tolerance=0.1, error=1.0):
    """Return the number of errors after which the criterion is met, or None."""
    monkeypatch.setattr(learning_1997, "WITHOUT_MISTAKE", 5)
    criterion = Criterion(tolerance, error)
    return next((k for k, one in enumerate(errors, 1) if criterion.met(np.atleast_1d(one))), None)


def test_training_stops_after_so_many_sequences_without_a_mistake(monkeypatch):
    right, wrong = 0.05, 0.5
    assert stopped(monkeypatch, [right] * 9) == 5
    assert stopped(monkeypatch, [wrong, *[right] * 9]) == 6
    assert stopped(monkeypatch, [right] * 4 + [wrong] + [right] * 9) == 10
    assert stopped(monkeypatch, [right, wrong] * 50) is None


def test_one_wrong_output_of_several_is_a_mistake(monkeypatch):
    assert stopped(monkeypatch, [[0.05, 0.05]] * 4 + [[0.0, 0.2]] + [[0.05, 0.05]] * 9) == 10


def test_the_mean_absolute_error_must_be_small_as_well(monkeypatch):
    """The mean squared error would suffice: all answers are within 0.04, and 0.03² is far below 0.01."""
    assert stopped(monkeypatch, [0.03] * 50, tolerance=0.04, error=0.01) is None
    assert stopped(monkeypatch, [0.03] * 7 + [0.001] * 9, tolerance=0.04, error=0.01) == 11  # (3 + 0.4) / 5 < 1


class Scripted:
    """A stand-in for a learner, with prescribed errors."""

    def __init__(self, errors, loss):
        self.errors, self.seen_by, self.updates = errors, loss, 0

    def fit(self, updates, *, observe, **options):
        for error in self.errors[:updates]:
            self.seen_by.errors = np.array([error])
            self.updates += 1
            if observe(self) is True:
                break
        self.seen_by.errors = np.array([99.0])  # the final evaluation must not count as training
        return FitResult(Outcome.UNSOLVED, self.updates)


@pytest.mark.parametrize(("errors", "expected"), [([0.01] * 9, 5), ([0.5] * 3, None), ([0.01] * 4, None)])
def test_the_cell_is_trained_to_the_sequence_that_meets_it(monkeypatch, errors, expected):
    monkeypatch.setattr(learning_1997, "WITHOUT_MISTAKE", 5)
    loss = Watched()
    learner = Scripted(errors, loss)
    assert learning_1997._train(learner, loss, Criterion(0.1, 1.0), 10**6) == expected
    assert expected in (None, learner.updates)  # training went no further, so these weights are tested


def test_the_errors_are_seen_by_the_engine():
    """A kernel with a compiled loss would not call `forward`, and `errors` would stay empty."""
    network = Network("lstm-1997", 2, 3, 1, output_steps=2, dtype="float32", rng=0)
    loss = Watched()
    engine = CompiledEngine(network.layout, network.dtype, loss, output_steps=2)
    x = np.ones((4, 1, 2), np.float32)
    y = np.array([[[np.nan]], [[0.5]]], np.float32)
    (value,), _, _ = engine.differentiate(network.parameters[np.newaxis], [(x, y)])
    answer = network.forward(x)[1, 0, 0]
    assert loss.errors == pytest.approx([abs(answer - 0.5)], rel=1e-5)
    assert value == pytest.approx(loss.errors[0] ** 2, rel=1e-5)


@pytest.mark.parametrize("name", ["adding/hs97", "order/hs97-2"])
def test_each_sequence_is_read_to_its_own_end(name):
    task = get_task(name)
    batch = task.sample(100, 40, np.random.default_rng(0))
    lengths = []
    for k, (x, y) in enumerate(at_end(task, batch)):
        lengths.append(len(x))
        np.testing.assert_array_equal(x, batch.x[: len(x), k])
        assert not batch.x[len(x) :, k].any()
        np.testing.assert_array_equal(batch.y[len(x) - 100, k], y)
        assert np.isfinite(y).all()
        assert x[-1].any()
    assert 100 <= min(lengths) < max(lengths) <= 110


def findings(trials, network="it"):
    return _findings(EXPERIMENT_6A, network, [Trial(*trial) for trial in trials])


def verdicts(found):
    return [finding.verdict for finding in found]


AGREES, DIFFERS, UNDECIDED = Verdict.AGREES, Verdict.DIFFERS, Verdict.UNDECIDED


def test_findings_agree_with_the_paper_or_say_that_they_do_not():
    counts = np.linspace(20_000, 42_780, 20).astype(int).tolist()
    assert verdicts(findings([(count, 1, 0.02) for count in counts])) == [AGREES] * 4
    bad = findings([(3 * count, 9, 0.2) for count in counts[:-1]] + [(None, 2000, 0.4)])
    assert verdicts(bad) == [DIFFERS] * 4
    assert bad[0].ours == "19 of 20, within 313,900 sequences"
    few = findings([(31_390 + k, 1, 0.02) for k in range(-3, 4)] + [(None, 2560, 0.5)] * 13)
    assert verdicts(few) == [
        DIFFERS,
        DIFFERS,
        AGREES,
        AGREES,
    ]  # the failed trials would have needed more sequences
    one = findings([(31_390 + 100 * k, 1, 0.02) for k in range(-9, 10)] + [(None, 2560, 0.5)])
    assert verdicts(one) == [DIFFERS, UNDECIDED, AGREES, AGREES]  # the mean is only a lower bound
    assert one[1].ours.startswith("at least 45,516 ± ")
    assert one[1].rule.startswith("all trials meet the criterion and the paper's mean lies in ")
    assert one[1].ours.endswith("; 31,390 for the 19 that met it")
    assert verdicts(findings([(None, 2000, 0.5)] * 20)) == [DIFFERS]


def test_a_count_that_a_spread_of_the_paper_could_explain_cannot_be_told():
    counts = np.linspace(24_000, 31_000, 20).astype(int).tolist()
    assert verdicts(findings([(count, 1, 0.02) for count in counts]))[1] is UNDECIDED


@pytest.mark.parametrize(("wrong", "agrees"), [((1, 1), True), ((0, 3), False), ((1, 3), False), ((0, 4), False)])
def test_wrong_answers_are_held_to_the_papers_one(wrong, agrees):
    trials = [(27_000 + 500 * k, wrong[k % 2], 0.02) for k in range(20)]
    assert findings(trials)[2].verdict is Verdict.of(agrees)


def test_three_wrong_on_one_occasion_are_as_in_the_paper():
    trials = [(27_000 + 500 * k, 3 if k == 0 else 1, 0.02) for k in range(20)]
    assert findings(trials)[2].verdict is AGREES


def test_the_error_of_the_test_is_judged_in_every_trial():
    trials = [(27_000 + 500 * k, 1, 0.11 if k == 5 else 0.02) for k in range(20)]
    assert verdicts(findings(trials)) == [AGREES, AGREES, AGREES, DIFFERS]


EASY = Experiment("latch/3a", 1.0, (-1.0, -3.0), 1.0, 2, 150)


@pytest.mark.slow
def test_no_sequence_is_trained_after_the_criterion_is_met(monkeypatch):
    """Use the real learner and a criterion that is easily met."""
    monkeypatch.setattr(learning_1997, "WITHOUT_MISTAKE", 3)
    monkeypatch.setattr(Experiment, "most", property(lambda self: 3000))
    trained = []
    fit = Learner.fit

    def watched(self, *arguments, **options):
        outcome = fit(self, *arguments, **options)
        trained.append(self)
        return outcome

    monkeypatch.setattr(Learner, "fit", watched)
    success, _, _ = learn_with_cell((EASY, (0, 1)))
    ((learner),) = trained
    assert success == learner.updates == len(learner.history.loss)
    right = np.sqrt(learner.history.loss) < 0.2
    assert right[-3:].all()
    assert not any(right[k : k + 3].all() for k in range(len(right) - 3))


@pytest.mark.slow
@pytest.mark.parametrize("learn", [learn_as_in_paper, learn_with_cell])
def test_a_trial_gives_up_and_is_a_function_of_its_seed(learn, monkeypatch):
    monkeypatch.setattr(Experiment, "most", property(lambda self: 1500))
    argument = (EXPERIMENT_6A, (0, 3))
    assert learn(argument) == learn(argument)
    success, wrong, error = learn(argument)
    assert success is None
    assert 1000 < wrong <= TEST
    assert 0.1 < error < 0.6


def test_networks_have_the_weights_that_are_said():
    assert (_weights(EXPERIMENT_4), _weights(EXPERIMENT_6A)) == ((93, 89), (156, 176))


def test_settings_are_those_of_the_paper():
    for reproduction, experiment, trials, sequences in (
        (ADDING, EXPERIMENT_4, 10, 74_000),
        (ORDER, EXPERIMENT_6A, 20, 31_390),
    ):
        assert (experiment.trials, experiment.sequences) == (trials, sequences)
        assert reproduction.shortened == ""
    assert Options() == Options(full=False, workers=1, seed=0, progress="auto")
