"""`memspan flow`, and what the gains do."""

import csv
import re

import numpy as np
import pytest

from memspan import Study
from memspan.study.flow import flow_record

SMALL = "flow --hidden 4 --batch 4 --length 6"


def test_cells_and_gains_are_in_one_figure_and_one_table(memspan_, tmp_path):
    code, out, err = memspan_(f"{SMALL} --cell rnn,lstm,gru --gain 0.5,1,2,4 -o new")
    assert (code, err) == (0, "")  # `memspan_` removes the line about the new folder
    assert out.splitlines()[-1].replace("\\", "/") == "new/flow.png"
    folder = tmp_path / "new"
    assert sorted(path.name for path in folder.iterdir()) == ["flow.csv", "flow.png", "flow.svg"]
    assert (folder / "flow.png").read_bytes().startswith(b"\x89PNG")
    study = Study(cell="rnn,lstm,gru", gain="0.5,1,2,4", hidden=4, batch=4, lengths=6, dtype="float64")
    (networks,) = flow_record(study, 6, [0]).panels.values()
    with (folder / "flow.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    for (cell, gain), (norms,) in networks.items():
        of = [float(row["norm"]) for row in written if (row["cell"], row["gain"]) == (cell, gain)]
        assert of == norms.tolist()
        factor = (norms[0] / norms[-1]) ** (1 / 5)
        row = rf"│ {cell} +│ {gain} +│ +{norms[-1]:.3g} │ +{norms[0]:.3g} │ +{factor:.3g} │"
        assert re.search(row, out), row


def test_of_several_seeds_the_table_has_the_median(memspan_):
    _, out, _ = memspan_(f"{SMALL} --cell rnn --seed 0,1,2")
    (networks,) = flow_record(Study(hidden=4, batch=4, lengths=6, dtype="float64"), 6, [0, 1, 2]).panels.values()
    assert f" {np.median([norms[0] for norms in networks[()]]):.3g} │" in out


def test_one_step_has_no_factor(memspan_):
    code, out, err = memspan_("flow --cell rnn --length 1 --hidden 2 --batch 2")
    assert (code, err) == (0, "")
    assert "– │" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--length 0", "--length must be a whole number of at least 1, got 0"),
        ("--task adding/hs97 --length 5", "--length must be at least 20 for adding/hs97, got 5"),
        (
            "--cell rnn,lru --recurrent-gain 2",
            "--recurrent-gain must be 1 for the cell lru, which has no R, got 2.0",
        ),
        ("--gain 1,2,3,4,5,6,7", "--gain must be at most 6 values in one figure, got 7"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(memspan_, tmp_path, options, message):
    code, out, err = memspan_(f"flow {options} -o new")
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_the_gradient_check_takes_gains(memspan_):
    """At a gain of 0 or of what is not a number it says so; at others it is another network that is checked."""

    def backward_of(options):
        code, out, err = memspan_(f"gradcheck --length 3 --hidden 2 {options}")
        assert (code, err) == (0, "")
        return re.search(r"│ R +│ sum .*", out)[0]

    lines = [
        backward_of(options) for options in ("", "--gain 1 --recurrent-gain 1", "--gain 2", "--recurrent-gain 2")
    ]
    assert lines[0] == lines[1]
    assert len(set(lines)) == 3
    assert memspan_("gradcheck --recurrent-gain 0")[0] == 2
