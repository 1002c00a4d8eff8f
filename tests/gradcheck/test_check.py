"""`gradient_check` passes what is right, whatever its size, and refuses what is wrong or cannot be checked."""

import numpy as np
import pytest

from memspan import CELLS, Conflict, InvalidArgument, MSELoss, Network, gradient_check
from memspan.cells.initializers import INITIALIZERS
from memspan.gradcheck.tolerance import tolerance, underflow

every_cell = pytest.mark.parametrize("cell", sorted(CELLS))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Altered(Network):
    """A network whose `backward` hands its gradients to `alter` before they are returned."""

    def backward(self, d_loss):
        gradients = super().backward(d_loss)
        self.alter(gradients)
        return gradients


def altered(alter, *args, **kwargs):
    model = Altered(*args, **kwargs)
    model.alter = alter
    return model


def failing(report):
    return {(row.weight, row.scope) for row in report.failures}


@every_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("T", [1, 2, 12, 60])
@pytest.mark.parametrize("loss", [None, MSELoss()])
def test_a_right_gradient_passes(cell, dtype, T, loss, rng):
    model = Network(cell, 2, 4, 3, dtype=dtype, rng=rng)
    x, y = rng.uniform(-1, 1, (T, 3, 2)), rng.uniform(-1, 1, (3, 3))
    report = gradient_check(model, x, None if loss is None else y, loss)
    assert report, str(report)
    weights = set(model.layout.shapes)
    at_steps = weights - {"V", "by"}
    assert {row.weight for row in report.comparisons if row.scope == "sum"} == weights
    assert {row.weight for row in report.comparisons if row.scope == "steps"} == at_steps
    assert {name: errors.shape for name, errors in report.step_errors.items()} == dict.fromkeys(at_steps, (T,))


@every_cell
def test_numbers_in_the_report_are_the_models_gradient(cell, rng):
    model = Network(cell, 2, 4, 1, rng=rng)
    x = rng.uniform(-1, 1, (5, 3, 2))
    report = gradient_check(model, x)
    model.forward(x)
    gradients = model.backward(np.ones((3, 1)))
    for row in report.comparisons:
        if row.scope == "steps":
            assert row.analytical == gradients[f"d_{row.weight}"][row.step][row.index]
        if row.scope == "sum":
            gradient = gradients[f"d_{row.weight}"]
            total = gradient.sum(axis=0) if gradient.ndim == 3 else gradient
            assert row.analytical == total[row.index]


@every_cell
def test_one_sequence_is_joined_by_its_reverse(cell, rng):
    x, y = rng.uniform(-1, 1, (6, 2)), rng.uniform(-1, 1, (1, 1))
    report = gradient_check(Network(cell, 2, 4, 1, rng=rng), x, y, MSELoss())
    assert report
    assert "T=6 B=2" in report.subject


@every_cell
def test_the_model_is_not_changed(cell, rng):
    model = Network(cell, 2, 3, 1, rng=rng)
    x = rng.uniform(-1, 1, (4, 2, 2))
    model.forward(x)
    model.backward(np.ones((2, 1)))
    weights, inputs = model.get_weights(), x.copy()
    trace, grads = model.trace, model.grads
    assert gradient_check(model, x)
    assert (model.trace, model.grads) == (trace, grads)
    np.testing.assert_array_equal(x, inputs)
    for name, weight in model.get_weights().items():
        np.testing.assert_array_equal(weight, weights[name])


@pytest.mark.parametrize("name", ["W", "R", "bs", "V", "by"])
def test_one_element_wrong_by_a_twentieth_of_a_percent_is_found(name, rng):
    model = Network("lstm", 2, 4, 3, init="glorot", rng=rng)
    x = rng.uniform(-1, 1, (9, 3, 2))
    model.forward(x)
    gradient = model.backward(np.ones((3, 3)))[f"d_{name}"]
    place = tuple(int(i) for i in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))

    def scaled(gradients):
        gradients[f"d_{name}"][place] *= 1.0005

    report = gradient_check(altered(scaled, "lstm", 2, 4, 3, init="glorot", rng=np.random.default_rng(0)), x)
    assert {row.weight for row in report.failures} == {name}
    for row in report.failures:
        assert row.index == place[-2:]
        assert row.analytical / row.oracle == pytest.approx(1.0005, rel=1e-3)
        if row.scope == "steps":
            assert row.failing == (place[0],)
    assert (name, "sum") in failing(report)


def test_a_step_of_size_1e_minus_200_is_checked_to_rounding(rng):
    """The linear network's gradient shrinks by rho a step; one part in 1e9 of the smallest is seen."""

    def first_step_wrong(gradients):
        gradients["d_bs"][0] *= 1 + 1e-9

    sizes = {"init": "orthogonal", "gain": 1e-2, "rng": 0}
    x = rng.uniform(-1, 1, (101, 2, 1))
    right = gradient_check(Network("rnn-linear", 1, 3, 1, **sizes), x)
    assert right, str(right)
    assert 0 < max(errors.max() for errors in right.step_errors.values()) < 1e-13
    wrong = gradient_check(altered(first_step_wrong, "rnn-linear", 1, 3, 1, **sizes), x)
    assert failing(wrong) == {("bs", "steps")}
    assert wrong.failures[0].failing == (0,)
    assert abs(wrong.failures[0].oracle) < 1e-200
    assert wrong.failures[0].error == pytest.approx(1e-9, rel=1e-3)


@pytest.mark.parametrize(("dtype", "T"), [("float64", 160), ("float32", 30)])
def test_what_has_underflowed_is_accepted_only_if_the_model_says_so_too(dtype, T, rng):
    def invented(gradients):
        gradients["d_bs"][0] = 1e3 * underflow(np.dtype(dtype))

    sizes = {"init": "orthogonal", "gain": 1e-2, "dtype": dtype, "rng": 0}
    x = rng.uniform(-1, 1, (T, 2, 1))
    right = gradient_check(Network("rnn-linear", 1, 3, 1, **sizes), x)
    assert right, str(right)
    assert right.step_errors["bs"][0] == 0
    wrong = gradient_check(altered(invented, "rnn-linear", 1, 3, 1, **sizes), x)
    assert failing(wrong) == {("bs", "steps"), ("bs", "linear")}
    assert wrong.step_errors["bs"][0] == pytest.approx(1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["R", "V"])
def test_a_number_that_is_not_finite_fails(value, name, rng):
    def spoilt(gradients):
        gradients[f"d_{name}"][..., 1, 0] = value

    report = gradient_check(altered(spoilt, "rnn", 1, 3, 1, rng=rng), rng.uniform(-1, 1, (4, 2, 1)))
    assert failing(report) >= {(name, "finite")}
    assert {row.weight for row in report.failures} == {name}


def test_shapes_are_a_contract_and_nothing_is_compared_without_it(rng):
    def summed(gradients):
        gradients["d_R"] = gradients["d_R"].sum(axis=0)

    report = gradient_check(altered(summed, "rnn", 1, 3, 1, rng=rng), rng.uniform(-1, 1, (4, 2, 1)))
    assert failing(report) == {("R", "shape")}
    assert report.failures[0].note == "(3, 3) float64, expected (4, 3, 3)"
    assert "R (shape)" in str(report)


def test_gradients_must_not_share_memory_with_the_trace(rng):
    class Lender(Network):
        def backward(self, d_loss):
            gradients = super().backward(d_loss)
            self.trace.states[0, 1:, 0] = gradients["d_bs"][:, :, 0]
            gradients["d_bs"] = self.trace.states[0, 1:, 0][:, :, np.newaxis]
            return gradients

    report = gradient_check(Lender("rnn", 1, 3, 1, rng=rng), rng.uniform(-1, 1, (4, 2, 1)))
    assert ("bs", "ownership") in failing(report)
    assert "shares memory with the trace" in {row.note for row in report.failures}


def test_a_backward_pass_that_depends_on_the_one_before_fails(rng):
    def growing(gradients, calls=[]):  # noqa: B006 - the default is the memory that the mistake has
        calls.append(0)
        gradients["d_V"] *= 1 + 1e-15 * len(calls)

    report = gradient_check(altered(growing, "rnn", 1, 3, 1, rng=rng), rng.uniform(-1, 1, (4, 2, 1)))
    assert ("V", "repeat") in failing(report)
    assert {row.weight for row in report.failures} == {"V"}


def test_a_forward_pass_that_is_not_the_cells_fails_at_the_step_where_it_departs(rng):
    class Departing(Network):
        def forward(self, x):
            y_hat = super().forward(x)
            self.trace.states[0, 4] *= 1 + 1e-9
            return y_hat

    report = gradient_check(Departing("rnn", 1, 3, 1, init="glorot", rng=rng), rng.uniform(-1, 1, (6, 2, 1)))
    row = next(row for row in report.failures if row.scope == "trajectory")
    assert (row.weight, row.step) == ("a", 3)
    assert 1e-10 < row.error < 2e-9


def test_a_read_out_that_is_not_the_traces_fails(rng):
    class Misread(Network):
        def forward(self, x):
            return super().forward(x) + 1e-9

    report = gradient_check(Misread("rnn", 1, 3, 1, rng=rng), rng.uniform(-1, 1, (6, 2, 1)))
    assert failing(report) == {("y_hat", "trajectory")}


def test_large_weights_are_sampled_and_the_report_says_how_many(rng):
    model = Network("rnn", 1, 12, 1, rng=rng)
    report = gradient_check(model, rng.uniform(-1, 1, (5, 2, 1)), elements=10)
    assert report
    notes = {row.weight: row.note for row in report.comparisons if row.scope == "sum"}
    assert notes["R"] == "10 of 144 elements"
    assert notes["by"] == ""


def test_long_sequences_are_compared_along_directions_and_still_see_a_vanished_step(rng, monkeypatch):
    monkeypatch.setattr("memspan.gradcheck.steps.ACTIVATIONS", 1.0)

    def dropped(gradients):
        gradients["d_W"][3] = 0

    x = rng.uniform(-1, 1, (40, 2, 1))
    assert gradient_check(Network("rnn", 1, 6, 1, rng=0), x)
    report = gradient_check(altered(dropped, "rnn", 1, 6, 1, rng=0), x)
    assert failing(report) == {("W", "steps")}
    row = report.failures[0]
    assert row.failing == (3,)
    assert row.index == ()
    assert abs(row.oracle) < 1e-8
    assert row.note == "along 3 random directions"


@pytest.mark.parametrize(("cell", "gain"), [("rnn", 4.0), ("rnn", 8.0), ("lstm", 8.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chaotic_and_saturated_networks_raise_no_false_alarm(cell, gain, dtype, rng):
    model = Network(cell, 1, 6, 1, init="glorot", gain=gain, dtype=dtype, rng=rng)
    report = gradient_check(model, rng.uniform(-1, 1, (100, 2, 1)))
    assert report, str(report)


def test_tolerance_of_a_saturated_network_is_wider_and_a_gross_mistake_still_seen(rng):
    sizes = {"init": "glorot", "gain": 8.0, "rng": 3}
    x = rng.uniform(-1, 1, (30, 2, 1))
    rows = [row for row in gradient_check(Network("rnn", 1, 6, 1, **sizes), x).comparisons if row.scope == "steps"]
    assert max(row.tolerance for row in rows) > 10 * tolerance(30, np.dtype(float))

    def wrong(gradients):
        gradients["d_R"][5] *= 1.01

    report = gradient_check(altered(wrong, "rnn", 1, 6, 1, **sizes), x)
    assert ("R", "steps") in failing(report)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"y": np.zeros((3, 1)), "loss": MSELoss()}, "y_hat"),
        ({"elements": 0}, "elements"),
        ({"elements": 2.5}, "elements"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, name, rng):
    with pytest.raises(InvalidArgument) as caught:
        gradient_check(Network("rnn", 1, 2, 1, rng=rng), np.ones((3, 2, 1)), **arguments)
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": np.zeros((2, 1))}, r"^Pass loss together with y\.$"),
        ({"loss": MSELoss()}, r"^Pass y together with loss\.$"),
    ],
)
def test_labels_and_loss_come_together(given, message):
    with pytest.raises(Conflict, match=message):
        gradient_check(Network("rnn", 1, 2, 1, rng=0), np.ones((3, 2, 1)), **given)


def test_a_complex_model_and_a_forward_pass_that_overflows_are_refused(rng):
    with pytest.raises(InvalidArgument, match="model must be a Network of float32 or float64"):
        gradient_check(Network("rnn", 1, 2, 1, dtype="complex128", rng=rng), np.ones((3, 2, 1)))
    exploding = Network("rnn-linear", 1, 2, 1, init="orthogonal", gain=1e30, rng=rng)
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(InvalidArgument, match="y_hat stays finite"):
        gradient_check(exploding, np.ones((30, 2, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(250), pytest.param(range(250, 1000), marks=pytest.mark.faults)])
def test_no_false_alarm_in_a_thousand_right_networks(seeds):
    alarms, undecided = [], 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        F, H, O, B, T = (int(rng.integers(1, most + 1)) for most in (3, 5, 3, 3, 30))
        model = Network(
            str(rng.choice(sorted(CELLS))),
            F,
            H,
            O,
            init=str(rng.choice(sorted(INITIALIZERS))),
            gain=float(rng.uniform(0.3, 2.5)),
            dtype=str(rng.choice(["float64", "float64", "float64", "float32"])),
            rng=rng,
        )
        x, y = rng.uniform(-1, 1, (T, B, F)), rng.uniform(-1, 1, (B, O))
        report = gradient_check(model, x, y, MSELoss()) if rng.random() < 0.5 else gradient_check(model, x)
        if report.failures:
            alarms.append(f"seed {seed}: {report.subject}: {report.verdict}")
        undecided += not report
    assert not alarms, "\n".join(alarms)
    assert undecided < len(seeds) / 100  # relu networks of one to three units, all of them dead


@pytest.mark.parametrize(("gain", "blurred"), [(1.0, False), (16.0, True)])
def test_the_report_says_where_rounding_has_taken_the_digits(gain, blurred):
    network = Network("rnn", 1, 4, 1, init="glorot", gain=gain, rng=0)
    x = np.random.default_rng(1).uniform(-1, 1, (60, 3, 1))
    report = gradient_check(network, x)
    assert report
    assert any("less than half" in row.note for row in report.comparisons) == blurred


@pytest.mark.parametrize("reduce", [float, np.real, np.abs])
def test_a_loss_that_drops_the_imaginary_part_is_checked_by_central_differences(reduce):
    class Loss(MSELoss):
        factor = 1.0

        def forward(self, y_hat, y):
            return reduce(super().forward(y_hat, y))

        def backward(self):
            return self.factor * super().backward()

    x = np.random.default_rng(0).uniform(-1, 1, (4, 2, 1))
    network, loss = Network("rnn", 1, 2, 1, rng=0), Loss()
    report = gradient_check(network, x, x[0], loss)
    assert report
    assert "Complex numbers lose their imaginary part in the loss (float(), abs, .real " in report.notes[0]
    rows = [row for row in report.comparisons if row.weight == "y_hat"]
    assert all(np.isnan(row.oracle) and np.isfinite(row.central) for row in rows)
    loss.factor = 1 + 1e-5
    assert failing(gradient_check(network, x, x[0], loss)) == {(row.weight, row.scope) for row in rows}
