"""Old names work for one more version, and warn in one line with the new name."""

import numpy as np
import pytest

from memspan import InvalidArgument, Network, Recall, Shape, Study, Task
from memspan.cells.base import Cell
from memspan.runtime.renamed import RenamedAttribute, RenamedWarning, checked_keywords, with_new_names


def test_a_keyword_is_passed_on_by_its_new_name():
    @checked_keywords(old="new")
    def function(a, *, new=0):
        return a, new

    assert function(1, new=2) == (1, 2)
    with pytest.warns(
        RenamedWarning, match=r"^old is now new; the old name stops working in memspan 0\.3$"
    ) as found:
        assert function(1, old=2) == (1, 2)
    assert found[0].filename == __file__
    with pytest.raises(
        InvalidArgument, match=r"^old must be left out, because it is the old name of new, .* got 2$"
    ):
        function(1, old=2, new=3)


def test_names_are_replaced_where_only_the_old_one_is_there():
    with pytest.warns(RenamedWarning, match="^a is now b;"):
        assert with_new_names({"a": 1, "c": 2}, {"a": "b"}) == {"b": 1, "c": 2}
    message = r"^a must be left out, because it is the old name of b, which is also given"
    with pytest.raises(InvalidArgument, match=message):
        with_new_names({"a": 1, "b": 2}, {"a": "b"})


def test_an_attribute_reads_the_new_one():
    class Thing:
        new = 3
        old = RenamedAttribute("new")

    with pytest.warns(RenamedWarning, match=r"^Thing\.old is now new;"):
        assert Thing().old == 3


def test_an_attribute_writes_the_new_one():
    class Thing:
        new = 3
        old = RenamedAttribute("new")

    thing = Thing()
    with pytest.warns(RenamedWarning, match=r"^Thing\.old is now new;"):
        thing.old = 4
    assert thing.new == 4


OLD_FIELDS = {
    "parameters": ("task_parameters", {"tolerance": 0.2}),
    "start": ("init", "orthogonal"),
    "evaluation_batches": ("final_batches", 3),
    "weights": ("keep_weights", 2),
}


@pytest.mark.parametrize("old", OLD_FIELDS)
def test_fields_of_a_study_in_python_and_in_files(old, tmp_path):
    new, value = OLD_FIELDS[old]
    with pytest.warns(RenamedWarning, match=f"^{old} is now {new};"):
        assert Study(**{old: value}) == Study(**{new: value})
    file = tmp_path / "study.toml"
    written = "{tolerance = 0.2}" if isinstance(value, dict) else repr(value).replace("'", '"')
    file.write_text(f"{old} = {written}\n")
    with pytest.warns(RenamedWarning, match=f"study.toml: {old} is now {new};") as found:
        assert Study.read(file) == Study(**{new: value})
    assert found[0].filename == __file__
    with pytest.warns(RenamedWarning, match=f"study.toml: {old} is now {new};") as found:
        assert Study.read(file, **{old: value}) == Study(**{new: value})
    assert len(found) == 1
    with pytest.warns(RenamedWarning, match=f"^{old} is now {new};"):
        assert Study().with_(**{old: value}) == Study(**{new: value})
    with pytest.warns(RenamedWarning, match=f"^{old} is now {new};"):
        assert Study().model_copy(update={old: value}) == Study(**{new: value})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--start orthogonal", "--init orthogonal"),
        ("--parameters.tolerance 0.2", "--task-parameters.tolerance 0.2"),
        ("--evaluation-batches=3", "--final-batches=3"),
        ("--weights 0", "--keep-weights 0"),
    ],
)
def test_options_of_the_command_line(memspan_, old, new):
    sizes = "--hidden 3 --batch 4 --updates 2 --lengths 2 --repetitions 1 --evaluation-samples 10 --workers 0"
    rest = f"{sizes} --progress none --no-figures"
    assert memspan_(f"study run {rest} {new}")[0] == 0
    code, _, err = memspan_(f"study run {rest} {old} --dry-run")
    names = [words.split()[0].partition("=")[0].partition(".")[0] for words in (old, new)]
    message = f"memspan: {names[0]} is now {names[1]}; the old name stops working in memspan 0.3\n"
    assert (code, err) == (0, message)
    assert memspan_(f"study run {rest} {old} --dry-run")[1] == "nothing to do\n"  # it is the same study


def test_an_old_option_beside_the_new_one_is_refused(memspan_):
    code, out, err = memspan_("study run --start lecun --init=identity --dry-run")
    assert (code, out) == (2, "")
    assert err == (
        "memspan: --start must be left out, because it is the old name of --init, which is also given, "
        "got '--start'\n"
    )


def test_networks_cells_and_tasks():
    with pytest.warns(RenamedWarning, match="^read_out is now output_steps;"):
        assert Network("rnn", 1, 3, 1, read_out=2, rng=0).output_steps == 2
    with pytest.warns(RenamedWarning, match="^read_out is now output_steps;"):
        assert Shape(5, 1, 1, read_out=2) == Shape(5, 1, 1, 2)
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    with pytest.warns(RenamedWarning, match=r"^Task\.sample\(rng, length, batch\) is now "):
        old = Recall().sample(rng, 5, 3)
    np.testing.assert_array_equal(old.x, Recall().sample(5, 3, same).x)
    with pytest.warns(RenamedWarning, match=r"^Later\.new_loss is now make_loss;"):

        class Later(Recall):
            def new_loss(self):
                return "a loss"

    assert Later().make_loss() == "a loss"
    assert issubclass(Later, Task)


def forward(s, previous, unit):
    return (s[0] * unit[0],), (s[0],)


def backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * unit[0],), (0.0,), (d_state[0] * residuals[0],)


def test_the_words_of_a_cell():
    names = {
        "saved": ("x",),
        "driven": ("a",),
        "recurrent": (),
        "own": ("u",),
        "start": "lecun",
        "own_start": None,
    }
    with pytest.warns(RenamedWarning) as found:
        old = Cell("mine", ("a",), ("a",), forward, backward, "this test", **names)
    told = ["saved", "driven", "recurrent", "own", "start", "own_start"]
    assert [str(warning.message).split()[0] for warning in found] == told
    new = Cell(
        *("mine", ("a",), ("a",), forward, backward, "this test"),
        residuals=("x",),
        input_gates=("a",),
        recurrent_gates=(),
        unit_weights=("u",),
        init="lecun",
    )
    assert old == new
