"""The error of a numerical derivative against its step size."""

from typing import TYPE_CHECKING

import numpy as np

from memspan.figures.style import BLUE, GREY, ORANGE, new_figure, tidy
from memspan.gradcheck import StepSweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_sweep(sweep: StepSweep) -> "Figure":
    """Draw both errors on log-log axes, with the fitted slopes. Errors of exactly 0 are at the lower edge."""
    figure = new_figure(7.0, 4.6)
    ax = figure.subplots()
    floor = np.finfo(float).eps / 4
    slopes = f"slopes {sweep.truncation_slope:+.2f} and {sweep.rounding_slope:+.2f}"
    ax.loglog(sweep.steps, np.maximum(sweep.central, floor), "o-", ms=5, color=ORANGE, label=f"central, {slopes}")
    label = f"complex step, slope {sweep.complex_slope:+.2f}, then exact"
    ax.loglog(sweep.steps, np.maximum(sweep.complex_step, floor), "s-", ms=3, color=BLUE, label=label)
    ax.axhline(np.finfo(float).eps, color=GREY, linestyle="--", linewidth=1, label="machine epsilon")
    title = "Error of a numerical derivative, compared with back-propagation"
    ax.set(xlabel="step h", ylabel="relative error", title=title, ylim=(floor / 2, None))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(0.0, 0.4))
    tidy(ax)
    return figure
