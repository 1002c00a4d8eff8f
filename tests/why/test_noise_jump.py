"""The formula of the noise jump: its mathematics, its constants, its domain, and networks on shuffled labels."""

import json
from dataclasses import asdict
from math import inf, isclose, log
from pathlib import Path

import numpy as np
import pytest

from memspan import Adam, Chain, ClipByNorm, Configuration, InvalidArgument, MSELoss, Network
from memspan.engines.compiled import CompiledEngine
from memspan.why.noise_jump import FITTED, NoiseJump, demand_measured, noise_jump, noise_jump_of

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "adam-jump.json"
BASELINE = {"hidden": 32, "batch": 64, "length": 30}


def stored():
    return json.loads(RESULT.read_text("utf-8"))


def jump_of(setting):
    names = ("hidden", "batch", "length", "epsilon", "beta2")
    given = {name: setting[name] for name in names}
    return noise_jump(setting["lr"], start=max(setting["v"], setting["w"]), **given)


def test_the_constants_are_those_that_the_benchmark_has_fitted():
    fitted = stored()["formula"]
    assert set(fitted) == set(asdict(FITTED))
    for name, value in asdict(FITTED).items():
        assert value == float(f"{fitted[name]:.4g}"), name


@pytest.mark.parametrize("group", ["single", "held-out", "held-out-again"])
def test_the_medians_are_those_that_the_benchmark_has_tested(group):
    rows = stored()["tested"][group]
    assert len(rows) >= 16
    for row in rows:
        assert jump_of(row["setting"]).quantile(0.5) == pytest.approx(row["predicted"], rel=2e-3, abs=0.5)


def test_most_networks_of_new_settings_jump_as_it_is_predicted():
    """Not only the medians: of all networks of the second held-out test, the share that jumped in time."""
    rows = stored()["held-out-again"]
    jumped = sum(one is not None for row in rows for one in row["jump"])
    predicted = sum(
        len(row["jump"]) * jump_of(row["setting"]).probability(row["setting"]["updates"]) for row in rows
    )
    assert jumped / predicted == pytest.approx(1, abs=0.15)


def test_the_baseline_has_the_waits_of_the_fit():
    found = noise_jump(0.01, **BASELINE)
    assert isclose(found.wait, FITTED.wait, rel_tol=1e-4)  # epsilon is 1e-8 and not 0
    assert (found.fade, found.first) == pytest.approx((FITTED.fade, 0.1 / 3**0.5 / 0.01))
    assert not found.at_once


@pytest.mark.parametrize(
    ("change", "name", "factor"),
    [
        ({"hidden": 64}, "wait", 2**-FITTED.step),
        ({"length": 60}, "wait", 2**-FITTED.length),
        ({"batch": 128}, "wait", 2**FITTED.batch),
        ({"batch": 128}, "fade", 2**FITTED.fade_batch),
        ({"beta2": 0.9}, "wait", ((1 + 0.1 / 0.003) / (1 + 0.001 / 0.003)) ** FITTED.beta2),
        ({"epsilon": FITTED.epsilon}, "wait", 2**FITTED.step),
        ({"start": 4}, "fade", 8),
        ({"start": 4}, "first", 4),
        ({"start": 4}, "wait", 1),
    ],
)
def test_each_quantity_acts_as_in_the_formula(change, name, factor):
    base, changed = (noise_jump(0.01, **(BASELINE | more)) for more in ({}, change))
    assert getattr(changed, name) / getattr(base, name) == pytest.approx(factor, rel=1e-3)


def test_the_learning_rate_acts_on_all_three_times():
    slow, fast = (noise_jump(rate, **BASELINE) for rate in (0.005, 0.01))
    assert slow.wait / fast.wait == pytest.approx(2**FITTED.step, rel=1e-3)
    assert slow.fade / fast.fade == pytest.approx(2**FITTED.fade_lr)
    assert slow.first / fast.first == pytest.approx(2)


def test_the_total_is_the_sum_of_the_hazard_and_gives_share_and_quantile():
    jump = NoiseJump(wait=500.0, fade=200.0, first=6.0)
    updates = np.arange(200_000) / 100 + 0.005
    assert jump.total(2000) == pytest.approx(jump.hazard(updates).sum() / 100, rel=1e-6)
    assert jump.total(0) == 0
    assert jump.probability(0) == 0
    assert jump.total([10.0, 100.0]).tolist() == [jump.total(10), jump.total(100)]
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        assert jump.probability(jump.quantile(share)) == pytest.approx(share)
    assert jump.total(jump.quantile(0.5)) == pytest.approx(log(2))


@pytest.mark.parametrize("share", [0, 1, -0.1, inf, "half"])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(InvalidArgument, match="share"):
        noise_jump(0.01, **BASELINE).quantile(share)


@pytest.mark.parametrize(
    ("rate", "change", "name"),
    [
        (0, {}, "learning_rate"),
        (0.01, {"hidden": 0}, "hidden"),
        (0.01, {"batch": 1.5}, "batch"),
        (0.01, {"length": -1}, "length"),
        (0.01, {"start": 0}, "start"),
        (0.01, {"epsilon": 0}, "epsilon"),
        (0.01, {"beta2": 1}, "beta2"),
    ],
)
def test_wrong_numbers_are_refused(rate, change, name):
    with pytest.raises(InvalidArgument, match=f"{name} must be"):
        noise_jump(rate, **(BASELINE | change))


def test_at_once_from_a_step_of_nearly_1():
    assert noise_jump(0.02, hidden=45, batch=64, length=30).at_once
    assert not noise_jump(0.02, hidden=44, batch=64, length=30).at_once


def test_a_configuration_gives_the_quantities_of_the_formula():
    one = Configuration(learning_rate=0.02, hidden=16, batch=32, gain=0.5, recurrent_gain=2)
    found = noise_jump_of(one, 20)
    assert found == noise_jump(0.02, hidden=16, batch=32, length=20, start=0.5)
    assert noise_jump_of(Configuration(), 30).quantile(0.5) == pytest.approx(785, abs=1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "rmsprop"}, "optimizer must be adam, .* got rmsprop"),
        ({"optimizer": "momentum"}, "optimizer must be adam"),
        ({"cell": "gru"}, "cell must be rnn, for which the jump by noise was measured, got gru"),
        ({"cell": "rnn-relu"}, "cell must be rnn, .* got rnn-relu"),
        ({"task": "delayed-xor"}, "task must be recall"),
        ({"init": "critical"}, "init must be uniform, .* got critical"),
        ({"init": "orthogonal"}, "init must be uniform"),
        ({"clip": 0}, "clip must be 1.0, .* got 0"),
        ({"learning_rate": 0.001}, "learning_rate must be from 0.003 to 0.03, .* got 0.001"),
        ({"hidden": 128}, "hidden must be from 8 to 64"),
        ({"batch": 4}, "batch must be from 8 to 512"),
        ({"gain": 0.1}, "gain must be from 0.25 to 4"),
        ({"recurrent_gain": 1.6}, "recurrent_gain must be so small .* a variance times H of 1.09"),
        ({"gain": 3.0}, "recurrent_gain must be so small"),
    ],
)
def test_where_it_was_not_measured_it_is_refused_by_name(fields, message):
    with pytest.raises(InvalidArgument, match=message) as info:
        demand_measured(Configuration(**fields))
    assert "memspan span" in str(info.value)
    with pytest.raises(InvalidArgument, match=message):
        noise_jump_of(Configuration(**fields), 30)


@pytest.mark.parametrize("length", [4, 51])
def test_lengths_that_were_not_measured_are_refused(length):
    with pytest.raises(InvalidArgument, match="length must be from 5 to 50"):
        noise_jump_of(Configuration(), length)


def thrown(rate, updates, networks=8, hidden=32, length=20):
    """How many networks Adam throws on shuffled labels: their spectral radius is above 1.5 at the end."""
    nets = [Network("rnn", 1, hidden, 1, dtype=np.float32, rng=k) for k in range(networks)]
    theta, rule = np.stack([net.parameters for net in nets]), Chain(ClipByNorm(1.0), Adam(rate))
    engine, rng = CompiledEngine(nets[0].layout, np.dtype("float32"), MSELoss()), np.random.default_rng(3)
    state = rule.init(theta)
    for _ in range(updates):
        x = rng.uniform(-1, 1, (networks, length, 32, 1)).astype(np.float32)
        y = rng.uniform(-1, 1, (networks, 32, 1)).astype(np.float32)
        step = rule.step(engine.differentiate(theta, list(zip(x, y, strict=True))).gradients, state)
        theta, state = theta + step.change, step.state
    radii = [np.abs(np.linalg.eigvals(nets[0].layout.views(one).R)).max() for one in theta]
    return sum(one > 1.5 for one in radii)


def test_networks_on_shuffled_labels_jump_where_it_is_predicted_and_not_where_it_is_not():
    given = {"hidden": 32, "batch": 32, "length": 20}
    soon, late = (noise_jump(rate, **given) for rate in (0.02, 0.005))
    assert soon.probability(500) > 0.85
    assert late.probability(500) < 0.03
    assert thrown(0.02, 500) >= 6
    assert thrown(0.005, 500) <= 1
