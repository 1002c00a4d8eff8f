"""`memspan check` and `memspan new`, and parts of the user's own on the command line."""

import sys
from pathlib import Path

import pytest

from memspan import InvalidArgument, Study
from memspan.runtime import imports

BROKEN = """
from memspan import Cell
from memspan.cells.activations import tanh, tanh_derivative


def forward(s, previous, unit):
    a = tanh(s[0] + previous[0])
    return (a,), (a,)


def backward(d_state, residuals, previous, state, unit):
    d = d_state[0] * tanh_derivative(residuals[0])
    return (d,), (d + d,), ()


mine = Cell("mine", ("h",), ("a",), forward, backward, "a test")
"""
QUICK = "--hidden 4 --updates 3 --evaluation-samples 20 --final-batches 1 --progress none --no-figures --workers 0"


@pytest.fixture(autouse=True)
def _fresh_imports(monkeypatch):
    """The current folder becomes importable, and modules of other tests have the same names."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    modules, caches = {*sys.modules}, (imports.entry_points, imports._distributions)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()
    for name in {*sys.modules} - modules:
        if name.startswith("mypkg"):
            del sys.modules[name]


@pytest.mark.parametrize(("kind", "part"), [("cell", "mypkg.parts:mine"), ("task", "mypkg.parts:Mine")])
def test_a_new_part_is_short_passes_its_check_and_trains(memspan_, kind, part):
    code, out, _ = memspan_(f"new {kind} mypkg/parts.py")
    assert code == 0
    assert f"memspan check {part}" in out
    assert len(Path("mypkg/parts.py").read_text().splitlines()) <= 35
    code, out, err = memspan_(f"check {part}")
    assert (code, err) == (0, "")
    assert out.endswith("All contracts are kept.\n")
    code, out, err = memspan_(f"study run --{kind} {part} --lengths 3 --repetitions 1 {QUICK}")
    assert (code, err) == (0, "")


def test_a_new_pytorch_cell_passes_its_check(memspan_):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert memspan_("new cell mypkg/nets.py --torch")[0] == 0
    code, out, err = memspan_("check mypkg.nets:mine")
    assert (code, err) == (0, "")
    assert "Compared with the complex step; largest relative error" in " ".join(out.replace("│", " ").split())
    code, out, _ = memspan_("check mypkg.nets:mine --options.layers 2")
    assert code == 1
    assert out.endswith("1 contract is broken.\n")
    code, _, err = memspan_("gradcheck --cell mypkg.nets:mine")
    assert code == 2
    assert err.startswith("memspan: --cell must be a Cell here, whose equations are known, got mypkg.nets:mine")


def test_a_new_jax_cell_is_short_and_one_kind_is_chosen(memspan_):
    assert memspan_("new cell mypkg/jaxnets.py --jax")[0] == 0
    assert len(Path("mypkg/jaxnets.py").read_text().splitlines()) <= 40
    code, _, err = memspan_("new cell mypkg/both.py --jax --torch")
    assert (code, err) == (2, "memspan: --torch and --jax are two kinds of cells. Choose one.\n")
    assert not Path("mypkg/both.py").exists()


def test_a_broken_cell_is_told_with_what_was_found(memspan_):
    Path("mypkg").mkdir()
    Path("mypkg/cells.py").write_text(BROKEN)
    code, out, _ = memspan_("check mypkg.cells:mine")
    assert code == 1
    row = next(line for line in out.splitlines() if line.startswith("│ derivative"))
    assert "broken" in row
    assert memspan_("gradcheck --cell mypkg.cells:mine --length 5")[0] == 1


def test_cells_and_tasks_of_memspan_can_be_checked(memspan_):
    assert memspan_("check gru")[0] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "check gruu",
            "part must be an import path such as mypkg.cells:mine, or the name of a cell or a task, got ",
        ),
        (
            "check nowhere:mine",
            "The part nowhere:mine cannot be imported: there is no module nowhere in the current ",
        ),
        (
            "check math:pi",
            "part must be the import path of a Cell or a Task or of a function that returns one, got ",
        ),
        (
            "check a.b:c --options.hidden 5",
            "--options.hidden must be left out, got 5; the field hidden is the number of hidden ",
        ),
        ("check gru --options.a 1", "--options.a must be left out for gru, which takes none, got {'a': 1}"),
        (
            "new cell cells.txt",
            "path must be one from the current folder to a Python file, such as mypkg/cells.py, ",
        ),
        (
            "new task ../tasks.py",
            "path must be one from the current folder to a Python file, such as mypkg/cells.py",
        ),
        ("new cell there.py", "there.py exists. Choose another file."),
        ("cells nowhere:mine", "The cell nowhere:mine cannot be imported: there is no module nowhere"),
        (
            "span --cell lstm:",
            "--cell must be an import path of the form package.module:attribute, such as mypkg.",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(memspan_, line, message):
    Path("there.py").write_text("1")
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert err.startswith(f"memspan: {message}")


def test_installed_cells_and_tasks_are_listed_with_where_they_come_from(memspan_, tmp_path, monkeypatch):
    """A distribution as pip installs it, with entry points; nothing of it is imported."""
    site = tmp_path / "site"
    info = site / "own_cells-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-cells\nVersion: 1.2\n")
    (info / "top_level.txt").write_text("mypkg\n")
    points = "[memspan.cells]\nmine = mypkg.cells:mine\n[memspan.tasks]\nmine = mypkg.tasks:Mine\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(site)
    for kind, path in (("cell", "mypkg.cells:mine"), ("task", "mypkg.tasks:Mine")):
        _, out, _ = memspan_(f"{kind}s")
        assert f"mypkg.{kind}s" not in sys.modules
        (row,) = [line for line in out.splitlines() if path in line]
        assert [cell.strip() for cell in row.strip("│").split("│")] == ["mine", path, "own-cells 1.2"]
        assert memspan_(f"new {kind} mypkg/{kind}s.py")[0] == 0
        code, out, err = memspan_(f"study run --{kind} mine --lengths 3 --repetitions 1 --name {kind} {QUICK}")
        assert (code, err) == (0, "")
        assert memspan_(f"store show {kind}")[1].count(path)


def test_a_toml_file_and_a_search_take_paths(memspan_):
    memspan_("new cell mypkg/cells.py")
    Path("mine.toml").write_text(
        'cell = ["rnn", "mypkg.cells:mine"]\nlengths = [3]\nrepetitions = 1\nhidden = 4\nupdates = 3\n'
        "evaluation_samples = 20\nfinal_batches = 1\n"
    )
    code, out, _ = memspan_("study run mine.toml --progress none --no-figures --workers 0")
    assert code == 0
    assert "mypkg.cells:mine" in out
    code, out, _ = memspan_(f"span --cell mypkg.cells:mine --budget 16 {QUICK}")
    assert code == 0
    assert "mypkg.cells:mine" in out


def test_a_class_or_a_model_instead_of_a_function_says_what_to_write(memspan_):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    Path("mypkg").mkdir()
    Path("mypkg/whole.py").write_text("import torch\nlayer = torch.nn.LSTM(2, 3)\nLayer = torch.nn.LSTM\n")
    for name, what in [("layer", "a torch model of the class LSTM"), ("Layer", "the class LSTM of torch models")]:
        rule = f"must be a function (features, outputs, hidden) that returns the model, got mypkg.whole:{name}"
        for line, argument in [("check", "part"), (f"span --budget 16 {QUICK} --cell", "--cell")]:
            code, _, err = memspan_(f"{line} mypkg.whole:{name}")
            assert (code, err) == (2, f"memspan: {argument} {rule}, which is {what}; write such a function\n")
    with pytest.raises(
        InvalidArgument,
        match=r"hidden\) that returns the model, got a torch model of the class Linear; write such",
    ):
        Study(cell=torch.nn.Linear(2, 3), lengths=3)


def test_an_option_is_no_truth_value(memspan_):
    code, _, err = memspan_("check mypkg.nets:mine --options.bias false")
    assert code == 2
    assert "--options.bias must be a number or a name, not a truth value (write 1 or 0), got false" in err
