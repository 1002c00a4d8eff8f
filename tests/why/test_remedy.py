from dataclasses import replace

import numpy as np
import pytest
from networks_explained import LEAVES, STAYS

from memspan import Configuration
from memspan.span import Group
from memspan.why.predict import updates_needed
from memspan.why.remedy import AFTER, SUGGESTIONS, Limited, remedies_of
from memspan.why.verdict import CRITERIA, SOLVED, UNDETERMINED

MOMENTUM = {"hidden": 8, "optimizer": "momentum", "learning_rate": 0.03, "updates": 200}


def limited(verdict, evidence=STAYS, length=6, pace=100.0, **fields):
    each = [replace(evidence, repetition=k) for k in range(4)]
    return Limited(Configuration(**(MOMENTUM | fields)), length, verdict, each, pace)


def changes(case):
    return [dict(remedy.after) for remedy in remedies_of(case)]


def test_every_verdict_has_remedies_but_those_that_no_change_lifts():
    verdicts = {criterion.verdict for criterion in CRITERIA}
    assert verdicts - {*SUGGESTIONS} == {SOLVED, UNDETERMINED, "no signal"}
    for verdict in SUGGESTIONS:
        case = limited(verdict, replace(STAYS, slope=0.05, needed=300.0))
        for remedy in remedies_of(case):
            changed = case.configuration.with_(**remedy.after)  # the values are valid
            assert changed != case.configuration
            assert remedy.before == {name: getattr(case.configuration, name) for name in remedy.after}
            assert remedy.numbers()["to"] == remedy.after
            assert str(remedy) in repr(remedy)
    assert remedies_of(limited("no signal")) == []


@pytest.mark.parametrize("verdict", ["budget", "noise", "vanishing"])
def test_on_the_plateau_the_equation_says_what_each_change_brings(verdict):
    case = limited(verdict, replace(STAYS, needed=400.0), recurrent_gain=0.6)
    found = remedies_of(case)
    for remedy in found:
        changed = case.configuration.with_(**remedy.after)
        if {*remedy.after} != {"updates"} and "learning_rate" not in remedy.after:
            changed = changed.with_(updates=case.configuration.updates)  # more of them are for the time after
        needed = updates_needed(changed, Group(6, 0, 4)).updates
        share = (needed <= changed.updates).mean()
        enough = AFTER * np.quantile(needed, 0.75, method="inverted_cdf")
        assert share < 0.5 or remedy.after.get("updates", 200) >= min(enough, 6000) * 0.95
        assert remedy.expected.startswith(f"{100 * share:.0f} % of the networks leave the plateau")
    shares = [float(remedy.expected.split()[0]) for remedy in found]
    first, *rest = shares
    assert rest == sorted(rest, reverse=True)
    assert first >= 50


def test_the_remedy_of_the_verdict_comes_first_if_it_is_enough():
    slow = replace(STAYS, needed=400.0)
    assert changes(limited("budget", slow))[0] == {"updates": 2000}
    assert changes(limited("budget", replace(STAYS, needed=900.0)))[0] == {"updates": 4500}
    assert changes(limited("vanishing", slow, recurrent_gain=0.6))[0] == {
        "init": "critical",
        "recurrent_gain": 1.0,
    }


def test_a_clip_that_cuts_every_step_is_loosened():
    tight = limited("budget", replace(STAYS, norm=np.full(10, 0.4)), clip=0.01)
    assert {"clip": 0.8} in changes(tight)
    assert not any("clip" in one for one in changes(limited("budget", replace(STAYS, norm=np.full(10, 0.4)))))


def test_no_critical_gain_where_there_is_none():
    assert {"init": "critical"} in changes(limited("vanishing", optimizer="adam"))
    for fields in ({"cell": "lru"}, {"init": "critical"}, {"task": "parity"}):
        case = limited("vanishing", length=14, optimizer="adam", **fields)
        assert not any("init" in one for one in changes(case))


def test_explosion_is_answered_by_the_gain_at_which_gradients_keep_their_size():
    grows = replace(STAYS, growth=12 * np.log(1.3))
    linear = {"cell": "rnn-linear", "recurrent_gain": 2.6, "length": 12}
    first, second, *_ = changes(limited("exploding", grows, **linear, clip=0))
    assert first == {"recurrent_gain": 2.0, "clip": 1.0}
    assert second == {"clip": 1.0}
    assert changes(limited("exploding", STAYS, **linear, clip=0))[0] == {"clip": 1.0}
    assert changes(limited("exploding", grows, cell="lru")) == [{"learning_rate": 0.003, "updates": 400}]


def test_smaller_steps_get_as_many_more_updates_as_what_is_solved_needs():
    def first(pace):
        return changes(limited("unstable", LEAVES, pace=pace))[0]

    assert first(60.0) == {"learning_rate": 0.01}
    assert first(100.0) == {"learning_rate": 0.01, "updates": 400}
    assert first(np.inf) == {"learning_rate": 0.01, "updates": 800}
    worse = replace(STAYS, share=np.full(STAYS.given, 5.0))
    assert changes(limited("unstable", worse))[0] == {"learning_rate": 0.001, "updates": 800}
    latches = replace(LEAVES, slope_after=0.05)
    assert changes(limited("unstable", latches))[0] == {"learning_rate": 0.001, "updates": 800}


def test_a_start_that_noise_throws_gets_the_critical_gain_and_smaller_steps():
    def first(pace):
        adam = {"optimizer": "adam", "learning_rate": 0.01}
        return changes(limited("noise jump", LEAVES, pace=pace, **adam))[:2]

    assert first(60.0) == [{"init": "critical", "learning_rate": 0.0033}, {"init": "critical"}]
    assert first(np.inf)[0] == {"init": "critical", "learning_rate": 0.0033, "updates": 600}


def test_saturated_units_get_smaller_weights():
    def first(**fields):
        return changes(limited("saturation", replace(STAYS, slope=0.05), **fields))[0]

    assert first(gain=40, recurrent_gain=1 / 40) == {"gain": 1.0, "recurrent_gain": 1.0}
    assert first(gain=40) == {"gain": 1.0, "recurrent_gain": 1.0}
    assert first(gain=4, recurrent_gain=0.1) == {"gain": 1.0, "recurrent_gain": 0.4}
    assert first() == {"gain": 0.05}


def test_a_loss_that_still_falls_gets_more_updates():
    assert changes(limited("budget", LEAVES)) == [{"updates": 2000}]


def test_few_units_get_room_for_what_the_answers_need():
    assert changes(limited("capacity", LEAVES)) == [{"hidden": 32}]
    assert changes(limited("capacity", replace(LEAVES, held=25.0))) == [{"hidden": 100}]
    assert changes(limited("capacity", replace(LEAVES, lags=9))) == [{"hidden": 36}]


def test_noise_gets_batches_in_which_it_keeps_up_little_loss():
    def batches(misadjustment, **fields):
        loud = replace(LEAVES, misadjustment=misadjustment)
        return [one.get("batch") for one in changes(limited("noise", loud, batch=1, **fields))]

    assert batches(0.05) == [4, 16, 64, None, None]
    assert batches(0.15) == [16, 64, None]
    assert batches(5.0, optimizer="adam") == [64, None]
