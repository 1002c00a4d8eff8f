import csv

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from memspan.figures.style import axes_or_new, new_figure, ordered_colours, save, tidy

COLUMNS = ("name", "position", "value")
ROWS = [("a", 0, 0.1), ("a", 1, 1 / 3), ("a", 2, 1e-300), ('b, "quoted"', 0, np.nan), ('b, "quoted"', 1, -np.inf)]


def draw(seed=0):
    """A figure with all that has an identity of its own in an SVG: clips, markers, text."""
    figure = new_figure(3, 2)
    ax = figure.subplots()
    ax.plot(np.random.default_rng(seed).normal(size=20), "o-", label="noise")
    ax.fill_between([0, 5], [0, 1], [1, 2], alpha=0.3)
    ax.set(title="A title in letters")
    ax.legend()
    return figure


def test_a_figure_is_saved_as_two_pictures_and_its_numbers(tmp_path):
    save(draw(), tmp_path, "noise", COLUMNS, ROWS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["noise.csv", "noise.png", "noise.svg"]
    picture = plt.imread(tmp_path / "noise.png")
    assert picture.shape[:2] == (300, 450)  # 150 dots an inch
    assert len(np.unique(picture)) > 100
    svg = (tmp_path / "noise.svg").read_text(encoding="utf-8")
    assert "A title in letters</text>" in svg
    assert "<dc:date>" not in svg


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("once", "again"):
        save(draw(), tmp_path, name, COLUMNS, ROWS)
    save(draw(seed=1), tmp_path, "other", COLUMNS, ROWS[1:])
    for kind in ("svg", "png", "csv"):
        once, again, other = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("once", "again", "other"))
        assert once == again != other


def test_the_numbers_come_back_as_they_were(tmp_path):
    save(draw(), tmp_path, "noise", COLUMNS, ROWS)
    with (tmp_path / "noise.csv").open(newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(file)
    assert tuple(columns) == COLUMNS
    assert [(name, int(position)) for name, position, _ in rows] == [row[:2] for row in ROWS]
    np.testing.assert_array_equal([float(row[2]) for row in rows], [row[2] for row in ROWS])


@pytest.mark.parametrize("count", [1, 2, 7])
def test_ordered_colours_go_from_dark_to_light(count):
    colours = ordered_colours(count)
    light = [np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]) for colour in colours]
    assert len(colours) == count
    assert (np.diff(light) > 0).all()
    assert max(light) < 0.8
    assert light[0] < 0.2


def test_a_new_figure_is_unknown_to_pyplot():
    before = plt.get_fignums()
    assert new_figure(2, 3).get_size_inches().tolist() == [2, 3]
    assert plt.get_fignums() == before


def test_axes_that_are_given_are_taken():
    before, ax = plt.get_fignums(), new_figure().subplots()
    assert axes_or_new(ax) is ax
    assert plt.get_fignums() == before


def test_tidy_axes_have_two_spines_and_a_grid_behind_the_data():
    ax = new_figure().subplots()
    tidy(ax)
    assert [side for side, spine in ax.spines.items() if spine.get_visible()] == ["left", "bottom"]
    assert ax.xaxis.get_gridlines()[0].get_visible()
    assert ax.get_axisbelow() is True
