from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.container import ErrorbarContainer

from memspan.figures.configurations import COLOURS, MARKERS, MOST_CONFIGURATIONS, SharesByLength, draw_shares
from memspan.span import SolvedShare

RECORD = SharesByLength(
    "recall: 2 configurations of cell",
    {
        "cell rnn": {5: SolvedShare.of(3, 4), 10: SolvedShare.of(0, 4)},
        "cell gru": {5: SolvedShare.of(4, 4), 10: SolvedShare.of(1, 4), 20: SolvedShare.of(0, 2)},
    },
)


def drawn(ax):
    """Points, and lower and upper ends of the intervals, of each configuration."""
    found = {}
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer):
            points, _, (lines,) = container
            ends = np.array([segment[:, 1] for segment in lines.get_segments()])
            found[container.get_label()] = points, ends
    return found


def many(count):
    return SharesByLength("many", {f"seed {k}": {5: SolvedShare.of(k % 3, 4)} for k in range(count)})


def test_rows_are_what_is_drawn():
    assert len(RECORD.rows()) == 5
    share = SolvedShare.of(1, 4)
    assert RECORD.rows()[3] == ("cell gru", 10, 4, 1, 0.25, share.low, share.high, *share.exact)
    assert all(len(row) == len(RECORD.columns) for row in RECORD.rows())
    assert SharesByLength("", {"cell rnn": {}}).rows() == []


def test_each_configuration_is_a_line_with_its_intervals():
    (ax,) = draw_shares(RECORD).axes
    lines = drawn(ax)
    assert list(lines) == list(RECORD.shares)
    for label, shares in RECORD.shares.items():
        points, ends = lines[label]
        np.testing.assert_allclose(points.get_ydata(), [share.share for share in shares.values()])
        np.testing.assert_allclose(points.get_xdata(), list(shares), atol=0.01 * 15)
        expected = [(share.low, share.high) for share in shares.values()]
        np.testing.assert_allclose(ends, expected, atol=1e-12)
    one, other = (lines[label][0] for label in RECORD.shares)
    assert not same_color(one.get_color(), other.get_color())
    assert one.get_marker() != other.get_marker()
    assert not np.isin(one.get_xdata(), other.get_xdata()).any()  # a little apart
    assert np.mean([one.get_xdata()[0], other.get_xdata()[0]]) == pytest.approx(5)


def test_the_legend_names_each_and_the_line_at_a_half():
    (ax,) = draw_shares(RECORD).axes
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(words) == sorted([*RECORD.shares, "half of the repetitions"])
    (half,) = (line for line in ax.get_lines() if line.get_label() == "half of the repetitions")
    assert set(half.get_ydata()) == {0.5}
    assert ax.figure.get_suptitle() == f"{RECORD.title}\nBars: 95 % Wilson interval"


def test_as_many_as_can_be_told_apart_have_colours_and_markers_of_their_own():
    assert (
        len(set(COLOURS[:MOST_CONFIGURATIONS])) == len(set(MARKERS[:MOST_CONFIGURATIONS])) == MOST_CONFIGURATIONS
    )
    (ax,) = draw_shares(many(MOST_CONFIGURATIONS)).axes
    assert len(drawn(ax)) == MOST_CONFIGURATIONS


@pytest.mark.parametrize("count", [MOST_CONFIGURATIONS + 1, 60, 200])
def test_of_more_there_is_a_map_with_their_names(count):
    record = many(count)
    record.shares["seed 1"][50] = SolvedShare.of(1, 1)
    figure = draw_shares(record)
    figure.draw_without_rendering()
    ax, colours = figure.axes
    (image,) = ax.get_images()
    shares = image.get_array()
    np.testing.assert_array_equal(shares[:, 0], [k % 3 / 4 for k in range(count)])
    assert shares[1, 1] == 1
    assert shares.mask[0, 1]  # not tried
    assert image.get_clim() == (0, 1)
    labels = [(at, text.get_text()) for at, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)]
    assert labels[0] == (0, "seed 0")
    assert len(labels) == (count if count <= 60 else 50)
    assert all(text == f"seed {at}" for at, text in labels)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["5", "50"]
    assert colours.get_ylabel() == "share that solved"
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes))


def test_ticks_are_at_the_lengths_that_were_tried():
    (ax,) = draw_shares(RECORD).axes
    assert sorted(ax.get_xticks()) == [5, 10, 20]


@pytest.mark.parametrize("labels", [["cell rnn"], ["cell rnn", "x" * 100], ["start orthogonal, " * 6, "cell gru"]])
def test_short_and_long_ones_are_drawn_whole(labels):
    shares = {label: {7: SolvedShare.of(1, 2)} for label in labels}
    figure = draw_shares(SharesByLength("title " * 40, shares))
    figure.draw_without_rendering()
    box, whole = figure.axes[0].get_legend().get_window_extent(), figure.get_window_extent()
    assert box.x1 <= whole.x1 + 1
    assert box.x0 >= figure.axes[0].get_window_extent().x1


def test_a_configuration_without_trials_has_no_line():
    (ax,) = draw_shares(SharesByLength("", RECORD.shares | {"cell lstm": {}})).axes
    assert list(drawn(ax)) == list(RECORD.shares)
