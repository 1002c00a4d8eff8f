import math

import numpy as np
import pytest

from memspan import SGD, Adam, Chain, ClipByNorm, ClipByValue, InvalidArgument, Momentum, RMSprop
from memspan.training.optimizers import CLIPS, RULES, NoState, global_norm

EXAMPLES = [SGD(0.05), Momentum(0.02, 0.8), RMSprop(0.01, 0.95), Adam(0.03, 0.8, 0.99)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# A bowl with a flat rim, Σ log cosh(Aθ - b): it bends, and near its bottom the clips let go.
A = np.random.default_rng(1).normal(size=(7, 5))
B = np.random.default_rng(2).normal(size=7)


def slope(parameters):
    return A.T @ np.tanh(A @ parameters - B)


def descend(optimizer, updates, start):
    """Return the weights after each update, and the norms before and after clipping."""
    parameters, state, path, norms = start.copy(), optimizer.init(start), [], []
    for _ in range(updates):
        step = optimizer.step(slope(parameters), state)
        parameters, state = parameters + step.change, step.state
        path.append(parameters)
        norms.append((step.norm.item(), step.clipped_norm.item()))
    return np.array(path), np.array(norms)


# --- against PyTorch ------------------------------------------------------------------------------------


def torch_rule(torch, rule, parameters):
    match rule:
        case SGD(rate):
            return torch.optim.SGD(parameters, rate)
        case Momentum(rate, momentum):
            return torch.optim.SGD(parameters, rate, momentum)
        case RMSprop(rate, decay, epsilon):
            return torch.optim.RMSprop(parameters, rate, decay, epsilon)
        case Adam(rate, beta1, beta2, epsilon):
            return torch.optim.Adam(parameters, rate, (beta1, beta2), epsilon)


def torch_clip(torch, clip, parameters):
    match clip:
        case ClipByNorm(limit):
            torch.nn.utils.clip_grad_norm_(parameters, limit)
        case ClipByValue(limit):
            torch.nn.utils.clip_grad_value_(parameters, limit)


CLIPPINGS = [
    pytest.param((), id="unclipped"),
    pytest.param((ClipByNorm(1.0),), id="norm"),
    pytest.param((ClipByValue(0.4),), id="value"),
    pytest.param((ClipByValue(0.4), ClipByNorm(0.5)), id="value-norm"),
    pytest.param((ClipByNorm(1.0), ClipByValue(0.4)), id="norm-value"),
]


@pytest.mark.parametrize("clips", CLIPPINGS)
@pytest.mark.parametrize("rule", [*EXAMPLES, RMSprop(0.01), Adam()], ids=repr)
def test_a_hundred_steps_are_those_of_pytorch(rule, clips, rng):
    torch = pytest.importorskip("torch")
    start = rng.normal(size=5)
    mine, norms = descend(Chain(*clips, rule), 100, start)
    theirs = torch.tensor(start.copy(), requires_grad=True)
    optimizer, path = torch_rule(torch, rule, [theirs]), []
    for _ in range(100):
        theirs.grad = torch.tensor(slope(theirs.detach().numpy()))
        for clip in clips:
            torch_clip(torch, clip, [theirs])
        optimizer.step()
        path.append(theirs.detach().numpy().copy())
    np.testing.assert_allclose(mine, path, rtol=0, atol=1e-12)
    assert bool(clips) == (norms[:, 1] < norms[:, 0]).any()


# --- against formulas -----------------------------------------------------------------------------------


def memory(decay, values):
    """Σ_k decay^(n-k) values[k], as a direct sum instead of a recursion."""
    return sum(decay ** (len(values) - 1 - k) * value for k, value in enumerate(values))


def sgd_by_hand(g):
    return -0.05 * g[-1]


def momentum_by_hand(g):
    return -0.02 * memory(0.8, g)


def rmsprop_by_hand(g):
    return -0.01 * g[-1] / (math.sqrt(0.05 * memory(0.95, [v * v for v in g])) + 1e-8)


def adam_by_hand(g):  # without their bias, both moments are weighted means
    ones = [1.0] * len(g)
    mean = memory(0.8, g) / memory(0.8, ones)
    square = memory(0.99, [v * v for v in g]) / memory(0.99, ones)
    return -0.03 * mean / (math.sqrt(square) + 1e-8)


def name_of(part):
    return getattr(part, "__name__", None)


BY_HAND = [sgd_by_hand, momentum_by_hand, rmsprop_by_hand, adam_by_hand]


@pytest.mark.parametrize(("rule", "formula"), [*zip(EXAMPLES, BY_HAND, strict=True)], ids=name_of)
def test_every_step_is_the_formula_over_all_gradients_so_far(rule, formula, rng):
    gradients = rng.normal(size=(30, 3)) * [1e-3, 1, 1e3]
    state = rule.init(np.zeros(3))
    for n, gradient in enumerate(gradients, start=1):
        change, state = rule.step(gradient, state)
        expected = [formula(gradients[:n, i].tolist()) for i in range(3)]
        np.testing.assert_allclose(change, expected, rtol=1e-11)


def test_the_first_step_of_adam_has_the_length_of_the_learning_rate():
    rule = Adam(0.01)
    change, state = rule.step(np.array([5.0, -1e-3, 0.0]), rule.init(np.zeros(3)))
    np.testing.assert_allclose(change, [-0.01, 0.01, 0.0], rtol=2e-5)
    assert state.steps == 1


def test_the_defaults_are_those_that_the_docstrings_tell():
    assert Momentum(1.0) == Momentum(1.0, momentum=0.9)
    assert RMSprop(1.0) == RMSprop(1.0, decay=0.99, epsilon=1e-8)
    assert Adam() == Adam(1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8)


# --- clips ----------------------------------------------------------------------------------------------


def test_the_norm_is_cut_to_the_limit_and_the_direction_kept():
    clipped = ClipByNorm(2.0)(np.array([3.0, -4.0]))
    np.testing.assert_allclose(clipped, np.array([3.0, -4.0]) * 2 / 5.000001, rtol=1e-15)


def test_values_are_cut_one_by_one():
    np.testing.assert_array_equal(ClipByValue(2.0)(np.array([3.0, -4.0, 1.5])), [2.0, -2.0, 1.5])


@pytest.mark.parametrize("clip", [ClipByNorm(2.0), ClipByValue(2.0)])
@pytest.mark.parametrize("gradient", [[0.0, 0.0], [0.3, -1.9]])
def test_what_is_short_enough_passes_as_it_is(clip, gradient):
    np.testing.assert_array_equal(clip(np.array(gradient)), gradient)


@pytest.mark.parametrize("size", [1e18, 1e30, 3e38])
def test_a_huge_single_precision_gradient_is_clipped_and_not_lost(size):
    gradient = np.array([size, -size], np.float32)  # its squares do not exist in float32
    clipped = ClipByNorm(1.0)(gradient)
    assert clipped.dtype == np.float32
    np.testing.assert_allclose(clipped, [0.5**0.5, -(0.5**0.5)], rtol=1e-6)
    np.testing.assert_allclose(global_norm(gradient), [math.sqrt(2) * size], rtol=1e-6)


def test_clips_apply_in_their_order_and_the_rule_last():
    gradient = np.array([30.0, 0.4])
    value_first = Chain(ClipByValue(1.0), ClipByNorm(0.5), SGD(1.0)).step(gradient, NoState())
    norm_first = Chain(ClipByNorm(0.5), ClipByValue(1.0), SGD(1.0)).step(gradient, NoState())
    cut = math.hypot(1.0, 0.4) + 1e-6
    np.testing.assert_allclose(value_first.change, [-0.5 / cut, -0.2 / cut], rtol=1e-12)
    whole = math.hypot(30.0, 0.4) + 1e-6
    np.testing.assert_allclose(norm_first.change, [-15.0 / whole, -0.2 / whole], rtol=1e-12)


def test_a_step_tells_the_norm_before_and_after_the_clips():
    step = Chain(ClipByNorm(10.0), ClipByValue(3.5), SGD(0.5)).step(np.array([3.0, 4.0]), NoState())
    np.testing.assert_allclose(step.norm, [5.0], rtol=1e-15)
    np.testing.assert_allclose(step.clipped_norm, [math.hypot(3.0, 3.5)], rtol=1e-15)
    unclipped = Chain(SGD(0.5)).step(np.array([3.0, 4.0]), NoState())
    assert unclipped.norm == unclipped.clipped_norm == 5.0


# --- what holds for all ---------------------------------------------------------------------------------

EVERYTHING = [Chain(ClipByNorm(0.7), ClipByValue(0.4), rule) for rule in EXAMPLES]


@pytest.mark.parametrize("optimizer", EVERYTHING, ids=lambda chain: type(chain.rule).__name__)
def test_models_side_by_side_take_the_steps_that_they_take_alone(optimizer, rng):
    gradients = rng.normal(size=(20, 4, 6)) * [[0.01], [1], [10], [1]]
    together, alone = optimizer.init(np.zeros((4, 6))), [optimizer.init(np.zeros(6)) for _ in range(4)]
    for gradient in gradients:
        step = optimizer.step(gradient, together)
        together = step.state
        for model in range(4):
            own = optimizer.step(gradient[model], alone[model])
            alone[model] = own.state
            np.testing.assert_array_equal(step.change[model], own.change)
            np.testing.assert_array_equal(step.norm[model], own.norm)
            np.testing.assert_array_equal(step.clipped_norm[model], own.clipped_norm)


@pytest.mark.parametrize("number", [float, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", [SGD, Momentum, RMSprop, Adam])
def test_the_dtype_is_kept(rule, dtype, number):
    """This includes numbers from `np.logspace`: a NumPy float64 would widen float32 arrays."""
    optimizer = Chain(ClipByNorm(number(0.5)), ClipByValue(number(0.3)), rule(number(0.01)))
    state = optimizer.init(np.zeros(3, dtype))
    for _ in range(3):
        step = optimizer.step(np.array([1, -2, 3], dtype), state)
        state = step.state
        assert step.change.dtype == dtype
        assert all(part.dtype == dtype for name, part in state._asdict().items() if name != "steps")


@pytest.mark.parametrize("rule", EXAMPLES, ids=repr)
def test_single_precision_is_double_precision_rounded(rule, rng):
    gradients = rng.normal(size=(20, 5)).astype(np.float32)
    optimizer = Chain(ClipByNorm(1.0), rule)
    single, double = optimizer.init(np.zeros(5, np.float32)), optimizer.init(np.zeros(5))
    for gradient in gradients:
        coarse, fine = optimizer.step(gradient, single), optimizer.step(gradient.astype(np.float64), double)
        single, double = coarse.state, fine.state
        np.testing.assert_allclose(coarse.change, fine.change, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("optimizer", EVERYTHING, ids=lambda chain: type(chain.rule).__name__)
def test_nothing_given_is_written_to(optimizer, rng):
    parameters, gradient = rng.normal(size=5), rng.normal(size=5)
    state = optimizer.step(gradient, optimizer.init(parameters)).state
    kept = parameters.copy(), gradient.copy(), [part.copy() for part in state]
    optimizer.step(gradient, state)
    np.testing.assert_array_equal(parameters, kept[0])
    np.testing.assert_array_equal(gradient, kept[1])
    for part, before in zip(state, kept[2], strict=True):
        np.testing.assert_array_equal(part, before)


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (ClipByNorm(1.0),),
        (SGD(0.1), ClipByNorm(1.0)),
        (ClipByNorm(1.0), SGD(0.1), ClipByValue(1.0)),
        (SGD(0.1), Adam()),
        (0.1,),
        (1.0, SGD(0.1)),
    ],
    ids=repr,
)
def test_a_chain_is_clips_and_then_one_rule(parts):
    with pytest.raises(InvalidArgument, match="the parts of a Chain must be any number of clips, then one rule, "):
        Chain(*parts)


POSITIVE = [0, -1.0, math.nan, math.inf, True, "0.1", None]
SHARE = [-0.1, 1, 1.5, math.nan, "0.9", None]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *[(kind, "limit", value) for kind in (ClipByNorm, ClipByValue) for value in POSITIVE],
        *[(kind, "learning_rate", value) for kind in (SGD, Momentum, RMSprop, Adam) for value in POSITIVE],
        *[(kind, "epsilon", value) for kind in (RMSprop, Adam) for value in POSITIVE],
        *[(Momentum, "momentum", value) for value in SHARE],
        *[(RMSprop, "decay", value) for value in SHARE],
        *[(Adam, name, value) for name in ("beta1", "beta2") for value in SHARE],
    ],
)
def test_bad_numbers_are_refused_by_name(make, name, value):
    good = {} if name in ("limit", "learning_rate") else {"learning_rate": 0.1}
    with pytest.raises(InvalidArgument, match="must be a finite number ") as caught:
        make(**good, **{name: value})
    assert caught.value.name == name


def test_zero_is_a_momentum_and_a_decay():
    assert (Momentum(0.1, 0).momentum, RMSprop(0.1, 0).decay, Adam(beta1=0, beta2=0).beta2) == (0, 0, 0)


def test_the_registries_hold_every_clip_and_rule():
    assert [*RULES.items()] == [("sgd", SGD), ("momentum", Momentum), ("rmsprop", RMSprop), ("adam", Adam)]
    assert [*CLIPS.items()] == [("norm", ClipByNorm), ("value", ClipByValue)]


@pytest.mark.parametrize(
    "parts", [(Adam,), (ClipByNorm, Adam()), (Chain(Adam()),), (ClipByNorm(1.0), Chain(Adam()))]
)
def test_a_chain_is_made_of_instances_and_not_of_chains(parts):
    with pytest.raises(InvalidArgument, match="the parts of a Chain must be"):
        Chain(*parts)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_limit_may_be_as_large_as_a_number(dtype):
    for gradient in (np.zeros(3, dtype), np.array([3, -4, 0], dtype), np.full(3, 1e30, dtype)):
        for limit in (1e308, np.finfo(float).max):
            for clip in (ClipByNorm(limit), ClipByValue(limit)):
                with np.errstate(all="raise"):
                    clipped = clip(gradient)
                np.testing.assert_array_equal(clipped, gradient)
                assert clipped.dtype == dtype


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-155, 1, 1e155, 1e200, 1e308])
def test_a_norm_has_its_digits_at_every_size(size):
    """The squares of the smallest were 0, and of the largest infinite, so clipping by norm set these to 0."""
    for gradient in (np.array([0.6, -0.8]), np.array([[0.6, 0.8], [0.0, 0.0], [-0.3, 0.4]])):
        expected = np.hypot.reduce(size * gradient, axis=-1, keepdims=True)
        np.testing.assert_allclose(global_norm(size * gradient), expected, rtol=1e-13)


def test_a_gradient_whose_square_overflows_is_clipped_and_not_lost():
    clipped = ClipByNorm(5.0)(np.array([6e199, -8e199]))
    np.testing.assert_allclose(clipped, [3, -4], rtol=1e-12)


def test_the_norm_of_one_network_does_not_depend_on_the_others():
    ordinary = np.random.default_rng(0).normal(size=50)
    for other in (0.0, 1e-200, 1e200, np.inf, np.nan):
        together = global_norm(np.stack([ordinary, np.full(50, other)]))
        assert together[0] == global_norm(ordinary)
        assert (together[1] == global_norm(np.full(50, other))) | np.isnan(other)


def test_a_masked_array_is_refused_as_numpy_would_drop_its_mask():
    hidden = np.ma.array(np.ones(3), mask=[True, False, False])
    optimizer = Chain(ClipByNorm(1.0), Adam(0.1))
    with pytest.raises(InvalidArgument, match=r"^parameters must be an array without a mask"):
        optimizer.init(hidden)
    for take in (lambda: optimizer.step(hidden, optimizer.init(np.ones(3))), lambda: ClipByValue(1.0)(hidden)):
        with pytest.raises(InvalidArgument, match=r"^gradient must be an array without a mask"):
            take()


@pytest.mark.parametrize("rule", EXAMPLES, ids=repr)
def test_the_users_errstate_does_not_reach_a_step(rule):
    optimizer = Chain(ClipByNorm(1.0), rule)
    for size in (0.0, 1e-300, 1e-160, 1.0, 1e160):
        gradient = np.full(3, size)
        expected = optimizer.step(gradient, optimizer.init(gradient))
        with np.errstate(all="raise"):
            found = optimizer.step(gradient, optimizer.init(gradient))
        np.testing.assert_array_equal(found.change, expected.change)
