import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import InvalidArgument, estimate_span
from memspan.span import Answer, Ended, Group, Likelihood, SpanSearch

UPDATES = 1000


def machine(span, slope=8.0, lapse=0.0, failing=0.0, seed=0, more=0):
    """Trainings whose results are functions of length and repetition, as they are in a study.

    `lapse` is the probability that a training fails to solve any length, `failing` that the machine fails. A
    sequence has `more` time steps than its length.
    """

    def train(groups):
        answers = []
        for length, first, count in groups:
            p = (1 - lapse) / (1 + math.exp(min(slope * math.log(length / span), 700)))
            for repetition in range(first, first + count):
                luck, speed, health = np.random.default_rng([seed, length, repetition]).random(3)
                solved = bool(luck < p)
                updates = 1 + int(speed * 0.2 * UPDATES) if solved else UPDATES
                steps = updates * (length + more)
                answers.append(Answer(length, repetition, None if health < failing else solved, steps))
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
        "budget": st.integers(20, 60),  # enough for every first round
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
    search = told(told(told(SpanSearch(groups=1, longest=7), 3), 3), 3)
    assert asked(told(search, 3)) == [[4], [6], [7], [7]]
    assert asked(told(told(told(SpanSearch(groups=1, start=10, shortest=7), 1), 1), 1)) == [[10], [7], [7]]


def test_equal_lengths_are_one_group():
    search = followed(SpanSearch(start=2), cliff(0), rounds=2)
    assert search.rounds[1].groups == (Group(1, 0, 8),)


def test_one_group_a_round_climbs_alone():
    assert asked(followed(SpanSearch(groups=1), cliff(1000), rounds=4)) == [[4], [6], [9], [14]]


def regular(groups, solved_after=100):
    """Trainings at a slope of 4 and a span of 300, of which each solved one takes equally many updates."""
    answers = machine(300.0, slope=4.0)(groups)
    return [
        answer._replace(steps=answer.length * (solved_after if answer.solved else UPDATES)) for answer in answers
    ]


def test_after_the_ladder_a_round_weighs_the_posterior_by_the_expected_steps():
    search = followed(SpanSearch(groups=8), regular, rounds=6)
    solved, trials = np.transpose(list(search.counts.values()))
    found = Likelihood.of(list(search.counts), solved, trials)
    weights = []
    for tau, probability in zip(found.tau, found.posterior, strict=True):
        longer = found.posterior[found.tau > tau].sum()  # a training at exp(tau) solves it if the span is longer
        weights.append(math.sqrt(probability / math.exp(tau) / (100 * longer + UPDATES * (1 - longer))))
    weights = np.array(weights) / sum(weights)
    lengths = [group.length for group in search.ask() for _ in range(group.count // 4)]
    assert len(lengths) == 8
    assert len(set(lengths)) > 4
    for length, level in zip(lengths, (np.arange(8) + 0.5) / 8, strict=True):
        below, above = (weights[found.tau < math.log(length) + off].sum() for off in (-0.02, 0.02))
        assert below < level < above


def test_the_dearer_unsolved_trainings_are_the_shorter_the_lengths():
    lengths = []
    for solved_after in (10, 100, UPDATES):
        search = followed(SpanSearch(), lambda groups, n=solved_after: regular(groups, n), rounds=6)
        lengths.append([group.length for group in search.ask()])
    assert len(search.rounds[-1].groups) == 2  # so the next round is the first one after the ladder
    assert all(first < second < third for first, second, third in zip(*lengths, strict=True))


@pytest.mark.parametrize("steps", [(0, 0), (0, 1), (1, 0)])
def test_steps_may_be_unknown(steps):
    """Then all updates are taken to be equal."""
    search = followed(SpanSearch(), lambda groups: [a._replace(steps=steps[a.solved]) for a in cliff(30)(groups)])
    assert search.ended == Ended.WIDTH


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
                {"width": 0.02, "budget": 60, "level": 0.7},
                {"width": 0.02, "budget": 60, "most_steps": 10**7, "most_updates": UPDATES},
            ]
        )
    )
    wide = followed(SpanSearch(**arguments, **limit), train)
    for one, other in zip(narrow.rounds, wide.rounds, strict=False):
        assert (one.groups, one.answers) == (other.groups, other.answers)
    assert wide.ended
    assert len(wide.rounds) <= len(narrow.rounds)


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
@given(SETTINGS, MACHINES, st.integers(0, 10**7))
def test_time_steps_stay_within_their_limit(arguments, train, more):
    first = sum(group.count * group.length for group in SpanSearch(**arguments).ask()) * UPDATES
    limits = {"most_steps": first + more, "most_updates": UPDATES}
    search = followed(SpanSearch(**arguments, **limits), train)
    assert search.rounds
    assert search.steps <= first + more


def test_a_round_begins_if_its_most_time_steps_just_fit():
    first = followed(SpanSearch(), cliff(7), rounds=1)
    most = first.steps + UPDATES * sum(group.count * group.length for group in first.ask())
    for limit, ended in ((most, ""), (most - 1, Ended.BUDGET)):
        search = SpanSearch(most_steps=limit, most_updates=UPDATES)
        assert followed(search, cliff(7), rounds=1).ended == ended


def test_a_sequence_may_have_more_time_steps_than_its_length():
    for most, ended in ((9 * 2 * (24 + 26), ""), (9 * 2 * (24 + 26) - 1, Ended.BUDGET)):
        limits = {"most_steps": most, "most_updates": 9}
        search = SpanSearch(groups=1, repetitions=2, steps_of=lambda length: length + 20, **limits)
        search.tell([Answer(4, 0, True, 9 * 24), Answer(4, 1, True, 9 * 24)])
        assert search.ended == ended


def test_between_whole_lengths_the_steps_are_interpolated():
    search = SpanSearch(steps_of=lambda length: length + 20, shortest=2, longest=50)
    lengths = np.array([2.0, 2.5, 3.0, 1.0, 100.0])
    assert search._sequence_steps(lengths).tolist() == [22, 22.5, 23, 22 / 2, 70 * 2]
    assert np.array_equal(SpanSearch()._sequence_steps(lengths), lengths)


def test_the_less_the_cost_grows_with_the_length_the_longer_the_lengths():
    means = []
    for more in (0, 20):
        search = SpanSearch(groups=8, steps_of=lambda length, more=more: length + more)
        search = followed(search, machine(12.0, slope=3.0, more=more), rounds=1)
        lengths = [group.length for group in search.ask() for _ in range(group.count)]
        assert len(set(lengths)) > 4  # after the ladder
        means.append(np.mean(np.log(lengths)))
    assert means[0] < means[1]


def test_no_limits():
    assert followed(SpanSearch(budget=None), cliff(600)).ended == Ended.WIDTH


# Trainings in which the machine failed


def test_failed_trainings_do_not_count_but_their_lengths_are_asked_for_again():
    search = SpanSearch()
    search.tell([a._replace(solved=None if a.length == 14 else True) for a in machine(25.0)(search.ask())])
    assert search.counts == {4: (4, 4), 6: (4, 4), 9: (4, 4)}
    assert (search.trainings, search.estimate.trainings) == (16, 12)
    assert search.ask() == [Group(14, 4, 4), Group(20, 0, 4)]


def test_it_ends_if_the_machine_always_fails():
    search = followed(SpanSearch(budget=None), machine(25.0, failing=1.0))
    assert (search.ended, search.trainings, search.estimate) == (Ended.FAILED, 16, None)
    search = followed(SpanSearch(budget=None), cliff(100), rounds=1)
    found = search.estimate
    search = followed(search, machine(25.0, failing=1.0))
    assert (search.ended, search.trainings, search.estimate) == (Ended.FAILED, 24, found)


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
        *[("budget", value) for value in (0, 1.5, 15, "160")],
        *[("most_steps", value) for value in (0, 1e6)],
        *[("most_updates", value) for value in (0, 1.5)],
        ("steps_of", 20),
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


def test_a_budget_has_room_for_the_first_round():
    assert SpanSearch(budget=16).ask()
    with pytest.raises(
        InvalidArgument, match=r"^budget must be at least 16, the trainings of the first round, got 15"
    ):
        SpanSearch(budget=15)
    first = 4 * (4 + 6 + 9 + 14)
    assert SpanSearch(most_steps=10 * first, most_updates=10).ask()
    rule = r"^budget must be at least 1,320 time steps, the most that the first round can take, got 1,319$"
    with pytest.raises(InvalidArgument, match=rule):
        SpanSearch(most_steps=10 * first - 1, most_updates=10)
    with pytest.raises(InvalidArgument, match=r"^most_updates must be given with most_steps, got None"):
        SpanSearch(most_steps=10**9)


def test_the_lengths_allowed_are_some():
    with pytest.raises(InvalidArgument, match="shortest must be at most the longest length, 5, got 6"):
        SpanSearch(shortest=6, longest=5)
    assert followed(SpanSearch(shortest=5, longest=5), cliff(9)).ended == Ended.LONGEST
