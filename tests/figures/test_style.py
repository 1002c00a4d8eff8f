import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from memspan import get_task
from memspan.figures.accuracy import AccuracyByLength, draw_accuracy
from memspan.figures.style import (
    axes_or_new,
    legend_beside,
    mark_lengths,
    name_height,
    new_figure,
    ordered_colours,
    plain_number,
    plain_ticks,
    save,
    tidy,
)
from memspan.figures.training import Predictions, draw_predictions
from memspan.span import SolvedShare

ROWS = [("a", 0, 0.1), ("a", 1, 1 / 3), ("a", 2, 1e-300), ('b, "quoted"', 0, np.nan), ('b, "quoted"', 1, -np.inf)]


@dataclass(frozen=True)
class Noise:
    """A record."""

    seed: int = 0
    points: int = 20
    columns = ("name", "position", "value")

    def rows(self):
        return ROWS[self.seed :]


def draw(noise):
    """A figure with all that has an identity of its own in an SVG: clips, markers, text."""
    figure = new_figure(3, 2)
    ax = figure.subplots()
    ax.plot(np.random.default_rng(noise.seed).normal(size=noise.points), "o-", label="noise")
    ax.fill_between([0, 5], [0, 1], [1, 2], alpha=0.3)
    ax.set(title="A title in letters")
    ax.legend()
    return figure


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (0.02, "0.02"), (1e-3, "0.001"), (1e-4, "10⁻⁴"), (1e12, "10¹²"), (2e-5, "2e-05")]
)
def test_numbers_beside_an_axis_are_plain_text(value, text):
    assert plain_number(value) == text


@pytest.mark.parametrize(("top", "named"), [(50, {"1", "2", "5", "10", "20", "50"}), (1e6, {"1", "10⁶", "100"})])
def test_a_short_logarithmic_axis_has_more_numbers(top, named):
    ax = new_figure(3, 3).subplots()
    ax.set(yscale="log", ylim=(1, top))
    plain_ticks(ax)
    ax.figure.draw_without_rendering()
    found = {text.get_text() for text in ax.get_yticklabels()}
    assert named <= found
    assert not any("$" in text for text in found)


def test_a_figure_is_saved_as_two_pictures_and_its_numbers(tmp_path):
    save(draw, Noise(), tmp_path, "noise")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["noise.csv", "noise.png", "noise.svg"]
    picture = plt.imread(tmp_path / "noise.png")
    assert picture.shape[:2] == (300, 450)  # 150 dots an inch
    assert len(np.unique(picture)) > 100
    svg = (tmp_path / "noise.svg").read_text(encoding="utf-8")
    assert "A title in letters</text>" in svg
    assert "<dc:date>" not in svg


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("once", "again"):
        save(draw, Noise(), tmp_path, name)
    save(draw, Noise(seed=1), tmp_path, "other")
    for kind in ("svg", "png", "csv"):
        once, again, other = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("once", "again", "other"))
        assert once == again != other


def test_the_numbers_come_back_as_they_were(tmp_path):
    save(draw, Noise(), tmp_path, "noise")
    with (tmp_path / "noise.csv").open(newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(file)
    assert tuple(columns) == Noise.columns
    assert [(name, int(position)) for name, position, _ in rows] == [row[:2] for row in ROWS]
    np.testing.assert_array_equal([float(row[2]) for row in rows], [row[2] for row in ROWS])


ACCURACY = AccuracyByLength(
    "title",
    {5: (0.9, 1.0), 10: (0.1, 0.2)},
    {5: SolvedShare(2, 2, 0.34, 1.0), 10: SolvedShare(0, 2, 0.0, 0.66)},
    0.9,
    {5: 0.1, 10: 0.1},
)


@pytest.mark.parametrize(
    "settings",
    [
        {"text.usetex": True},  # which would need LaTeX
        {
            "font.size": 30,
            "lines.marker": "*",
            "savefig.facecolor": "red",
            "svg.fonttype": "path",
            "savefig.dpi": 20,
        },
        None,
    ],
    ids=["usetex", "strange", "dark"],
)
def test_the_users_style_changes_no_figure_and_no_figure_changes_it(settings, tmp_path):
    save(draw_accuracy, ACCURACY, tmp_path, "usual")
    with matplotlib.rc_context(settings):
        if settings is None:
            matplotlib.style.use("dark_background")
        before = dict(matplotlib.rcParams)
        save(draw_accuracy, ACCURACY, tmp_path, "users")
        assert dict(matplotlib.rcParams) == before
    for kind in ("svg", "png"):
        assert (tmp_path / f"users.{kind}").read_bytes() == (tmp_path / f"usual.{kind}").read_bytes()


def test_on_dark_axes_of_the_user_nothing_is_black():
    predictions = Predictions(np.array([0.0, 1.0]), np.array([0.1, 0.9]), 1.0, 0.1)
    with matplotlib.style.context("dark_background"):
        ax = draw_predictions(predictions)
        (diagonal,) = [line for line in ax.get_lines() if line.get_label() == "prediction = label"]
        assert to_rgb(diagonal.get_color()) == (1.0, 1.0, 1.0)
        plt.close(ax.figure)


def test_a_figure_is_laid_out_once(tmp_path, monkeypatch):
    """Which takes as long as drawing it."""
    counts = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *of: counts.append(1) or execute(*of))
    save(draw, Noise(), tmp_path, "noise")
    assert len(counts) == 1


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, "{tests}")
from test_style import Noise, draw
from memspan.figures.style import save
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
try:
    save(draw, Noise(points=3000), Path("."), "noise")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no files")
@pytest.mark.parametrize("size", [100, 100_000], ids=["PNG", "SVG"])
def test_on_a_full_disk_there_is_no_part_of_a_picture(tmp_path, size):
    save(draw, Noise(points=3000), tmp_path, "noise")
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(old["noise.png"]) < 100_000 < len(old["noise.svg"])
    script = FULL.format(tests=Path(__file__).parent, size=size)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


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


def test_a_title_is_wrapped_to_the_figure_and_above_its_height():
    sentence = get_task("copying/urnn").sentence
    figure = new_figure(6.0, 3.0, f"short\n{sentence} {sentence}")
    figure.subplots()
    figure.draw_without_rendering()
    first, *others = figure.get_suptitle().splitlines()
    assert first == "short"
    assert " ".join(others) == f"{sentence} {sentence}"
    assert max(map(len, others)) - min(map(len, others)) < 20
    box, whole = figure._suptitle.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1
    assert box.y1 <= whole.y1
    assert box.y0 >= figure.dpi * 3.0 - 10  # pixels
    assert new_figure(6.0, 3.0).get_figheight() == 3.0


def test_a_label_of_all_panels_is_beside_them_and_not_beside_the_title():
    figure = new_figure(6.0, 3.0, "title\n" * 6)
    name_height(figure, "height")
    assert figure._supylabel.get_position()[1] == pytest.approx(0.5 * 3.0 / figure.get_figheight())


@pytest.mark.parametrize("words", [0, 1, 5, 40])
def test_a_legend_beside_the_panels_is_below_the_title_and_covers_no_panel(words):
    """A long title is as wide as the figure, and a name of the user's own makes a wide legend."""
    figure = new_figure(7.0, 4.0, "many words in a title that is wide " * words)
    figure.subplots(1, 2)
    legend_beside(figure, [Line2D([], [], label="cell mypackage.cells:long"), Line2D([], [], label="exactly 0")])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    boxes = [text.get_window_extent() for text in legend.get_texts()]
    end_of_title = figure._suptitle.get_window_extent().y0 if words else figure.bbox.y1
    assert 0 <= (end_of_title - boxes[0].y1) / figure.dpi < 0.6
    assert max(ax.get_tightbbox().x1 for ax in figure.axes) <= legend.get_window_extent().x0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


@pytest.mark.parametrize(("scale", "named"), [("linear", [1000, 70, 3]), ("log", [1000, 70, 3, 2, 1])])
def test_ticks_have_labels_where_there_is_room(scale, named):
    ax = new_figure().subplots()
    ax.set_xscale(scale)
    lengths = [1, 2, 3, 60, 70, 1000]
    mark_lengths(ax, lengths)
    assert [text.get_text() for text in ax.get_xticklabels()] == [str(length) for length in named]
    assert {*ax.get_xticks(), *ax.get_xticks(minor=True)} == {*lengths}
