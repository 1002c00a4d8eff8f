"""One page on why a configuration stops at a length: what limits it, and what happens in a network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memspan.figures.limits import COLUMNS, LimitsByLength, draw_limits_in
from memspan.figures.mechanism import Mechanism, draw_mechanism_in
from memspan.figures.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class WhyPage:
    """The content of the page: what limits a configuration by length, and what happens in a network."""

    title: str
    limits: LimitsByLength
    mechanism: Mechanism

    columns = COLUMNS

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of both halves."""
        return [*self.limits.rows(), *self.mechanism.rows()]


def draw_why(record: WhyPage) -> "Figure":
    """Draw the page: three panels over length on the left; map, eigenvalues and gates on the right."""
    figure = new_figure(12.4, 8.6, record.title)
    halves = figure.add_gridspec(1, 2, width_ratios=[1, 1.25])
    draw_limits_in(figure, halves[0], record.limits)
    draw_mechanism_in(figure, halves[1], record.mechanism)
    return figure
