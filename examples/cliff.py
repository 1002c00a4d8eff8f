"""How far back a network remembers, and why it stops there, in one picture.

    python examples/cliff.py [FOLDER]

The script runs the first study. On the left it plots the share of networks that solve each length. On the right it
plots the gradient against lag at one length that some networks solve and others do not: one line per network,
before and after training.
"""

import sys
from pathlib import Path

from memspan import Study, run_study
from memspan.figures.shares import draw_intervals
from memspan.figures.style import BLUE, GREY, ORANGE, mark_lengths, new_figure, own_style, save_picture, tidy
from memspan.study.facts import facts

LENGTH = 30
result = run_study(Study(), progress=False)
configuration = result.study.configuration
task = configuration.make_task()


def draw_shares(ax) -> None:
    """Draw the solved share against sequence length, with its 95 % interval."""
    rows = result.summaries()
    lengths = [row.length for row in rows]
    look = {"fmt": "o-", "color": BLUE, "capsize": 3, "label": "95 % Wilson interval"}
    draw_intervals(ax, lengths, [row.share for row in rows], **look)
    mark_lengths(ax, lengths)
    ax.axhline(0.5, color="black", linewidth=1, linestyle=":", label="half of the networks")
    ax.set(xlabel="sequence length T (time steps)", ylabel="share of networks that solve T", ylim=(-0.03, 1.03))
    ax.set_title("How far back?")
    ax.legend(frameon=False, fontsize="small")
    tidy(ax)


def draw_gradients(ax) -> None:
    """Draw the norm of dL/da[t] against lag, one line per network."""
    looks = {"before training": GREY, "after training, solved": BLUE, "after training, not solved": ORANGE}
    for trial in result.of_length(LENGTH):
        after = "after training, solved" if trial.outcome == "solved" else "after training, not solved"
        for label, flow in {"before training": trial.start, after: trial.end}.items():
            ax.plot(range(LENGTH), flow.d_a[::-1], color=looks[label], linewidth=1.1)
    for label, colour in looks.items():
        ax.plot([], [], color=colour, label=label)
    ax.set(xlabel="lag (time steps before the end)", ylabel="gradient ‖dL/da[t]‖", yscale="log")
    ax.set_title(f"Why does it stop there?  (T = {LENGTH})")
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    tidy(ax)


with own_style():
    title = [f"{task.name}: {task.sentence}", configuration.describe(), *facts([result])]
    figure = new_figure(10.0, 3.6, "\n".join(title))
    left, right = figure.subplots(1, 2)
    draw_shares(left)
    draw_gradients(right)
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "cliff.png"
    save_picture(figure, path, dpi=110)
print(path)
