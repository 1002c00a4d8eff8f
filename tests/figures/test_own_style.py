import matplotlib
import numpy as np

from memspan import MSELoss, Network
from memspan.figures.style import save
from memspan.figures.sweep import draw_sweep
from memspan.gradcheck import step_size_sweep


def test_the_style_of_the_user_changes_no_figure_and_is_kept(tmp_path):
    network, x, y = Network("rnn", 1, 3, 1, rng=1), np.ones((4, 2, 1)), np.zeros((2, 1))
    sweep = step_size_sweep(network, x, y, MSELoss())
    kinds, drawn = ("png", "svg", "csv"), []
    for settings in ({}, {"text.usetex": True, "figure.facecolor": "black", "lines.linewidth": 9.0}):
        with matplotlib.rc_context():
            if settings:
                matplotlib.style.use("dark_background")
            matplotlib.rcParams.update(settings)
            before = dict(matplotlib.rcParams)
            save(draw_sweep, sweep, tmp_path, "figure")
            assert dict(matplotlib.rcParams) == before
        drawn.append([(tmp_path / f"figure.{kind}").read_bytes() for kind in kinds])
    assert drawn[0] == drawn[1]
    assert len(list(tmp_path.iterdir())) == len(kinds)  # no half file beside them
