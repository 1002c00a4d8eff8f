import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import InvalidArgument, estimate_span
from memspan.span import Answer, Ended, Group, Likelihood, SpanSearch

UPDATES = 1000


def machine(span, slope=8.0, lapse=0.0, failing=0.0, seed=0):
    """Trainings whose results are functions of length and repetition, as they are in a study.

    `lapse` is the probability that a training fails to solve any length, `failing` that the machine fails.
    """

    def train(groups):
        answers = []
        for length, first, count in groups:
            p = (1 - lapse) / (1 + math.exp(min(slope * math.log(length / span), 700)))
            for repetition in range(first, first + count):
                luck, speed, health = np.random.default_rng([seed, length, repetition]).random(3)
                solved = bool(luck < p)
                updates = 1 + int(speed * 0.2 * UPDATES) if solved else UPDATES
                answers.append(Answer(length, repetition, None if health < failing else solved, updates * length))
        return answers

    return train


def cliff(last):
    """Every length up to `last` is solved, and no longer one."""
    return machine(last + 0.5, slope=1e4)


def followed(search, train, rounds=10**6):
    """The search, after some rounds or all."""
    while rounds and (groups := search.ask()):
        search.tell(train(groups))
        rounds -= 1
    return search


def asked(search):
    """The lengths of each round so far, each as often as it has groups."""
    return [
        [group.length for group in one.groups for _ in range(group.count // search.repetitions)]
        for one in search.rounds
    ]


SETTINGS = st.fixed_dictionaries(
    {
        "share": st.sampled_from([0.5, 0.8]),
        "budget": st.integers(1, 60),
        "groups": st.integers(1, 5),
        "repetitions": st.integers(1, 5),
        "start": st.integers(1, 60),
        "shortest": st.integers(1, 12),
        "longest": st.integers(12, 200),
    }
)
MACHINES = st.builds(
    machine,
    span=st.floats(0.5, 300),
    slope=st.floats(1, 60),
    lapse=st.sampled_from([0.0, 0.2]),
    failing=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)
few = settings(max_examples=20, deadline=None)


# The path


def test_the_ladder_climbs_by_factors_of_one_and_a_half():
    search = followed(SpanSearch(longest=120), cliff(1000), rounds=4)
    assert asked(search) == [[4, 6, 9, 14], [21, 32], [48, 72], [108, 120]]
    assert all(group.first == 0 and group.count == 4 for one in search.rounds for group in one.groups)


def test_the_ladder_descends_if_the_shortest_length_is_not_solved():
    search = followed(SpanSearch(start=20), cliff(2), rounds=4)
    assert asked(search) == [[20, 30, 45, 68], [9, 13], [4, 6], [2, 3]]


def told(search, solved):
    """The search after one more round, in which so many of the first trainings of each length solve it."""
    answers = [
        Answer(length, first + i, i < solved, 10 * length) for length, first, n in search.ask() for i in range(n)
    ]
    search.tell(answers)
    return search


@pytest.mark.parametrize(
    ("share", "solved", "climbs"), [(0.5, 2, False), (0.5, 3, True), (0.8, 3, False), (0.8, 4, True)]
)
def test_the_ladder_climbs_if_more_than_the_share_solve_its_last_length(share, solved, climbs):
    assert (told(SpanSearch(groups=1, share=share), solved).ask() == [Group(6, 0, 4)]) == climbs


@pytest.mark.parametrize(("share", "solved", "descends"), [(0.5, 1, True), (0.5, 2, False), (0.8, 3, True)])
def test_the_ladder_descends_if_less_than_the_share_solve_its_first_length(share, solved, descends):
    assert (told(SpanSearch(groups=1, start=30, share=share), solved).ask() == [Group(20, 0, 4)]) == descends


def test_at_the_last_length_allowed_the_ladder_stays():
    assert asked(followed(SpanSearch(groups=1, repetitions=1, longest=7), cliff(100))) == [[4], [6], [7], [7]]
    assert asked(followed(SpanSearch(groups=1, repetitions=1, start=10, shortest=7), cliff(1))) == [
        [10],
        [7],
        [7],
        [7],
    ]


def test_equal_lengths_are_one_group():
    search = followed(SpanSearch(start=2), cliff(0), rounds=2)
    assert search.rounds[1].groups == (Group(1, 0, 8),)


def test_one_group_a_round_climbs_alone():
    assert asked(followed(SpanSearch(groups=1), cliff(1000), rounds=4)) == [[4], [6], [9], [14]]


def test_after_the_ladder_a_round_has_quantiles_of_the_posterior():
    search = followed(SpanSearch(groups=8), machine(300.0, slope=4.0), rounds=6)
    solved, trials = np.transpose(list(search.counts.values()))
    likelihood = Likelihood.of(list(search.counts), solved, trials)
    lengths = [group.length for group in search.ask() for _ in range(group.count // 4)]
    assert len(lengths) == 8
    assert len(set(lengths)) > 4
    for length, level in zip(lengths, (np.arange(8) + 0.5) / 8, strict=True):
        below, above = (likelihood.posterior[likelihood.tau < np.log(length + off)].sum() for off in (-4, 4))
        assert below < level < above


@few
@given(SETTINGS, MACHINES, st.randoms(use_true_random=False))
def test_rounds_are_a_function_of_the_answers_whatever_their_order(arguments, train, random):
    search, other = SpanSearch(**arguments), SpanSearch(**arguments)
    while groups := search.ask():
        assert search.ask() == other.ask() == groups
        answers = train(groups)
        search.tell(answers)
        random.shuffle(answers)
        other.tell(iter(answers))
    assert (search.rounds, search.ended, search.counts) == (other.rounds, other.ended, other.counts)


def test_asking_again_changes_nothing():
    search = SpanSearch()
    search.ask().clear()
    for _ in range(3):
        assert search.ask() == search.ask() != []
        search.tell(machine(25.0)(search.ask()))


@few
@given(SETTINGS, MACHINES, st.data())
def test_limits_only_decide_where_the_path_ends(arguments, train, data):
    del arguments["budget"]
    narrow = followed(SpanSearch(**arguments, width=0.02, budget=60), train)
    limit = data.draw(
        st.sampled_from(
            [
                {"width": 0.3, "budget": 60},
                {"width": 0.02, "budget": 30},
                {"width": 0.02, "budget": 60, "most_steps": 200_000},
            ]
        )
    )
    wide = followed(SpanSearch(**arguments, **limit), train)
    assert narrow.rounds[: len(wide.rounds)] == wide.rounds
    assert wide.ended
    assert len(wide.rounds) < len(narrow.rounds) or wide.ask() == narrow.ask() == []


# What is asked for


@few
@given(SETTINGS, MACHINES)
def test_what_is_asked_for_is_new_allowed_and_within_the_budget(arguments, train):
    search, trained = SpanSearch(**arguments), {}
    while groups := search.ask():
        assert [group.length for group in groups] == sorted({group.length for group in groups})
        assert sum(group.count for group in groups) <= search.groups * search.repetitions
        for length, first, count in groups:
            assert search.shortest <= length <= search.longest
            assert first == trained.get(length, 0)
            assert count > 0
            assert count % search.repetitions == 0
            trained[length] = first + count
        search.tell(train(groups))
        assert search.trainings == sum(trained.values()) <= search.budget
    assert search.ended


@few
@given(SETTINGS, MACHINES)
def test_the_sums_are_those_of_the_answers(arguments, train):
    search, told = SpanSearch(**arguments), []
    assert (search.estimate, search.rounds, search.counts, search.steps) == (None, (), {}, 0)
    while groups := search.ask():
        told += train(groups)
        search.tell(train(groups))
    counted = [answer for answer in told if answer.solved is not None]
    assert search.trainings == len(told)
    assert search.steps == sum(answer.steps for answer in told)
    lengths = sorted({answer.length for answer in counted})
    assert list(search.counts) == lengths
    for length in lengths:
        solved = [answer.solved for answer in counted if answer.length == length]
        assert search.counts[length] == (sum(solved), len(solved))
        assert tuple(sum(one.counts.get(length, (0, 0))[i] for one in search.rounds) for i in (0, 1)) == (
            sum(solved),
            len(solved),
        )
    if counted:
        lengths, solved = [answer.length for answer in counted], [answer.solved for answer in counted]
        assert search.estimate == estimate_span(lengths, np.array(solved, int), 1, search.share)


@few
@given(SETTINGS, MACHINES, st.integers(10**4, 10**6))
def test_time_steps_stay_within_their_limit_once_a_training_took_all_updates(arguments, train, most):
    search, bounded = SpanSearch(**arguments, most_steps=most), False
    while groups := search.ask():
        answers = train(groups)
        search.tell(answers)
        assert not bounded or search.steps <= most
        bounded = bounded or any(answer.steps == UPDATES * answer.length for answer in answers)


def test_the_limit_of_time_steps_is_not_kept_too_strictly():
    """A round begins if it fits exactly."""
    first = followed(SpanSearch(), cliff(7), rounds=1)
    most = first.steps + UPDATES * sum(group.count * group.length for group in first.ask())
    assert followed(SpanSearch(most_steps=most), cliff(7), rounds=1).ask() == first.ask()
    assert followed(SpanSearch(most_steps=most - 1), cliff(7), rounds=1).ended == Ended.BUDGET


def test_the_limit_of_time_steps_remembers_the_longest_training():
    """Its steps need not be a multiple of its length, because a sequence may have more steps."""
    slow = Answer(4, 0, True, 1000 * 4 + 1)
    first = 4 * 10 + slow.steps
    second = 6 * 10 * 2
    third = 9 * 1001 * 2
    for most, ends in ((first + second + third, False), (first + second + third - 1, True)):
        search = SpanSearch(groups=1, repetitions=2, most_steps=most)
        search.tell([slow, Answer(4, 1, True, 40)])
        assert told(search, 2).ended == (Ended.BUDGET if ends else "")


def test_no_limits():
    assert followed(SpanSearch(budget=None), cliff(600)).ended == Ended.WIDTH


# Trainings in which the machine failed


def test_failed_trainings_do_not_count_but_their_lengths_are_asked_for_again():
    search = SpanSearch()
    search.tell(machine(25.0, failing=1.0)(search.ask()))
    assert (search.estimate, search.counts, search.trainings) == (None, {}, 16)
    assert search.ask() == [Group(length, 4, 4) for length in (4, 6, 9, 14)]
    search.tell(cliff(100)(search.ask()))
    search.tell(machine(25.0, failing=1.0)(search.ask()))
    assert search.ask() == [Group(length, 4, 4) for length in (21, 32)]
    assert search.estimate.trainings == 16


def test_if_the_machine_always_fails_the_search_ends():
    search = followed(SpanSearch(), machine(25.0, failing=1.0))
    assert (search.ended, search.trainings, search.estimate) == (Ended.BUDGET, 160, None)


# The ends


@pytest.mark.parametrize("width", [0.05, 0.2])
def test_it_ends_when_the_interval_is_narrow_enough(width):
    search = followed(SpanSearch(width=width, budget=2000), machine(100.0))
    assert search.ended == Ended.WIDTH
    widths = [(one.estimate.relative_width) for one in search.rounds]
    assert widths[-1] <= width < min(widths[:-1])


@pytest.mark.parametrize("last", [1, 2, 5])
def test_it_ends_between_neighbouring_whole_lengths(last):
    search = followed(SpanSearch(width=1e-6), cliff(last))
    assert search.ended == Ended.NEIGHBOURS
    assert last <= search.estimate.low < search.estimate.high <= last + 1


def test_it_ends_at_the_longest_length():
    search = followed(SpanSearch(longest=50), cliff(1000))
    assert search.ended == Ended.LONGEST
    assert search.estimate.low == 50
    assert max(search.counts) == 50


@pytest.mark.parametrize("shortest", [1, 10])
def test_it_ends_at_the_shortest_length(shortest):
    search = followed(SpanSearch(shortest=shortest), cliff(0))
    assert search.ended == Ended.SHORTEST
    assert search.estimate.high == shortest
    assert min(search.counts) == shortest


def test_a_task_may_have_a_shortest_length():
    search = followed(SpanSearch(shortest=10, longest=1000), cliff(14))
    assert search.rounds[0].groups[0] == Group(10, 0, 4)
    assert search.ended
    assert search.estimate.low <= 15
    assert search.estimate.high >= 14


def test_it_ends_with_the_budget():
    search = followed(SpanSearch(width=1e-6, budget=50), machine(100.0, slope=3.0))
    assert search.ended == Ended.BUDGET
    assert 34 < search.trainings <= 50
    assert followed(SpanSearch(budget=15), cliff(20)).rounds == ()
    assert len(followed(SpanSearch(budget=16), cliff(20)).rounds) == 1


def test_the_interval_covers_the_span():
    """The intervals of 30 searches miss at most 5 spans. If each covers with 95 %, that fails 3 times in 1000."""
    rng, errors, covered = np.random.default_rng(0), [], 0
    for seed in range(30):
        span = math.exp(rng.uniform(math.log(10), math.log(200)))
        found = followed(SpanSearch(width=0.25, budget=96), machine(span, slope=5.0, seed=seed)).estimate
        covered += (found.low or 0) <= span <= (found.high or math.inf)
        errors.append(math.log(found.span / span))
    assert covered >= 25
    assert abs(np.median(errors)) < 0.1


# What is refused


ROUND = [Answer(4, 0, True, 40), Answer(4, 1, False, 4000), Answer(6, 0, None, 0), Answer(6, 1, True, 60)]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (ROUND[:3], "repetition 1 of length 6 not at all"),
        ([], "repetition 0 of length 4 not at all"),
        ([*ROUND, ROUND[1]], "repetition 1 of length 4 2 times"),
        ([*ROUND, Answer(6, 2, True, 1)], "repetition 2 of length 6 which was not asked for"),
        ([*ROUND[:3], Answer(5, 1, True, 1)], "repetition 1 of length 5 which was not asked for"),
        ([*ROUND[:3], (6, 1, True, 60)], "an Answer for each training"),
        ([*ROUND[:3], Answer(6, 1, 1, 60)], "solved must be True or False"),
        ([*ROUND[:3], Answer(6, 1, "yes", 60)], "solved must be True or False"),
        ([*ROUND[:3], Answer(6, 1, True, -1)], "steps must be"),
        ([*ROUND[:3], Answer(6, 1, True, 1.5)], "steps must be"),
        ([*ROUND[:3], Answer(6, True, True, 1)], "repetition must be"),
        ([*ROUND[:3], Answer("6", 1, True, 1)], "length must be"),
    ],
)
def test_answers_to_other_questions_are_refused(answers, message):
    search = SpanSearch(groups=2, repetitions=2)
    before = search.ask()
    with pytest.raises(InvalidArgument, match=message):
        search.tell(answers)
    assert (search.ask(), search.rounds, search.trainings) == (before, (), 0)
    search.tell(ROUND)
    assert search.counts == {4: (1, 2), 6: (1, 1)}


def test_nothing_is_told_after_the_end():
    search = followed(SpanSearch(budget=16), cliff(5))
    with pytest.raises(InvalidArgument, match="after its end: the next round could exceed the budget"):
        search.tell([])


def test_numbers_of_numpy_are_numbers():
    search, other = SpanSearch(groups=1, repetitions=np.int64(1)), SpanSearch(groups=1, repetitions=1)
    search.tell([Answer(np.int64(4), np.int32(0), np.True_, np.int64(40))])
    other.tell([Answer(4, 0, True, 40)])
    assert search.rounds == other.rounds
    assert type(next(iter(search.counts))) is int


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("share", value) for value in (0, 1, "half", math.nan)],
        *[("level", value) for value in (0.0, 1.0, None)],
        *[("width", value) for value in (0, -0.1, math.inf)],
        *[("budget", value) for value in (0, 1.5, "160")],
        *[("most_steps", value) for value in (0, 1e6)],
        *[
            (name, value)
            for name in ("groups", "repetitions", "start", "shortest", "longest")
            for value in (0, 2.0)
        ],
    ],
)
def test_wrong_arguments_are_refused(name, value):
    with pytest.raises(InvalidArgument) as caught:
        SpanSearch(**{name: value})
    assert caught.value.name == name


def test_the_lengths_allowed_are_some():
    with pytest.raises(InvalidArgument, match="shortest must be at most the longest length, 5, got 6"):
        SpanSearch(shortest=6, longest=5)
    assert followed(SpanSearch(shortest=5, longest=5), cliff(9)).ended == Ended.LONGEST
