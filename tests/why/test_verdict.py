from dataclasses import replace

import numpy as np
import pytest
from networks_explained import GIVEN, LEAVES, STAYS

from memspan import Outcome
from memspan.why.evidence import NUMBERS
from memspan.why.verdict import CRITERIA, SOLVED, UNDETERMINED, criterion_of, verdict_of

JUMP = np.array([1.0] * 20 + [50.0])
BY_ADAM = {"needed": np.nan, "without_noise": np.nan, "decay": np.nan}


def curve(*values):
    return np.repeat(np.array(values), GIVEN // len(values))


EXAMPLES = [
    ("solved", replace(LEAVES, outcome=Outcome.SOLVED)),
    ("capacity", replace(STAYS, held=3.0)),  # for 2 units
    ("saturation", replace(STAYS, slope=0.05, held=2.0)),
    ("noise", replace(STAYS, needed=5000.0)),
    ("noise", replace(STAYS, needed=np.inf, share=np.full(GIVEN, 1.5))),
    ("noise", replace(LEAVES, misadjustment=0.5, signal_to_noise=0.5)),
    (
        "unstable",
        replace(STAYS, share=np.full(GIVEN, 5.0), misadjustment=0.5, signal_to_noise=5.0),
    ),  # steps, not noise
    (
        "undetermined",
        replace(STAYS, share=np.full(GIVEN, 5.0), start=5.0),
    ),  # still on its way to the trivial answer
    ("exploding", replace(STAYS, outcome=Outcome.DIVERGED, growth=4.0, share=np.empty(0))),
    ("exploding", replace(STAYS, share=np.full(GIVEN, 1.5), norm=JUMP, clip=np.inf)),
    ("unstable", replace(STAYS, share=np.full(GIVEN, 1.5), norm=JUMP)),
    ("unstable", replace(STAYS, outcome=Outcome.DIVERGED)),
    ("unstable", replace(STAYS, needed=np.inf, share=np.full(GIVEN, 5.0))),
    ("exploding", replace(STAYS, norm=JUMP, clip=np.inf)),
    ("no signal", replace(STAYS, z=1.0, z_inputs=1.0)),
    ("vanishing", replace(STAYS, z=1.0, needed=np.inf, without_noise=np.inf)),  # lost on its way
    ("vanishing", replace(STAYS, needed=np.inf, without_noise=np.inf)),
    ("noise", replace(STAYS, needed=np.inf, without_noise=2000.0)),
    ("budget", replace(STAYS, needed=3000.0, without_noise=2000.0)),
    ("budget", replace(STAYS, needed=900.0, without_noise=800.0)),
    ("exploding", replace(STAYS, growth=4.0)),
    ("budget", replace(STAYS, **BY_ADAM, noise_jump=5000.0)),
    ("vanishing", replace(STAYS, **BY_ADAM, noise_jump=50_000.0)),
    ("vanishing", replace(STAYS, **BY_ADAM)),
    ("unstable", replace(STAYS, **BY_ADAM, slope_after=0.05)),
    ("undetermined", replace(STAYS, **BY_ADAM, growth=0.0)),
    ("exploding", replace(LEAVES, norm=JUMP, clip=np.inf)),
    ("noise jump", replace(LEAVES, **BY_ADAM, noise_jump=500.0, radius_after=4.0)),
    ("unstable", replace(LEAVES, **BY_ADAM, noise_jump=500.0, radius=1.2, radius_after=4.0)),
    ("unstable", replace(LEAVES, share=curve(1.0, 0.2, 0.5))),
    ("budget", replace(LEAVES, share=curve(1.0, 0.8, 0.6, 0.4))),
    ("unstable", replace(LEAVES, share=curve(1.0, 0.8, 0.6, 0.4), slope_after=0.05)),
    ("capacity", replace(LEAVES, share=curve(1.0, 0.8, 0.6, 0.4), lags=3)),
    ("budget", replace(LEAVES, slope_after=0.9, left=600.0)),
    ("unstable", replace(LEAVES, slope_after=0.9)),
    ("unstable", LEAVES),
    ("undetermined", STAYS),
]


@pytest.mark.parametrize(("verdict", "evidence"), EXAMPLES)
def test_each_verdict(verdict, evidence):
    assert criterion_of(evidence).verdict == verdict


def test_every_criterion_decides_an_example():
    decided = [criterion_of(evidence) for _, evidence in EXAMPLES]
    assert all(criterion in decided for criterion in CRITERIA)


def test_the_verdict_on_a_length_is_the_most_frequent_one():
    def of(*evidence):
        return verdict_of([criterion_of(one) for one in evidence])

    budget, vanishing = replace(STAYS, needed=3000.0, without_noise=2000.0), replace(STAYS, without_noise=np.inf)
    assert of(budget, vanishing, vanishing) == "vanishing"
    assert of(budget, vanishing) == "vanishing"  # its criterion comes first


def test_every_criterion_says_its_condition():
    assert all(one.condition and one.verdict in repr(one) for one in CRITERIA)


def test_every_criterion_names_numbers_of_the_evidence():
    assert {name for one in CRITERIA for name in one.numbers} <= {*NUMBERS}
    assert all(
        one.numbers for one in CRITERIA if one.verdict not in (SOLVED, UNDETERMINED) and "none of" not in one.says
    )
