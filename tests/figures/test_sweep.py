import csv

import numpy as np

from memspan.figures.style import save
from memspan.figures.sweep import draw_sweep
from memspan.gradcheck import StepSweep

SWEEP = StepSweep(
    steps=np.array([1e-1, 1e-5, 1e-20]),
    central=np.array([1e-3, 1e-11, 1.0]),
    complex_step=np.array([2e-3, 2e-11, 0.0]),
    truncation_slope=2.0,
    rounding_slope=-1.0,
    complex_slope=1.99,
)


def test_both_errors_are_drawn_and_what_is_exact_sits_on_the_edge():
    (ax,) = draw_sweep(SWEEP).axes
    central, complex_step, epsilon = ax.get_lines()
    np.testing.assert_array_equal(central.get_xydata(), np.transpose([SWEEP.steps, SWEEP.central]))
    np.testing.assert_array_equal(complex_step.get_xdata(), SWEEP.steps)
    np.testing.assert_array_equal(complex_step.get_ydata()[:2], SWEEP.complex_step[:2])
    assert ax.get_ylim()[0] < complex_step.get_ydata()[2] < np.finfo(float).eps
    assert epsilon.get_ydata()[0] == np.finfo(float).eps
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_the_legend_says_the_slopes():
    (ax,) = draw_sweep(SWEEP).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "central, slopes +2.00 and -1.00",
        "complex step, slope +1.99, then exact",
        "machine epsilon",
    ]


def test_it_is_saved_with_its_numbers(tmp_path):
    save(draw_sweep, SWEEP, tmp_path, "step-sweep")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"step-sweep.{kind}" for kind in ("csv", "png", "svg")
    ]
    with (tmp_path / "step-sweep.csv").open(newline="", encoding="utf-8") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["step", "central difference", "complex step"]
    expected = np.transpose([SWEEP.steps, SWEEP.central, SWEEP.complex_step])
    np.testing.assert_array_equal(np.array(rows, float), expected)
