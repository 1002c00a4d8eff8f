import numpy as np

from memspan.figures.beyond import AccuracyBeyond, draw_beyond

RECORD = AccuracyBeyond("title", 0.9, {5: {10: (1.0, 0.8), 20: (0.4, 0.6)}, 10: {10: (0.95,), 20: ()}})


def test_the_map_has_the_mean_of_each_pair_of_lengths():
    ax = draw_beyond(RECORD).axes[0]
    np.testing.assert_allclose(ax.images[0].get_array().filled(np.nan), [[0.9, 0.5], [0.95, np.nan]])
    assert [text.get_text() for text in ax.texts] == ["0.90", "0.50", "0.95"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["5", "10"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["10", "20"]


def test_the_rows_count_what_reached_the_threshold():
    assert RECORD.rows() == [(5, 10, 2, 0.9, 1), (5, 20, 2, 0.5, 0), (10, 10, 1, 0.95, 1)]
    assert all(len(row) == len(RECORD.columns) for row in RECORD.rows())
