import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from processes import gone, wait_for, without_compiling

import memspan
from memspan import MemspanError, Store, Study, get_task, load_study
from memspan.cli.app import COMMANDS
from memspan.network import Network
from memspan.study.identity import default_name

SMALL = "--lengths 2,3 --repetitions 2 --hidden 4 --batch 4 --updates 5 --seed 3 --workers 0 --progress none"
TWO_WORKERS = SMALL.replace("--workers 0", "--workers 2")
SMALL_STUDY = Study(lengths=(2, 3), repetitions=2, hidden=4, batch=4, updates=5, seed=3)


def test_the_version_is_told_without_importing_anything(tmp_path):
    program = (
        "import sys; sys.argv = ['memspan', '--version']; from memspan.cli import main; main(); "
        "print(*({'numpy', 'cyclopts', 'pydantic', 'rich', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert (done.stdout, done.stderr) == (f"{memspan.__version__}\n\n", "")


def test_the_help_of_all_commands_is_told_without_importing_what_only_training_needs(tmp_path):
    program = (
        "import sys; sys.argv = ['memspan', '--help']; from memspan.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*({'numba', 'scipy', 'matplotlib', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "gradcheck" in done.stdout
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("command", ["study schema", "cells"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal, nor its number")
def test_a_pipe_that_nobody_reads_ends_it_without_a_word(command, tmp_path):
    line = [sys.executable, "-m", "memspan", *command.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, cwd=tmp_path, **pipes) as process:
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (141, b"")


def test_without_a_command_the_commands_are_listed(memspan_):
    code, out, _ = memspan_("")
    assert code == 0
    for word in ("study", "store", "tasks", "cells", "reproduce", "gradcheck", "bench", "How far back"):
        assert word in out
    assert all(name in out for name in COMMANDS)


def test_the_help_of_a_run_lists_every_choice_there_is(memspan_):
    code, out, _ = memspan_("study run --help")
    assert code == 0
    for field in Study.model_fields:
        assert f"--{field.replace('_', '-')} " in out
    for option in (
        "--store",
        "--output",
        "-o",
        "--workers",
        "--scheduler",
        "--retry-failed",
        "--no-figures",
        "--dry-run",
    ):
        assert option in out
    words = " ".join(re.sub("[│ \n]+", " ", out).split())
    without = {"name", "init", "task_parameters", "options", "truncate", "test_lengths"}
    for name in Study.model_fields.keys() - without:
        default = Study.model_fields[name].default
        written = ",".join(map(str, default)) if isinstance(default, tuple) else default
        assert f"[default: {written}]" in words
    assert "lstm-peephole" in words


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("study", ["run", "resume", "status", "show", "schema"]),
        ("store", ["ls", "show", "export", "rm", "doctor"]),
        ("study resume", ["NAME", "--store", "--output", "-o", "--workers", "--scheduler", "--retry-failed"]),
        ("study show", ["NAME", "--configuration", "--store", "--output", "-o"]),
        (
            "gradcheck",
            ["--cell", "--task", "--init", "--length", "--batch", "--hidden", "--seed", "--output", "-o"],
        ),
    ],
)
def test_the_help_lists_every_option(memspan_, command, options):
    code, out, _ = memspan_(f"{command} --help")
    assert code == 0
    for option in options:
        assert option in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("banana", f"Unknown command 'banana'. Available commands: {', '.join(COMMANDS)}."),
        (
            "study banana",
            "Unknown command 'banana'. Available commands: run, extend, resume, status, show, ",
        ),
        ("study run --lengths 0", "--lengths must be at least 1, got '0'"),
        ("study run --lengths", "--lengths must be at least one value, got ()"),
        ("study run --lengths 5 5", "--lengths must be different from each other, got '5,5'"),
        (
            "study run --lengths five",
            "--lengths takes integers, got 'five'.",
        ),
        ("study run --cell banana", "--cell must be one of rnn, rnn-relu, "),
        ("study run --cell rnn,banana", "--cell must be one of rnn, rnn-relu, "),
        ("study run --task banana", "--task must be one of recall, recall/kth, "),
        ("study run --task adding/hs97 --lengths 5", "--lengths must be at least 20 for adding/hs97, got 5"),
        (
            "study run --task-parameters.tolerance 2",
            "--task-parameters.tolerance must be a finite number above 0 and below 1, got 2",
        ),
        (
            "study run --task-parameters.speed 2",
            "a parameter of recall must be one of tolerance, element, scale, got 'speed'",
        ),
        ("study run --task-parameters.tolerance nan", "--task-parameters.tolerance must be a finite number"),
        ("study run --tolerance 0.1", "Unknown option --tolerance. Did you mean --task-parameters.tolerance?"),
        ("study run --learning-rate nan", "--learning-rate must be a finite number, got 'nan'"),
        ("study run --learning-rate inf", "--learning-rate must be a finite number, got 'inf'"),
        ("study run --threshold 1.1", "--threshold must be at most 1, got '1.1'"),
        ("study run --hidden 1.5", "--hidden takes integers, got '1.5'."),
        ("study run --hidden 8,0", "--hidden must be at least 1, got '0'"),
        ("study run --repetitions 2 3", "--repetitions must be one value, got '2,3'"),
        ("study run --workers -1", "--workers must be a whole number of at least 0, got -1"),
        ("study run --workers two", "--workers must be a whole number, got 'two'"),
        ("study run --workers 1.5", "--workers must be a whole number, got '1.5'"),
        (
            "study run --progress loud",
            "--progress must be one of auto, bar, notebook, lines, json, none, got 'loud'",
        ),
        ("study run --banana 3", "Unknown option --banana. See `memspan study run --help`."),
        (
            "study run banana.toml",
            "the study file must be a readable file, got banana.toml: No such file or directory",
        ),
        (
            "study run --cell rnn banana.toml",
            "The study file must come before the options; it was taken as a value of cell.",
        ),
        ("study show", "No store at memspan.sqlite. Run `memspan study run` first, or pass --store."),
        (
            "study show nothing --store nowhere",
            "No store at nowhere. Run `memspan study run` first, or pass --store.",
        ),
        ("study resume", "No store at memspan.sqlite. Run `memspan study run` first, or pass --store."),
        ("study status", "No store at memspan.sqlite. Run `memspan study run` first, or pass --store."),
        ("store ls", "No store at memspan.sqlite. Run `memspan study run` first, or pass --store."),
        ("gradcheck --cell banana", "--cell must be one of rnn, rnn-relu, "),
        ("gradcheck --task banana", "--task must be one of recall, recall/kth, "),
        ("gradcheck --task adding/hs97 --length 19", "--length must be at least 20 for adding/hs97, got 19"),
        ("gradcheck --init banana", "--init must be one of uniform, orthogonal, "),
        ("gradcheck --length 0", "--length must be a whole number of at least 1, got 0"),
        ("gradcheck --batch 0", "--batch must be a whole number of at least 1, got 0"),
        ("gradcheck --hidden 0", "--hidden must be a whole number of at least 1, got 0"),
        ("gradcheck --seed -1", "--seed must be a whole number of at least 0, got -1"),
    ],
)
def test_a_bad_option_is_one_clear_line_and_nothing_is_written(memspan_, tmp_path, line, message):
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert err.startswith(f"memspan: {message}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_study_is_run_kept_and_shown_again(memspan_, tmp_path, monkeypatch):
    code, out, err = memspan_(f"study run {SMALL} --output results")
    assert (code, err) == (0, "")
    result = load_study(tmp_path / "memspan.sqlite", default_name(SMALL_STUDY))
    assert result.study.with_(name=None) == SMALL_STUDY
    assert result.complete
    assert result.sentence in out.splitlines()
    assert re.search(r"│ +2 │ +0/2 │ +0\.00-0\.66 │", out)
    pictures = [line for line in out.splitlines() if line.startswith("results")]
    assert len(pictures) == 6 + 1
    assert pictures[-1] == os.path.join("results", "report.html")
    assert all((tmp_path / path).stat().st_size > 1000 for path in pictures)
    assert len(list((tmp_path / "results").iterdir())) == 3 * 6 + 1
    drawn = []
    monkeypatch.setattr("memspan.study.figures.save", lambda draw, record, folder, name: drawn.append(name))
    assert memspan_("study show -o results") == (0, out, "")
    assert [f"{name}.png" for name in drawn] == [os.path.basename(path) for path in pictures[:-1]]
    table, _ = out.split(pictures[0])
    assert memspan_(f"study show {default_name(SMALL_STUDY)}") == (0, table, "")
    assert memspan_(f"study run {SMALL} --output results") == (0, out, "")  # of which nothing was run again
    assert load_study(tmp_path / "memspan.sqlite", default_name(SMALL_STUDY)) == result


@pytest.mark.slow
def test_a_study_of_another_task_is_run_and_shown_with_its_parameters(memspan_, tmp_path):
    options = "--task copying/urnn --task-parameters.items 2 --task-parameters.symbols 3 --name copies"
    code, out, err = memspan_(f"study run {SMALL} {options} --store my.store --output results")
    assert (code, err) == (0, "")
    result = load_study(tmp_path / "my.store", "copies")
    assert result.study.configuration.make_task() == get_task("copying/urnn", items=2, symbols=3)
    assert result.complete
    assert len(result.trials) == 4
    assert "cross-entropy" in out
    assert "Read 2 symbols of 3 kinds, wait for T steps" in " ".join(out.split())
    assert len(list((tmp_path / "results").iterdir())) == 3 * 6 + 1
    assert memspan_("study show --store my.store -o results") == (0, out, "")
    assert not (tmp_path / "memspan.sqlite").exists()


def test_a_file_cannot_be_the_folder(memspan_, tmp_path):
    (tmp_path / "results").write_text("mine")
    code, _, err = memspan_(f"study run {SMALL} -o results")
    assert code == 2
    assert err.startswith("memspan: ")
    assert err.count("\n") == 1
    assert "results" in err
    assert (tmp_path / "results").read_text() == "mine"


def test_a_study_that_was_not_finished_says_so_and_can_be_resumed(memspan_, tmp_path):
    with Store(tmp_path / "memspan.sqlite", create=True) as store:
        store.enter(SMALL_STUDY.with_(name="begun"))
    code, out, _ = memspan_("study show begun")
    assert code == 0
    assert "No trial has run to its end, so there is no answer yet." in out
    code, out, _ = memspan_("study status begun")
    assert code == 0
    assert "begun: 0 of 4 trials, unfinished: 4 trials are missing" in out
    assert out.splitlines()[-1] == "memspan study resume begun"
    code, out, err = memspan_("study resume --workers 0 --progress none --no-figures")
    assert (code, err) == (0, "")
    assert load_study(tmp_path / "memspan.sqlite", "begun").complete
    assert "unfinished" not in memspan_("study status begun")[1]


def test_a_name_that_is_not_there_is_named_with_one_like_it(memspan_):
    memspan_(f"study run {SMALL} --no-figures --name copies")
    code, out, err = memspan_("study show copy")
    assert (code, out) == (2, "")
    assert err == "memspan: No study 'copy' in memspan.sqlite. Did you mean 'copies'?\n"


@pytest.mark.parametrize(
    "command", ["study show", "study status", "study resume", "store ls", f"study run {SMALL}"]
)
def test_what_is_no_store_is_refused_with_3_and_left_as_it_was(memspan_, tmp_path, command):
    (tmp_path / "memspan.sqlite").write_text("mine " * 50)
    code, out, err = memspan_(command)
    assert (code, out) == (3, "")
    assert err.startswith("memspan: ")
    assert "memspan.sqlite is not a memspan store: it is not a SQLite database" in err
    assert (tmp_path / "memspan.sqlite").read_text() == "mine " * 50
    assert len(list(tmp_path.iterdir())) == 1


def test_without_output_the_folder_is_named_for_task_and_cell(memspan_, tmp_path, monkeypatch):
    def save_pages(result, name, folder, store):
        folder.mkdir(parents=True)
        return [folder / "none.png"]

    monkeypatch.setattr("memspan.cli.study.runner.save_pages", save_pages)
    code, out, _ = memspan_(f"study run {SMALL} --cell lstm")
    assert code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"recall-lstm-[0-9a-f]{8}", folder.name)
    assert str(folder.relative_to(tmp_path)) in out
    assert load_study(tmp_path / "memspan.sqlite", folder.name).study.cell == "lstm"


def test_the_gradient_of_an_lstm_is_right(memspan_, tmp_path):
    code, out, err = memspan_("gradcheck --cell lstm --length 6")
    assert (code, err) == (0, "")
    assert "Gradient check: lstm, T=6 B=4 F=1 H=8 O=1 float64" in out
    assert re.search(r"│ R +│ steps +│ R\[\d+,\d+\] t=\d gate [ifog] ", out)
    assert "comparisons pass" in out
    assert list(tmp_path.iterdir()) == []


def test_the_gradient_is_checked_on_any_task(memspan_):
    """Of numbers that are not asked for everywhere, and of classes."""
    code, out, err = memspan_("gradcheck --task adding/hs97 --length 20 --hidden 3")
    assert (code, err) == (0, "")
    assert "Gradient check: rnn, T=22 B=4 F=2 H=3 O=1 float64" in out
    code, out, _ = memspan_("gradcheck --task order/pascanu-2 --cell gru --length 10 --hidden 3")
    assert code == 0
    assert "Gradient check: gru, T=10 B=4 F=6 H=3 O=4 float64" in out


def test_a_wrong_gradient_exits_with_1(memspan_, monkeypatch):
    right = Network.backward

    def wrong(network, d_loss):
        gradients = right(network, d_loss)
        return {**gradients, "d_V": 1.001 * gradients["d_V"]}

    monkeypatch.setattr(Network, "backward", wrong)
    code, out, _ = memspan_("gradcheck --length 5")
    assert code == 1
    assert "The gradient is WRONG at " in " ".join(out.split())


def test_the_sweep_is_drawn_where_it_is_asked_for(memspan_, tmp_path):
    code, out, _ = memspan_("gradcheck --length 4 --hidden 3 -o sweep")
    assert code == 0
    assert out.splitlines()[-1] == os.path.join("sweep", "step-sweep.png")
    names = sorted(path.name for path in (tmp_path / "sweep").iterdir())
    assert names == ["step-sweep.csv", "step-sweep.png", "step-sweep.svg"]


def done_in(store):
    """How many trials are there; none if there is no store yet."""
    try:
        with Store(store) as opened:
            return sum(found.done for found in opened.overviews())
    except MemspanError:
        return 0


RESUME = "memspan study resume long --store my.store"


MAIN = "from memspan.cli import main; main()"
MEASURING = f"""
import memspan.execution.run as run
plan = run.make_plan
run.make_plan = lambda *of: (print("measuring", flush=True), plan(*of))[1]
{MAIN}
"""
"""The program, which says when it measures how long an update takes."""


@contextmanager
def started(folder, workers, updates, progress="none", repetitions=5000, program=MAIN):
    """A study that would take long, in processes of its own."""
    options = (
        f"--name long --repetitions {repetitions} --updates {updates} --workers {workers} --lengths 6 --hidden 8"
    )
    command = [sys.executable, "-c", program, "study", "run", *options.split()]
    command += ["--learning-rate", "1e-9", "--progress", progress, "--store", "my.store"]  # which learns nothing
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes) as study:
        try:
            yield study
        finally:
            if not gone(study.pid):
                os.killpg(study.pid, signal.SIGKILL)


def press_ctrl_c(study, begun=True, number=signal.SIGINT):
    """As a terminal does: everybody in the group gets it. Give what is on standard output."""
    os.killpg(study.pid, number)
    out, err = study.communicate(timeout=120)
    assert study.returncode == 130
    how = ["memspan: finished trials are stored. To continue:", f"  {RESUME}"]
    assert without_compiling(err).splitlines() == [*(how if begun else []), "memspan: interrupted"]
    wait_for(lambda: gone(study.pid))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_keeps_what_was_finished_and_leaves_nobody_behind(memspan_, tmp_path, workers):
    store = tmp_path / "my.store"
    with started(tmp_path, workers, updates=4000, repetitions=100) as study:  # orders of two or three seconds
        wait_for(lambda: done_in(store) > 0)
        time.sleep(0.1)  # into the middle of a trial
        assert press_ctrl_c(study) == ""
    result = load_study(store, "long")
    done = len(result.trials)
    assert 0 < done < 100
    assert {trial.outcome for trial in result.trials} == {"unsolved"}
    assert {trial.updates for trial in result.trials} == {4000}  # they are whole
    code, out, _ = memspan_("study show --store my.store")
    assert code == 0
    assert f"So far ({done} of 100 trials): T50 is below {result.study.lengths[0]} steps" in out
    out = memspan_("study status long --store my.store")[1]
    assert f"long: {done} of 100 trials, unfinished" in out
    assert out.splitlines()[-1] == RESUME
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.store"]  # and no journal


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_does_not_wait_for_the_trials_to_end(tmp_path, workers):
    with started(tmp_path, workers, updates=10_000_000, progress="json") as study:
        line = {"event": ""}
        while line["event"] != "advanced":  # now they are in the middle of trials of hours
            line = json.loads(study.stdout.readline())
        assert line["trials"][0]["updates"] > 0
        *_, ended = map(json.loads, press_ctrl_c(study).splitlines())
    assert (ended["event"], ended["complete"], ended["reason"]) == ("ended", False, "interrupted")
    assert done_in(tmp_path / "my.store") == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_before_the_first_trial_is_as_quiet_and_leaves_no_store(tmp_path, workers):
    """While it is measured how long an update takes."""
    with started(tmp_path, workers, updates=10_000_000, program=MEASURING) as study:
        assert study.stdout.readline() == "measuring\n"
        assert press_ctrl_c(study, begun=False) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX only")
def test_a_terminal_that_is_closed_ends_a_study_as_ctrl_c_does(tmp_path):
    """SIGHUP reaches the workers too."""
    store = tmp_path / "my.store"
    with started(tmp_path, 2, updates=4000, repetitions=100) as study:
        wait_for(lambda: done_in(store) > 0)
        assert press_ctrl_c(study, number=signal.SIGHUP) == ""
    assert 0 < done_in(store) < 100


IMPORTING = """
import sys, time
from importlib.abc import MetaPathFinder

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "cyclopts":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
from memspan.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_end_while_modules_are_imported_is_130_too(name):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", IMPORTING, "tasks"], **pipes) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(getattr(signal, name))
        assert process.communicate(timeout=60) == ("", "memspan: interrupted\n")
    assert process.returncode == 130


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_standard_streams_may_be_closed(tmp_path, closed):
    """As those of a service, or of a careless script."""
    command = f"exec {sys.executable} -m memspan study run {TWO_WORKERS} --no-figures {closed}"
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False).returncode == 0
    assert done_in(tmp_path / "memspan.sqlite") == 4


def test_it_is_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "memspan", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == memspan.__version__


@pytest.mark.parametrize("line", ["store ls --weights 3", "cells --start glorot", "tasks --evaluation_batches 3"])
def test_an_old_option_that_a_command_never_had_is_unknown_by_the_name_that_was_typed(memspan_, line):
    code, out, err = memspan_(line)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"Unknown option {line.split()[-2]}" in err
    assert "is now" not in err


def test_an_old_option_may_have_underscores(memspan_):
    code, _, err = memspan_("study run --evaluation_batches 0 --dry-run --workers 0")
    assert code == 2
    assert err.splitlines()[0].startswith("memspan: --evaluation_batches is now --final-batches")
    assert "final_batches must be at least 1, got '0'" in err


@pytest.mark.parametrize(("wanted", "lines"), [("ignore", 1), ("error", 1), (None, 2)])
def test_pythonwarnings_decides_about_old_names(tmp_path, wanted, lines):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    environment |= {"PYTHONWARNINGS": f"{wanted}::FutureWarning"} if wanted else {}
    command = [sys.executable, "-m", "memspan", "gradcheck", "--start", "banana"]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (found.returncode, "Traceback" in found.stderr) == (2, False)
    told = [line for line in found.stderr.splitlines() if line.startswith("memspan: ")]
    assert len(told) == lines
    assert ("--start is now --init" in told[0]) == (wanted != "ignore")
