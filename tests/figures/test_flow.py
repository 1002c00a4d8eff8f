import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color

import memspan
from memspan import LSTM, RNN, GradientFlow, InvalidArgument, figures, plot_flow
from memspan.figures.configurations import COLOURS
from memspan.figures.flow import DASHES, FlowsByLag, demand_distinct, draw_flows, look_of

FIELDS = ("cell", "gain")
TWO_BY_TWO = {
    ("rnn", "1"): [np.array([0.01, 0.1, 1.0])],
    ("rnn", "2"): [np.array([0.1, 0.5, 2.0])],
    ("lstm", "1"): [np.array([0.3, 0.4, 0.5]), np.array([0.2, 0.3, 0.4])],
    ("lstm", "2"): [np.array([0.0, np.nan, 1.0])],
}


def words(legend):
    return [text.get_text() for text in legend.get_texts()]


def lines_of(ax):
    """Without the marks."""
    return [line for line in ax.get_lines() if line.get_marker() == "None"]


def test_rows_are_what_is_drawn_and_lag_0_is_the_last_step():
    record = FlowsByLag("", FIELDS, {("", ""): TWO_BY_TWO})
    rows = record.rows()
    assert record.columns == ("row", "column", "cell", "gain", "network", "lag", "norm")
    assert rows[:3] == [
        ("", "", "rnn", "1", 1, 2, 0.01),
        ("", "", "rnn", "1", 1, 1, 0.1),
        ("", "", "rnn", "1", 1, 0, 1),
    ]
    assert [row[4] for row in rows if row[2:4] == ("lstm", "1")] == [1, 1, 1, 2, 2, 2]
    assert len(rows) == 15


def test_all_are_in_one_panel_with_a_colour_for_the_cell_and_dashes_for_the_gain():
    figure = draw_flows(FlowsByLag("title", FIELDS, {("", ""): TWO_BY_TWO}))
    (ax,) = figure.axes
    rnn_1, rnn_2, lstm_1, also_lstm_1, lstm_2 = lines_of(ax)
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(rnn_1.get_xydata(), [[2, 0.01], [1, 0.1], [0, 1]])
    assert same_color(rnn_1.get_color(), rnn_2.get_color())
    assert same_color(lstm_1.get_color(), lstm_2.get_color())
    assert not same_color(rnn_1.get_color(), lstm_1.get_color())
    dashes = [line._unscaled_dash_pattern for line in (rnn_1, lstm_1, also_lstm_1, rnn_2, lstm_2)]
    assert dashes[0] == dashes[1] == dashes[2] != dashes[3] == dashes[4]
    named = ["cell rnn", "cell lstm", "gain 1", "gain 2", "exactly 0", "not finite"]
    assert words(figure.legends[0]) == named


def test_of_one_field_each_line_has_its_own_colour_and_dashes():
    figure = draw_flows(FlowsByLag("", ("gain",), {("", ""): {("1",): [np.ones(3)], ("4",): [2 * np.ones(3)]}}))
    one, four = lines_of(figure.axes[0])
    assert not same_color(one.get_color(), four.get_color())
    assert one.get_linestyle() != four.get_linestyle()
    assert words(figure.legends[0]) == ["gain 1", "gain 4"]


def test_panels_are_headed_and_those_in_a_row_share_their_scale():
    line = {("rnn",): [np.array([1e-5, 1.0])]}
    panels = {(row, column): line for row in ("T = 2", "T = 3") for column in ("before", "after")}
    figure = draw_flows(FlowsByLag("", ("cell",), panels))
    assert [ax.get_title() for ax in figure.axes] == [
        "T = 2, before",
        "T = 2, after",
        "T = 3, before",
        "T = 3, after",
    ]
    left, right, *_ = figure.axes
    assert left.get_shared_y_axes().joined(left, right)


def test_an_empty_panel_says_so_and_has_no_scale():
    panels = {("T = 2", "before"): {("rnn",): [np.ones(3)]}, ("T = 2", "after"): {}}
    _, empty = draw_flows(FlowsByLag("", ("cell",), panels)).axes
    assert [text.get_text() for text in empty.texts] == ["none"]
    assert empty.get_xticks().size == 0


def test_every_line_that_is_allowed_looks_different():
    choices = [(str(a), str(b)) for a in range(len(COLOURS)) for b in range(len(DASHES))]
    demand_distinct(choices, FIELDS)
    assert len({str(look_of(one, choices)) for one in choices}) == len(COLOURS) * len(DASHES)
    for size, name in ((9, "cell must be at most 8 values"), (7, "gain must be at most 6 values")):
        more = [(str(k), "1") if size == 9 else ("1", str(k)) for k in range(size)] + [("0", "0")]
        with pytest.raises(InvalidArgument, match=name):
            demand_distinct(more, FIELDS)


@pytest.fixture
def flows():
    found = {}
    for network in (RNN(1, 4, 1, rng=0), LSTM(1, 4, 1, rng=0)):
        y_hat = network.forward(np.ones((6, 1)))
        network.backward(np.ones_like(y_hat))
        found[network.cell.name] = GradientFlow.of(network.grads)
    return found


def test_a_flow_is_drawn_against_its_lag(flows):
    ax = plot_flow(flows["rnn"])
    (line,) = lines_of(ax)
    np.testing.assert_array_equal(line.get_xdata(), [5, 4, 3, 2, 1, 0])
    np.testing.assert_array_equal(line.get_ydata(), flows["rnn"].d_a)
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "‖dL/da[t]‖")


def test_a_band_shows_the_quantiles_of_a_single_flow(flows):
    network = RNN(1, 4, 1, rng=0)
    x = np.random.default_rng(0).normal(size=(6, 30, 1))
    flow = GradientFlow.of(network.backward(np.ones_like(network.forward(x))))
    ax = plot_flow(flow)
    assert words(ax.get_legend()) == ["10 to 90 % of the samples"]
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert {heights.min(), heights.max()} == {flow.spread.quantiles[0].min(), flow.spread.quantiles[2].max()}
    _, other = plt.subplots()
    assert not plot_flow(flow, quantity="d_W", ax=other).collections
    assert not plot_flow(flows, ax=other).collections


def test_several_flows_are_drawn_in_the_axes_that_are_given(flows):
    _, mine = plt.subplots()
    assert plot_flow(flows, quantity="d_W", ax=mine) is mine
    assert words(mine.get_legend()) == ["rnn", "lstm"]
    for line, flow in zip(lines_of(mine), flows.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), flow.d_W)


def test_marks_explain_what_a_log_axis_cannot_show(flows):
    assert words(plot_flow(flows["rnn"], quantity="d_R").get_legend()) == ["exactly 0"]  # at t = 0


def test_it_is_public_in_both_places():
    assert figures.plot_flow is memspan.plot_flow


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flow": None}, "flow must be a GradientFlow, or a mapping of names to GradientFlows, got None"),
        ({"flow": {}}, "flow must be a GradientFlow"),
        ({"flow": {"a": 3}}, "flow must be a GradientFlow"),
        ({"quantity": "d_V"}, "quantity must be one of d_a, d_R, d_W, got 'd_V'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(flows, arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        plot_flow(**{"flow": flows["rnn"], **arguments})
