"""Whatever is wrong with a command line, the answer is one line that says what, and nothing is written."""

import shlex
import shutil
import sqlite3
import sys

import pytest

from memspan import Search, Store, Study

OF_CELLS = "must be one of rnn, rnn-relu, rnn-linear, "
OF_TASKS = "must be one of recall, recall/kth, "
NO_STORE = "No store at {}. Run `memspan study run` first, or pass --store."
NEED_NAME = "--task-parameters needs the name of what is given, as in --task-parameters.NAME VALUE"

COMMANDS = {
    "": {
        "banana": "Unknown command 'banana'. Available commands: span, ",
        "compair --cell rnn,gru": "Unknown command 'compair'. Did you mean `memspan compare`?",
        "stduy run": "Unknown command 'stduy'. Did you mean `memspan study run`?",
        "stor lst": "Unknown command 'stor'. Did you mean `memspan store ls`?",
        "study rnu": "Unknown command 'rnu'. Did you mean `memspan study run`?",
        "store doctr": "Unknown command 'doctr'. Did you mean `memspan store doctor`?",
        "new tusk x.py": "Unknown command 'tusk'. Did you mean `memspan new task`?",
        "--versin": "Unknown command '--versin'. Did you mean `memspan --version`?",
        "--hlp": "Unknown command '--hlp'. Did you mean `memspan --help`?",
        "study --versin": "Unknown command '--versin'. Did you mean `memspan --version`?",
        "'\x1b[31mspan'": r"Unknown command '\x1b[31mspan'. Did you mean `memspan span`?",
    },
    "options": {
        "cells --hiden 3": "Unknown option --hiden. Did you mean --hidden?",
        "gradcheck --hidden 3 --hidden 4": "--hidden must be given once, got another '4'",
        "gradcheck --output": "--output needs a value",
        "gradcheck -xo": "Unknown option -xo. See `memspan gradcheck --help`.",
        "gradcheck --format x": "Unknown option --format. See `memspan gradcheck --help`.",
        "span '--\x1b[31mred'": r"Unknown option --\x1b[31mred. See `memspan span --help`.",
        "study run --no-figure": "Unknown option --no-figure. Did you mean --no-figures?",
        "study run --figures=maybe": "--figures must be true or false, got 'maybe'",
        "study run --dry-run=maybe": "--dry-run must be true or false, got 'maybe'",
        "explain --try=3": "--try must be true or false, got '3'",
        "cells lstm gru": "`memspan cells` takes no argument 'gru'. See `memspan cells --help`.",
        "gradcheck --cell rnn lstm": "Unexpected 'lstm'. Did you mean --cell lstm?",
        "study run a.toml b.toml": "`memspan study run` takes no argument 'b.toml'. See ",
        "check": "`memspan check` needs PART. See `memspan check --help`.",
        "store export x": "`memspan store export` needs --output. See `memspan store export --help`.",
    },
    "types": {
        "cells --hidden zero": "--hidden must be a whole number, got 'zero'",
        "cells --hidden 1e3": "--hidden must be a whole number, got '1e3'",
        "gradcheck --length 1.5": "--length must be a whole number, got '1.5'",
        "tasks recall --task-parameters.tolerance x": "--task-parameters.tolerance must be a number, got 'x'",
        "tasks recall --task-parameters 3": NEED_NAME,
        "tasks recall --task-parameters 3 --task-parameters.scale 1": NEED_NAME,
        "study run --task-parameters 3": "--task-parameters takes a table of names and values, got '3'",
        "flow --batch x": "--batch takes integers, got 'x'.",
        "study run --lengths 10,x": "--lengths takes integers, got 'x'.",
        "study run --lengths ''": "--lengths takes integers, got ''.",
        "study run --repetitions 1.5": "--repetitions takes integers, got '1.5'.",
        "study run --seed 1.5": "--seed takes integers, got '1.5'.",
        "span --width x": "--width takes numbers, got 'x'.",
        "span --budget 10x": "--budget must be a whole number of trainings, such as 160, or of time steps, ",
        "predict --updates x": "--updates takes integers, got 'x'.",
        "explain --lengths x": "--lengths must be whole numbers such as 30,40, got 'x'",
        "bench --size a b c": "--size must be a whole number, got 'a'",
    },
    "values": {
        "cells --hidden 0": "--hidden must be a whole number of at least 1, got 0",
        "tasks recall --length 99999999999999999999": "--length must be at most 2,147,483,647, got 9999999999",
        "tasks recall --seed -1": "--seed must be a whole number of at least 0, got -1",
        "tasks recall --samples 0 --plot": "--samples must be a whole number of at least 1, got 0",
        "tasks recall --task-parameters.bananas 3": "a parameter of recall must be one of tolerance, ",
        "gradcheck --gain nan": "--gain must be a finite number above 0, got nan",
        "gradcheck --task adding/hs97 --length 1": "--length must be at least 20 for adding/hs97, got 1",
        "gradcheck --length 1000000 --hidden 1000000": "--hidden must be small enough for the memory of this ",
        "flow --gain 0": "--gain must be above 0, got '0'",
        "flow --length -3": "--length must be a whole number of at least 1, got -3",
        "span --share 1": "--share must be below 1, got '1'",
        "span --level 2": "--level must be below 1, got '2'",
        "span --threshold 2": "--threshold must be at most 1, got '2'",
        "span --learning-rate nan": "--learning-rate must be a finite number, got 'nan'",
        "span --workers -1": "--workers must be a whole number of at least 0, got -1",
        "study run --dtype float16": "--dtype must be one of float32, float64, got 'float16'; did you mean ",
        "study run --name ''": "--name must be a text of at least 1 character, got ''",
        "study run --options.x 1": "--options.x must be left out for rnn, which takes none, got {'x': 1}",
        "predict --width -1": "--width must be a finite number above 0, got -1.0",
        "predict --optimizer rmsprop": "--optimizer must be sgd or momentum, whose step follows the size of ",
        "explain --networks 0": "--networks must be a whole number of at least 1, got 0",
        "bench --size 0 1 1": "--size must be a whole number of at least 1, got 0",
        "bench --rounds 0": "--rounds must be a whole number of at least 1, got 0",
        "reproduce adding-1997 --workers 0": "--workers must be a whole number of at least 1, got 0",
        "check lstm --hidden 0": "--hidden must be a whole number of at least 1, got 0",
    },
    "names": {
        "cells lsmt": f"cell {OF_CELLS}",
        "tasks recal": f"task {OF_TASKS}",
        "tasks ''": f"task {OF_TASKS}",
        "gradcheck --init glorott": "--init must be one of uniform, orthogonal, identity, ",
        "flow --cell lstmm": f"--cell {OF_CELLS}",
        "span --optimizer adamm": "--optimizer must be one of sgd, momentum, rmsprop, adam, got 'adamm'; did you ",
        "span --progress fancy": "--progress must be one of auto, bar, notebook, lines, json, none, got 'fancy'",
        "compare --equal params": "--equal must be one of parameters, got 'params'; did you mean 'parameters'?",
        "compare --cell rnn,gru --tune learning_rat=0.1,0.3": "--tune must be a field of the training, such as ",
        "compare --cell rnn,gru --tune learning_rate=0.1,x": "--tune must be values that learning_rate may have, ",
        "bench --engine foo": "--engine must be one of readable, compiled, torch, jax, got 'foo'",
        "reproduce adding": "NAME must be one of assignment, adding-1997, ",
        "study show fisrt --store mine.sqlite": "No study 'fisrt' in mine.sqlite. Did you mean 'first'?",
        "study status fisrt --store mine.sqlite": "No study 'fisrt' in mine.sqlite. Did you mean 'first'?",
        "store show frist --store mine.sqlite": "No study 'frist' in mine.sqlite. Did you mean 'first'?",
        "store rm frist --yes --store mine.sqlite": "No study 'frist' in mine.sqlite. Did you mean 'first'?",
        "explain frist --store mine.sqlite": "No study 'frist' in mine.sqlite. Did you mean 'first'?",
    },
    "own parts": {
        "cells nosuch.module:x": "The cell nosuch.module:x cannot be imported: there is no module nosuch in ",
        "cells a:": "cell must be an import path of the form package.module:attribute, such as ",
        "cells number:mine": "cell must be the import path of a Cell or of a function that returns one, got ",
        "cells number:missing": "The cell number:missing cannot be imported: number has no attribute missing.",
        "cells broken:mine": "The cell broken:mine cannot be imported: broken raises SyntaxError: invalid syntax ",
        "study run --cell raises:mine": "The cell raises:mine cannot be imported: raises raises RuntimeError: ",
        "study run --cell number:f": "--cell must be the import path of a Cell or of a function that returns one",
        "study run --task number:mine": "--task must be the import path of a Task or of a function that returns ",
        "check number:mine": "part must be the import path of a Cell or a Task or of a function that returns one",
        "check os.path:join": "part must be the import path of a Cell or a Task or of a function that ",
        "check lstmm": "part must be an import path such as mypkg.cells:mine, or the name of a cell or a task, ",
    },
    "conflicts": {
        "tasks --plot": "Which task? Give a name with --plot or --task-parameters: ",
        "new cell x.py --torch --jax": "--torch and --jax are two kinds of cells. Choose one.",
        "span --hidden 8,16": "--hidden must be one value; `memspan compare` takes several, got (8, 16)",
        "span --first-length 50 --longest 20": "--first-length must be at most 20, the longest length, got 50",
        "span --scheduler tcp://127.0.0.1:1 --workers 2": "--workers must be left out with a scheduler, which ",
        "compare --cell rnn": "the comparison must be of at least two configurations, such as two values of cell",
        "compare --cell rnn,rnn": "--cell must be different from each other, got 'rnn,rnn'",
        "compare --cell rnn,gru --equal parameters --hidden 3,4": "--hidden must be one value if hidden sizes ",
        "compare --cell rnn,gru --equal parameters --parameter-count 9": "--parameter-count must be left out ",
        "study run --weights 1 --keep-weights 2": "--weights must be left out, because it is the old name of ",
        "study show --store mine.sqlite": "Which study? Choose one of first, both, searched.",
        "study show first --configuration 2 --store mine.sqlite": "--configuration must be at most 1, got 2",
        "study run --name first --hidden 9 --dry-run --store mine.sqlite": "Study 'first' exists with other ",
        "study resume searched --store mine.sqlite": "searched is a search. Give the command again with which ",
        "study extend first --store mine.sqlite": "Nothing to add: pass --lengths, --repetitions or both.",
        "study extend first --repetitions 1 --store mine.sqlite": "--repetitions must be at least 2, as in the ",
        "store rm first --store mine.sqlite": "Standard input is not a terminal; pass --yes to delete.",
        "store rm --store mine.sqlite": "Which study? Pass its name, as in `memspan store rm mine`; ",
        "store export first -o x.csv --curves --store mine.sqlite": "--curves must be left out for CSV, ",
        "explain first --lengths 77 --store mine.sqlite": "No trial of first has run to its end, so there is ",
    },
    "files": {
        "span missing.toml": "the search file must be a readable file, got missing.toml: No such file or ",
        "span folder": "the search file must be a regular file, got folder",
        "span text.toml": "the search file must be TOML in UTF-8, got text.toml: ",
        "study run picture.png": "the study file must be TOML in UTF-8, got picture.png: ",
        "study run unknown.toml": "Unknown field 'lengthz'. Did you mean 'lengths'?",
        "study run wrong.toml": "hidden takes integers, got 'x'.",
        "study run --output afile": "--output must be a folder, got afile, which is a file",
        "gradcheck -o afile": "-o must be a folder, got afile, which is a file",
        "tasks recall --plot --output afile/deep": "No folder at ",
        "flow --output nowhere/deep": "No folder at ",
        "new cell text.txt": "path must be one from the current folder to a Python file, such as ",
        "new cell number.py": "number.py exists. Choose another file.",
        "new task afile/x.py": "the folder of the file must be a folder, got afile, which is a file",
        "store export first -o text.txt --store mine.sqlite": "-o must be a file that ends with .csv, .json or ",
        "store export first -o old.csv --store mine.sqlite": "old.csv exists. Choose another --output, or pass ",
        "store export first -o afile/x.csv --store mine.sqlite": "-o must be in an existing folder, got ",
        "store doctor --store mine.sqlite --rescue old.csv": "--rescue must be a new file, got 'old.csv'",
    },
    "stores": {
        "study show": NO_STORE.format("memspan.sqlite"),
        "store ls --store nothing.sqlite": NO_STORE.format("nothing.sqlite"),
        "store doctor --store nothing.sqlite": NO_STORE.format("nothing.sqlite"),
        "store ls --store folder": "--store must be a file, got 'folder'",
        "store ls --store ''": "--store must be a path, or the URL of a PostgreSQL database, got ''",
        "study run --store mysql://me:secret@host/x": "--store must be a path, or a URL such as postgresql://",
        "store doctor --store postgresql://host/x": "`memspan store doctor` checks SQLite files only. ",
        "span --store afile/x.sqlite": "the folder of the store must be a folder, got afile, which is a file",
    },
}
DAMAGED = {
    "span --store text.txt": "text.txt is not a memspan store: it is not a SQLite database.",
    "study status --store other.sqlite": "other.sqlite is a SQLite database, but not a memspan store.",
    "store ls --store cut.sqlite": "cut.sqlite is damaged (truncated: ",
    "explain --store newer.sqlite": "newer.sqlite was made by a newer memspan: its schema is 99, and ",
    "store show first --store newer.sqlite": "newer.sqlite was made by a newer memspan: its schema is 99, ",
}
FAILED = {
    "store ls --store postgresql://me:secret@localhost:1/x": "postgresql://me:***@localhost:1/x cannot be used ",
}
CASES = [
    *((line, 2, begin) for lines in COMMANDS.values() for line, begin in lines.items()),
    *((line, 3, begin) for line, begin in DAMAGED.items()),
    *((line, 4, begin) for line, begin in FAILED.items()),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a store, damaged ones, and files of other kinds."""
    folder = tmp_path_factory.mktemp("bad")
    with Store(folder / "mine.sqlite", create=True) as store:
        store.enter(Study(name="first", lengths=(3,), repetitions=2))
        store.enter(Study(name="both", cell=("rnn", "gru"), lengths=(3,), repetitions=2))
        store.enter(Search(name="searched"))
    whole = (folder / "mine.sqlite").read_bytes()
    (folder / "cut.sqlite").write_bytes(whole[: len(whole) // 2])
    for name, statement in {"newer": "PRAGMA user_version=99", "other": "CREATE TABLE mine (x)"}.items():
        (folder / f"{name}.sqlite").write_bytes(whole if name == "newer" else b"")
        connection = sqlite3.connect(folder / f"{name}.sqlite")
        connection.execute(statement)
        connection.commit()
        connection.close()
    texts = {"text.txt": "mine " * 50, "afile": "mine", "old.csv": "mine", "text.toml": "lengths = [1,\n"}
    texts |= {"unknown.toml": "lengthz = [1]\n", "wrong.toml": "hidden = 'x'\n"}
    texts |= {"broken.py": "x = = 3\n", "raises.py": "raise RuntimeError('boom')\n"}
    texts |= {"number.py": "mine = 3\n\n\ndef f(a):\n    return 1\n"}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    (folder / "folder").mkdir()
    return folder


@pytest.fixture
def inside(folder, memspan_, tmp_path, monkeypatch):
    """Run a command line in a copy of that folder; what it leaves there is the fourth answer."""
    monkeypatch.delenv("MEMSPAN_STORE", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)

    def run(line):
        answer = memspan_(shlex.split(line))
        for name in ("number", "broken", "raises"):
            sys.modules.pop(name, None)
        return (*answer, contents(tmp_path))

    return run


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_there_are_many():
    assert len(CASES) >= 80


@pytest.mark.parametrize(("line", "code", "begin"), CASES, ids=[line for line, *_ in CASES])
def test_a_mistake_is_one_line_that_says_what_is_wrong_and_nothing_is_written(inside, folder, line, code, begin):
    got, out, err, left = inside(line)
    assert (got, out) == (code, "")
    assert err.startswith(f"memspan: {begin}")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert "secret" not in err
    assert left == contents(folder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="even root cannot write to /proc")
@pytest.mark.parametrize(
    "line",
    [
        "tasks recall --plot --output /proc/none",
        "flow --output /proc/none",
        "study run --output /proc/none",
        "study show first --store mine.sqlite --output /proc/none",
        "gradcheck --output /proc/none",
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(inside, folder, line):
    got, out, err, left = inside(line)
    assert (got, out) == (2, "")
    assert err.startswith("memspan: --output must be a folder that ")
    assert err.endswith("got /proc/none: No such file or directory\n")
    assert left == contents(folder)


def test_a_damaged_store_is_described_line_by_line(inside, folder):
    got, out, err, left = inside("store doctor --store cut.sqlite")
    assert got == 3
    assert out.startswith("cut.sqlite: readable rows: studies 3, ")
    assert err.startswith("memspan: cut.sqlite is damaged:\n  ")
    assert left == contents(folder)
