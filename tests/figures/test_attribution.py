import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color

import memspan
from memspan import RNN, Attribution, InvalidArgument, figures, plot_attribution
from memspan.diagnostics import StepShares
from memspan.figures.attribution import HORIZON, SharesByLag, draw_shares
from memspan.figures.style import BLUE, GREY

OF = StepShares(np.array([-0.5, 0.25, 1.25]), np.array([1.0, 0.5, 2.5]), 2.0)
ALL_ONE_WAY = StepShares(np.array([0.0, 0.25, 0.75]), np.array([0.0, 0.5, 1.5]), 2.0)


def words(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_rows_are_what_is_drawn_and_lag_0_is_the_last_step():
    record = SharesByLag("", {"lstm": OF})
    assert record.columns == ("panel", "lag", "share", "norm", "horizon", "cancellation index")
    assert record.rows() == [
        ("lstm", 2, -0.5, 1, 3, 0.5),
        ("lstm", 1, 0.25, 0.5, 3, 0.5),
        ("lstm", 0, 1.25, 2.5, 3, 0.5),
    ]


def test_bars_stand_at_their_lags_and_negative_ones_hang():
    figure = draw_shares(SharesByLag("title", {"lstm": OF, "rnn": ALL_ONE_WAY}, np.array([1.0, 0, 0.5])))
    left, right = figure.axes
    assert [bar.get_x() + bar.get_width() / 2 for bar in left.patches] == pytest.approx([2, 1, 0])
    assert [bar.get_height() for bar in left.patches] == [-0.5, 0.25, 1.25]
    for bar, colour in zip(left.patches, (GREY, BLUE, BLUE), strict=True):
        assert same_color(bar.get_facecolor(), colour)
    assert left.get_title() == "lstm: cancellation index 0.5"
    assert right.get_title() == "rnn: cancellation index 1"
    horizons = [
        line.get_xdata()[0] for ax in (left, right) for line in ax.get_lines() if line.get_linestyle() == "--"
    ]
    assert horizons == [2.5, 1.5]
    (marks,) = (line for line in left.get_lines() if line.get_marker() == "v")
    np.testing.assert_array_equal(marks.get_xdata(), [2, 0])
    assert words(figure.legends[0]) == [HORIZON, "against the gradient", "the answer"]


def test_the_legend_has_only_what_occurs():
    assert words(draw_shares(SharesByLag("", {"rnn": ALL_ONE_WAY})).legends[0]) == [HORIZON]


@pytest.fixture
def attribution():
    network = RNN(1, 4, 1, rng=0)
    y_hat = network.forward(np.random.default_rng(0).normal(size=(6, 3, 1)))
    return Attribution.of(network.backward(np.ones_like(y_hat)))


@pytest.mark.parametrize(
    ("weights", "label"), [("R", "dL/dR"), ("W", "dL/dW"), ("together", "dL/d(W, R, b_s, U)")]
)
def test_one_attribution_is_drawn_in_the_axes_that_are_given(attribution, weights, label):
    _, mine = plt.subplots()
    assert plot_attribution(attribution, weights=weights, ax=mine) is mine
    of = getattr(attribution, weights)
    np.testing.assert_array_equal([bar.get_height() for bar in mine.patches], of.shares)
    assert mine.get_ylabel() == f"signed share in {label}"


def test_it_is_public_in_both_places():
    assert figures.plot_attribution is memspan.plot_attribution


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attribution": None}, "attribution must be an Attribution, got None"),
        ({"weights": "V"}, "weights must be one of R, W, together, got 'V'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(attribution, arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        plot_attribution(**{"attribution": attribution, **arguments})
