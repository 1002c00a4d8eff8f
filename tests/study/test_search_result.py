"""The paths of searches through trials that are made by hand, and what a search has found."""

import random

import pytest

from memspan import InvalidArgument, Search, SearchResult
from memspan.span import estimate_span
from memspan.study.search_result import Paths, answer_of
from memspan.study.study import Key

SEARCH = Search(hidden=4, updates=50, groups=2, repetitions=4, budget="48", width=0.05, longest=64, name="mine")


@pytest.fixture
def train(make_trial):
    """The trial of a key: up to 10 steps are solved, beyond 20 none, and in between every other repetition."""

    def trial(key, **fields):
        solved = key.length <= 10 or (key.length <= 20 and key.repetition % 2)
        place = {"configuration": key.configuration, "updates": 10 + key.repetition}
        return make_trial(key.length, key.repetition, "solved" if solved else "unsolved", **place, **fields)

    return trial


@pytest.fixture
def finished(train):
    """A search that has ended, and its trials."""
    paths, trials = Paths([SEARCH]), []
    while keys := paths.missing():
        round_of = [train(key) for key in keys]
        trials += round_of
        paths.add(round_of)
    return paths.paths[0], trials


def state(path):
    return path.rounds, path.estimate, path.trainings, path.steps, path.counts, path.ended


def test_a_round_asks_for_keys_with_the_longest_first():
    keys = Paths([SEARCH, SEARCH.with_(cell="gru", first_length=6)]).missing()
    assert keys == sorted(keys, key=lambda key: (-key.length, key))
    assert {key.configuration for key in keys} == {0, 1}
    assert len(set(keys)) == len(keys) == 2 * 2 * 4
    assert min(key.length for key in keys if key.configuration == 1) == 6


def test_a_path_ends_and_has_counted_everything(finished):
    path, trials = finished
    assert path.ended
    assert 0 < path.trainings == len(trials) <= 48
    assert len({trial.key for trial in trials}) == len(trials)
    assert path.steps == sum(trial.updates * trial.length for trial in trials)
    lengths = sorted({trial.length for trial in trials})
    counts = [[trial.outcome == "solved" for trial in trials if trial.length == length] for length in lengths]
    assert dict(path.counts) == {n: (sum(solved), len(solved)) for n, solved in zip(lengths, counts, strict=True)}


@pytest.mark.parametrize("seed", range(5))
def test_a_path_is_a_function_of_its_trials_and_not_of_their_order(finished, seed):
    path, trials = finished
    rng = random.Random(seed)
    mixed = rng.sample(trials, len(trials))
    again = Paths([SEARCH])
    while mixed:
        part = [mixed.pop() for _ in range(min(len(mixed), rng.randint(1, 7)))]
        again.add(part)
        again.add(part)  # twice does no harm
    assert state(again.paths[0]) == state(path)
    assert again.missing() == []


def test_an_incomplete_round_is_asked_for_the_rest(train):
    paths = Paths([SEARCH])
    keys = paths.missing()
    paths.add([train(key) for key in keys[:3]])
    assert paths.missing() == keys[3:]
    assert paths.paths[0].rounds == ()
    paths.add([train(key) for key in keys[3:]])
    assert len(paths.paths[0].rounds) == 1
    assert not set(paths.missing()) & set(keys)


def test_searches_go_on_on_their_own(train):
    """The path of a search does not depend on the searches beside it."""
    searches = [SEARCH, SEARCH.with_(cell="gru", first_length=2, repetitions=3), SEARCH.with_(budget="16")]

    def ended(some):
        paths = Paths(some)
        while keys := paths.missing():
            paths.add([train(key) for key in keys])
        return [state(path) for path in paths.paths]

    assert ended(searches) == [ended([search])[0] for search in searches]


def test_a_failed_trial_is_no_answer_but_costs_what_it_cost(train, make_trial):
    one = SEARCH.configuration
    assert answer_of(make_trial(3, 1, "failed"), one) == (3, 1, None, 0)
    assert answer_of(make_trial(3, 1, "solved", updates=7), one) == (3, 1, True, 21)
    assert answer_of(make_trial(3, 2, "diverged", updates=2), one) == (3, 2, False, 6)
    paths = Paths([SEARCH])
    keys = paths.missing()
    failed = make_trial(keys[0].length, keys[0].repetition, "failed")
    paths.add([failed, *(train(key) for key in keys[1:])])
    path = paths.paths[0]
    assert (path.trainings, sum(count for _, count in path.counts.values())) == (8, 7)


def test_steps_are_those_of_a_sequence(make_trial):
    copying = Search(task="copying/urnn", task_parameters={"items": 2}).configuration
    assert copying.make_task().shape(5).steps == 9
    assert answer_of(make_trial(5, 0, updates=3), copying).steps == 27


# --- the result -----------------------------------------------------------------------------------------


def test_the_result_has_the_trials_of_the_path_and_no_others(finished, train):
    path, trials = finished
    strangers = [train(Key(0, 63, 0)), train(Key(0, trials[0].length, 999))]
    result = SearchResult.found(SEARCH, [*trials[::-1], *strangers])
    assert result.trials == tuple(sorted(trials, key=lambda trial: trial.key))
    assert state(result.path) == state(path)
    assert result.complete
    assert result.estimate == path.estimate
    assert result.sentence == f"{path.estimate}."
    assert result.steps_trained == path.steps
    assert result.done == len(trials)
    assert result.study.lengths == tuple(sorted({trial.length for trial in trials}))
    assert result.study.configuration == SEARCH.configuration
    assert result.parts == [result]
    assert result.search == SEARCH


def test_the_estimate_is_that_of_the_counts(finished):
    path, trials = finished
    rows = SearchResult.found(SEARCH, trials).summaries()
    counts = [row.length for row in rows], [row.share.solved for row in rows], [row.share.trials for row in rows]
    assert path.estimate == estimate_span(*counts, SEARCH.share, SEARCH.level)
    assert SearchResult.found(SEARCH, trials).span(0.9) == estimate_span(*counts, 0.9)


def test_a_search_that_has_not_ended_says_so(train):
    keys = Paths([SEARCH]).missing()
    result = SearchResult.found(SEARCH, [train(key) for key in keys])
    assert (result.complete, result.done) == (False, len(keys))
    assert result.sentence == f"So far: {result.estimate}."
    begun = SearchResult.found(SEARCH, [train(key) for key in keys[1:]])
    for nothing in (begun, SearchResult.found(SEARCH, [])):
        assert (nothing.trials, nothing.done, nothing.estimate, nothing.complete) == ((), 0, None, False)
        assert nothing.sentence == "No round has ended, so there is no answer yet."
        assert nothing.summaries() == []
        assert f"{nothing.table()}"


def test_where_every_training_failed_there_is_no_answer(make_trial):
    paths, trials = Paths([SEARCH]), []
    while keys := paths.missing():
        failed = [make_trial(key.length, key.repetition, "failed") for key in keys]
        trials += failed
        paths.add(failed)
    result = SearchResult.found(SEARCH, trials)
    assert (result.complete, result.estimate, result.span()) == (True, None, None)
    assert result.sentence == "No training has run to its end, so there is no answer yet."
    assert result.failures == ["MemoryError: no room"]
    assert f"{result.table()}"


def test_a_result_is_short_in_a_prompt(finished):
    text = repr(SearchResult.found(SEARCH, finished[1]))
    assert text.startswith("<SearchResult 'mine' of rnn, 4 hidden, ")
    assert text.endswith(f": {finished[0].estimate}.>")
    assert len(text) < 250


def test_records_are_those_of_its_trials(finished):
    result = SearchResult.found(SEARCH, finished[1])
    assert [(row["length"], row["repetition"]) for row in result.records()] == [
        (trial.length, trial.repetition) for trial in result.trials
    ]


@pytest.mark.parametrize("share", [0, 1, "half"])
def test_the_share_of_another_span_is_checked(finished, share):
    with pytest.raises(InvalidArgument, match=r"^share must be "):
        SearchResult.found(SEARCH, finished[1]).span(share)
