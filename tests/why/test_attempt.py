import json

import pytest

from memspan import InvalidArgument, Study, estimate_span, find_span, run_study, try_remedies
from memspan.span import SolvedShare
from memspan.store import Store
from memspan.why.attempt import LEAST, limit_of, measure

SMALL = {"hidden": 16, "updates": 400, "evaluation_samples": 100, "final_batches": 4}
MOMENTUM = SMALL | {"optimizer": "momentum", "learning_rate": 0.03}
WEAK = MOMENTUM | {"recurrent_gain": 0.3}


def test_a_remedy_lifts_the_share_of_a_single_length():
    result = run_study(Study(**WEAK, lengths=6, repetitions=3), progress=False)
    told = []
    first, *_ = found = try_remedies(result, rounds=2, progress=False, tell=told.append)
    assert found == told
    assert first.explained.verdict == "vanishing"
    assert first.remedy.after == {"init": "critical", "recurrent_gain": 1.0}
    assert (first.before.solved, first.before.trials) == (0, 3)
    assert first.after.trials == LEAST
    assert first.after.solved >= LEAST / 2
    assert first.better
    assert first.result.study.configuration.init == "critical"
    assert len(found) == 1  # half solve it, so nothing is left to explain
    numbers = json.loads(json.dumps(first.numbers(), allow_nan=False))
    assert numbers["measure"] == "share"
    assert numbers["after"] == {"share": first.after.share, "low": first.after.low, "high": first.after.high}
    assert numbers["kept"] is True
    assert "0 of 3 [" in str(first)


@pytest.mark.slow
def test_a_remedy_lifts_a_span_and_the_next_round_explains_what_limits_then(tmp_path):
    store = tmp_path / "store.sqlite"
    weak = WEAK | {"updates": 150}
    result = run_study(Study(**weak, lengths=[2, 3, 6], repetitions=3), store, progress=False)
    how = {"rounds": 2, "budget": "40", "longest": 40, "store": store, "progress": False}
    found = try_remedies(result, **how)
    assert [one.number for one in found] == [1, 2]
    first, second = found
    assert first.explained.length == limit_of(result)
    assert first.before == result.estimate
    assert first.better
    assert first.after.span > first.before.span
    assert second.before == first.after
    assert second.explained.configuration.init == "critical"
    assert second.explained.length == limit_of(first.result)
    with Store(store) as opened:  # so that the same command trains nothing again
        assert len(opened.names()) == 3
    again = try_remedies(result, **how)
    assert [one.numbers() for one in again] == [one.numbers() for one in found]


def test_a_remedy_that_does_not_help_is_not_kept_and_the_next_is_tried():
    # Nothing is learned within ten updates, and twice or four times as many do not help either.
    hopeless = MOMENTUM | {"updates": 10, "optimizer": "adam", "learning_rate": 1e-5, "recurrent_gain": 0.2}
    result = run_study(Study(**hopeless, lengths=8, repetitions=2), progress=False)
    first, second = try_remedies(result, rounds=2, progress=False)
    assert not first.better
    assert not second.better
    assert first.explained is second.explained
    assert first.remedy != second.remedy
    assert second.before == first.before
    assert "not kept" in str(first)


@pytest.mark.slow
def test_a_search_goes_on_with_its_own_settings():
    few = {"budget": "16", "repetitions": 2, "groups": 2, "first_length": 3, "longest": 12}
    search = find_span(Study(**WEAK).configuration, **few, progress=False)
    (found,) = try_remedies(search, rounds=1, progress=False)
    assert found.result.search.path() == search.search.path()
    assert found.result.search.budget == "16"


def test_nothing_is_tried_where_every_length_is_solved_or_nothing_helps():
    easy = run_study(Study(**SMALL, lengths=2, repetitions=2), progress=False)
    assert try_remedies(easy, progress=False) == []
    parity = run_study(Study(**MOMENTUM, task="parity", lengths=9, repetitions=2), progress=False)
    assert try_remedies(parity, progress=False) == []


def test_the_limit_is_the_shortest_length_beyond_the_span():
    result = run_study(Study(**SMALL | {"updates": 1}, lengths=[2, 3, 5], repetitions=1), progress=False)
    assert limit_of(result) == 2


def test_measures_in_words():
    assert measure(None) == "unknown"
    assert measure(SolvedShare.of(2, 8)) == "2 of 8 [0.07, 0.59]"
    assert measure(estimate_span([5, 20], [8, 0], 8)).count("[") == 1


def test_several_configurations_are_refused():
    study = Study(**SMALL | {"updates": 1}, lengths=2, repetitions=1, seed=[0, 1])
    with pytest.raises(InvalidArgument, match="of one configuration"):
        try_remedies(run_study(study, progress=False), progress=False)
    with pytest.raises(InvalidArgument, match="rounds"):
        try_remedies(run_study(study.only(0), progress=False), rounds=0)
