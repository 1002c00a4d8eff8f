import pytest

from memspan import Study
from memspan.execution import plan
from memspan.execution.memory import TooLarge, Workload
from memspan.execution.plan import Pace, Plan, duration, groups_in_room, make_plan, measure
from memspan.execution.teams import Alone, Serial, Team
from memspan.runtime.interrupts import Interrupts
from memspan.study import Key

SMALL = {"hidden": 4, "batch": 8, "evaluation_samples": 20, "updates": 50}


class Quiet(Team):
    """A team in this process with any number of slots and bytes."""

    def __init__(self, slots=1, memory=None):
        super().__init__(Serial, slots)
        self.bytes, self.measured = memory, []

    def memory(self):
        return self.bytes

    def submit(self, function, *arguments):
        self.measured.append(arguments)
        return super().submit(function, *arguments)


@pytest.fixture
def pace(monkeypatch):
    """Every trial of length T takes T seconds, and every group of networks a hundred bytes each."""

    def paces(study, places, team, interrupts, engines):
        one = study.configurations[0]
        return {Workload.of(one): Pace(one, (1, 2), (1.0 / one.updates, 2.0 / one.updates), (0, 0), (0, 0), 1000)}

    monkeypatch.setattr(plan, "_measure", paces)
    monkeypatch.setattr(plan, "bytes_of", lambda study, length, members, test_lengths, call: 100 * members)
    monkeypatch.setattr(plan, "USUAL_BASE", 1000)


def widths(found):
    return [len(group) for group in found.groups]


def test_every_trial_is_in_one_group_of_one_configuration_and_length(pace):
    study = Study(cell=("rnn", "lstm"), lengths=(1, 5, 9), repetitions=7)
    found = make_plan(study, study.keys, Quiet(2), Interrupts())
    assert [key for group in found.groups for key in group] == study.keys
    assert all(len({key[:2] for key in group}) == 1 for group in found.groups)
    assert found.trials == 42


def test_a_group_takes_about_fifteen_seconds(pace):
    study = Study(lengths=(1, 5, 30), repetitions=200)
    found = make_plan(study, study.keys, Quiet(), Interrupts())
    by_length = {length: {len(g) for g in found.groups if g[0].length == length} for length in study.lengths}
    assert by_length == {1: {15, 14, 5, 4} & by_length[1], 5: {3, 2} & by_length[5], 30: {1}}
    assert max(by_length[1]) in (14, 15)
    assert max(by_length[5]) == 3


def test_there_are_groups_for_everybody(pace):
    study = Study(lengths=1, repetitions=12)
    found = make_plan(study, study.keys, Quiet(3), Interrupts())
    assert widths(found) == [1] * 12
    assert widths(make_plan(study, study.keys, Quiet(1), Interrupts())) == [3, 3, 3, 3]


def test_time_is_shared_among_the_slots(pace):
    study = Study(lengths=(10, 20), repetitions=3)
    assert make_plan(study, study.keys, Quiet(1), Interrupts()).seconds == pytest.approx(90)
    assert make_plan(study, study.keys, Quiet(3), Interrupts()).seconds == pytest.approx(30)


def test_groups_are_as_narrow_as_memory_asks(pace):
    study = Study(lengths=1, repetitions=100)
    wide = make_plan(study, study.keys, Quiet(1, memory=10_000), Interrupts())
    narrow = make_plan(study, study.keys, Quiet(1, memory=1_450), Interrupts())
    assert max(widths(wide)) == 15
    assert max(widths(narrow)) <= 4
    assert narrow.bytes <= 1_450


def test_too_little_memory_is_refused_with_figures(pace):
    study = Study(lengths=1, repetitions=8)
    with pytest.raises(TooLarge, match=r"4 x 1.07 KiB = 4.3 KiB of memory, but .* only 3.42 KiB .*--workers 3\."):
        make_plan(study, study.keys, Quiet(4, memory=3_500), Interrupts())
    with pytest.raises(TooLarge, match="Choose a smaller batch, network, length or number of updates"):
        make_plan(study, study.keys, Quiet(1, memory=500), Interrupts())


@pytest.mark.parametrize(
    "fields",
    [
        {"lengths": 2 * 10**9},
        {"lengths": 10, "hidden": 10**7},
        {"lengths": 10, "batch": 2 * 10**9},
        {"task": "copying/urnn", "task_parameters": {"items": 10**9}, "lengths": 10},
        {"lengths": 10, "test_lengths": 2 * 10**9},
    ],
    ids=str,
)
def test_what_could_never_fit_is_refused_before_anything_is_run(fields):
    team = Quiet(memory=2**34)
    study = Study(**fields, repetitions=1)
    with pytest.raises(TooLarge, match=r"needs (.* of memory|buffers of .* [TPE]iB)"):
        make_plan(study, study.keys, team, Interrupts())
    assert team.measured == []


def test_what_is_measured_is_of_the_right_size(monkeypatch):
    """A longer sequence and more updates take so much longer that no noise hides it."""
    monkeypatch.setattr(plan, "SECONDS_TO_MEASURE", 0.05)  # as for a user, not as for other tests
    study = Study(**SMALL).configuration
    found = measure(study, (5, 2000), plan.__version__)
    assert found.update[1] > 2 * found.update[0] > 0
    assert found.evaluation[1] > found.evaluation[0] > 0
    assert found.flow[1] > found.flow[0] > 0
    assert 50 * 2**20 < found.base < 5 * 2**30
    assert found.seconds(study, 4000) > found.seconds(study, 2000) > found.seconds(study, 1000) > 0
    assert found.seconds(study.with_(updates=5000), 1000) > 10 * found.seconds(study, 1000)
    tested = found.seconds(study, 1000, (2000, 2000)) - found.seconds(study, 1000)
    assert tested == pytest.approx(2 * study.final_batches * found.evaluation[1])


# --- a round of searches --------------------------------------------------------------------------------

ROUND = [Key(c, length, k) for length in (8, 4) for c in (0, 1) for k in range(16)]


@pytest.mark.parametrize(("slots", "widest"), [(1, 16), (2, 16), (4, 8), (32, 1), (100, 1)])
def test_a_round_is_divided_among_the_slots(slots, widest):
    groups = groups_in_room(Study(cell="rnn,gru").configurations, ROUND, Quiet(slots))
    assert [key for group in groups for key in group] == ROUND
    assert all(len({key[:2] for key in group}) == 1 for group in groups)
    assert max(map(len, groups)) == widest
    assert len(groups) >= min(2 * slots, len(ROUND))


def test_a_round_is_as_narrow_as_memory_asks(pace):
    """A process takes 1000 bytes, and each network in it 100."""
    choices = Study(cell="rnn,gru").configurations
    assert max(map(len, groups_in_room(choices, ROUND, Quiet(1, memory=2600)))) == 16
    assert max(map(len, groups_in_room(choices, ROUND, Quiet(1, memory=2500)))) == 8
    narrow = groups_in_room(choices, ROUND, Quiet(2, memory=2200))
    assert [len(group) for group in narrow] == [1] * 64
    with pytest.raises(TooLarge, match=r"^Training needs 2 x 1.07 KiB = 2.15 KiB of memory, but it may use only"):
        groups_in_room(choices, ROUND, Quiet(2, memory=2100))


def test_a_round_of_nothing_has_no_groups():
    assert groups_in_room(Study().configurations, [], Quiet(2)) == []


def test_each_kind_is_measured_once_and_others_are_concluded():
    study = Study(**SMALL, cell=("rnn", "gru"), learning_rate=(0.1, 0.2), seed=(1, 2), lengths=(3, 6))
    team = Quiet()
    found = make_plan(study, study.keys, team, Interrupts())
    assert [study.cell for study, *_ in team.measured] == ["rnn", "gru"]
    assert found.seconds > 0


def test_of_many_kinds_some_are_measured(monkeypatch):
    monkeypatch.setattr(plan, "MOST_MEASURED", 2)
    study = Study(**SMALL | {"hidden": (2, 3, 4, 5)}, lengths=(3, 6))
    team = Quiet()
    assert make_plan(study, study.keys, team, Interrupts()).seconds > 0
    assert len(team.measured) == 2


def test_what_cannot_be_measured_is_left_to_the_trials(monkeypatch):
    def broken(study, lengths, version, engine):
        raise MemoryError("no room")

    monkeypatch.setattr(plan, "measure", broken)
    study = Study(**SMALL, lengths=(3, 6))
    found = make_plan(study, study.keys, Quiet(), Interrupts())
    assert found.seconds is None
    assert found.trials == 20
    assert "at most" in found.sentence


def test_an_interrupt_is_heard_while_measuring():
    interrupts = Interrupts()
    interrupts.count = 1
    study = Study(**SMALL, lengths=3)
    with pytest.raises(KeyboardInterrupt):
        make_plan(study, study.keys, Quiet(), interrupts)


def test_the_sentence():
    groups = ((Key(0, 3, 0), Key(0, 3, 1)), (Key(0, 2, 0),))
    assert (
        Plan(groups, 200.0, 2**28, 2, None).sentence
        == "3 trials in 2 processes, at most about 3 min, at most 256 MiB each"
    )
    assert Plan(groups, None, 2**28, 1, None).sentence == "3 trials in 1 process, at most 256 MiB each"
    assert Plan((), 0.0, 0, 0, None).sentence == "nothing to do"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (12.4, "12 s"), (89, "89 s"), (100, "2 min"), (5000, "83 min"), (18360, "5.1 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_this_process_is_a_team_too():
    team = Alone()
    study = Study(**SMALL, lengths=3, repetitions=2)
    found = make_plan(study, study.keys, team, Interrupts())
    team.close()
    assert (found.slots, found.trials) == (1, 2)
    assert 0 < found.bytes < found.available
