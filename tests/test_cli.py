import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

import memspan
from memspan import Study, StudyResult, get_task
from memspan.cli import main
from memspan.commands import ALL
from memspan.kernels import FusedEngine
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.study.records import new_folder
from processes import gone, wait_for

SMALL = "--lengths 2,3 --repetitions 2 --hidden 4 --batch 4 --updates 5 --seed 3 --workers 1 --progress none"


NAMES = [command.__name__ for command in ALL]


@pytest.fixture
def memspan_(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty folder; give exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        monkeypatch.setattr(sys, "argv", ["memspan", *line.split()])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_the_version_is_told_without_importing_anything(tmp_path):
    program = (
        "import sys; sys.argv = ['memspan', '--version']; from memspan.cli import main; main(); "
        "print(*({'numpy', 'cyclopts', 'pydantic', 'rich', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert (done.stdout, done.stderr) == (f"{memspan.__version__}\n\n", "")


def test_without_a_command_the_commands_are_listed(memspan_):
    code, out, _ = memspan_("")
    assert code == 0
    for word in ("study", "show", "tasks", "cells", "gradcheck", "bench", "How far back"):
        assert word in out
    assert all(name in out for name in NAMES)


def test_the_help_of_study_lists_every_choice_there_is(memspan_):
    code, out, _ = memspan_("study --help")
    assert code == 0
    for field in Study.model_fields:
        assert f"--{field.replace('_', '-')} " in out
    for option in ("--output", "-o", "--workers", "--progress"):
        assert option in out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("show", ["FOLDER"]),
        (
            "gradcheck",
            ["--cell", "--task", "--start", "--length", "--batch", "--hidden", "--seed", "--output", "-o"],
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
        ("banana", f'Unknown command "banana". Available commands: {", ".join(NAMES)}.'),
        ("study --lengths 0", "lengths.0 must be greater than 0, got '0'"),
        ("study --lengths", "lengths must be at least one length, got []"),
        ("study --lengths 5 5", "lengths must be different from each other, got ['5', '5']"),
        (
            "study --lengths five",
            "lengths.0 must be a valid integer, unable to parse string as an integer, got 'five'",
        ),
        ("study --cell banana", "cell must be 'rnn', "),
        ("study --task banana", "task must be 'recall', "),
        ("study --task adding/hs97 --lengths 5", "lengths must be at least 20 for adding/hs97, got 5"),
        (
            "study --parameters.tolerance 2",
            "tolerance must be a finite number above 0 and below 1, got 2",
        ),
        (
            "study --parameters.speed 2",
            "a parameter of recall must be one of tolerance, element, scale, got 'speed'",
        ),
        ("study --parameters.tolerance nan", "parameters.tolerance"),
        ("study --tolerance 0.1", "Unknown option: --tolerance."),
        ("study --learning-rate nan", "learning_rate must be a finite number, got 'nan'"),
        ("study --threshold 1.1", "threshold must be less than or equal to 1, got '1.1'"),
        ("study --hidden 1.5", "hidden must be a valid integer, "),
        ("study --workers 0", "workers must be a whole number of at least 1, got 0"),
        ("study --workers two", "Invalid value for --workers: "),
        ("study --progress loud", 'Invalid value "loud" for --progress.'),
        ("study --banana 3", "Unknown option: --banana."),
        ("study banana", "Unused Tokens: "),
        ("show", 'Command "show" parameter --folder requires an argument.'),
        ("show nowhere", "nowhere is not the folder of a study: there is no study.json in it"),
        ("gradcheck --cell banana", 'Invalid value "banana" for --cell. Choose from: "rnn", '),
        ("gradcheck --task banana", 'Invalid value "banana" for --task. Choose from: "recall", '),
        ("gradcheck --task adding/hs97 --length 19", "length must be at least 20 for adding/hs97, got 19"),
        ("gradcheck --start banana", 'Invalid value "banana" for --start. Choose from: "uniform", '),
        ("gradcheck --length 0", "length must be a whole number of at least 1, got 0"),
        ("gradcheck --batch 0", "batch must be a whole number of at least 1, got 0"),
        ("gradcheck --hidden 0", "hidden must be a whole number of at least 1, got 0"),
        ("gradcheck --seed -1", "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_a_bad_option_is_one_clear_line_and_nothing_is_written(memspan_, tmp_path, line, message):
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert err.startswith(f"memspan: {message}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_study_is_run_written_and_shown_again(memspan_, tmp_path, monkeypatch):
    code, out, err = memspan_(f"study {SMALL} --output results")
    assert (code, err) == (0, "")
    result = StudyResult.load(tmp_path / "results")
    assert result.study == Study(lengths=(2, 3), repetitions=2, hidden=4, batch=4, updates=5, seed=3)
    assert result.complete
    assert result.sentence in out.splitlines()
    assert re.search(r"│ +2 │ +0/2 │ +0\.00-0\.66 │", out)
    pictures = [line for line in out.splitlines() if line.startswith("results")]
    assert len(pictures) == 5
    assert all((tmp_path / path).stat().st_size > 1000 for path in pictures)
    assert len(list((tmp_path / "results").iterdir())) == 2 + 3 * 5
    drawn = []
    monkeypatch.setattr("memspan.study.pictures.save", lambda figure, folder, name, *rest: drawn.append(name))
    assert memspan_("show results") == (0, out, "")
    assert [f"{name}.png" for name in drawn] == [os.path.basename(path) for path in pictures]


@pytest.mark.slow
def test_a_study_of_another_task_is_run_and_shown_with_its_parameters(memspan_, tmp_path):
    options = "--task copying/urnn --parameters.items 2 --parameters.symbols 3"
    code, out, err = memspan_(f"study {SMALL} {options} --output results")
    assert (code, err) == (0, "")
    result = StudyResult.load(tmp_path / "results")
    assert result.study.new_task() == get_task("copying/urnn", items=2, symbols=3)
    assert result.complete
    assert len(result.trials) == 4
    assert "cross-entropy" in out
    assert "See 2 symbols of 3 kinds, wait for T steps" in " ".join(out.split())
    assert len(list((tmp_path / "results").iterdir())) == 2 + 3 * 5
    assert memspan_("show results") == (0, out, "")


def test_a_folder_with_a_study_is_refused_and_left_as_it_was(memspan_, tmp_path):
    with new_folder(tmp_path / "results", Study()):
        pass
    before = {path: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    code, out, err = memspan_(f"study {SMALL} -o results")
    assert (code, out) == (2, "")
    refusal = "output must be a folder without a study in it, got 'results', which `memspan show` can sum up"
    assert err == f"memspan: {refusal}\n"
    assert {path: path.read_bytes() for path in (tmp_path / "results").iterdir()} == before


def test_a_file_cannot_be_the_folder(memspan_, tmp_path):
    (tmp_path / "results").write_text("mine")
    code, _, err = memspan_(f"study {SMALL} -o results")
    assert code == 2
    assert err.startswith("memspan: output must be a folder that can be made, got 'results' (")
    assert (tmp_path / "results").read_text() == "mine"


def test_a_study_that_was_not_finished_says_so(memspan_, tmp_path):
    with new_folder(tmp_path / "results", Study(lengths=(2,), repetitions=3)):
        pass
    code, out, _ = memspan_("show results")
    assert code == 0
    assert "No trial has run to its end: nothing can be said." in out


def test_a_damaged_line_is_named(memspan_, tmp_path):
    with new_folder(tmp_path / "results", Study()):
        pass
    (tmp_path / "results" / "trials.jsonl").write_text("{}\n")
    code, out, err = memspan_("show results")
    assert (code, out) == (2, "")
    assert err.startswith(f"memspan: {os.path.join('results', 'trials.jsonl')}, line 1 is not a trial: ")
    assert err.count("\n") == 1


def test_without_output_the_folder_is_new_and_named_for_the_cell(memspan_, tmp_path, monkeypatch):
    monkeypatch.setattr("memspan.commands.studies.save_figures", lambda result, folder: [folder / "none.png"])
    code, out, _ = memspan_(f"study {SMALL} --cell lstm")
    assert code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-recall-lstm", folder.name)
    assert str(folder.relative_to(tmp_path)) in out
    assert StudyResult.load(folder).study.cell == "lstm"


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
        return gradients | {"d_V": 1.001 * gradients["d_V"]}

    monkeypatch.setattr(Network, "backward", wrong)
    code, out, _ = memspan_("gradcheck --length 5")
    assert code == 1
    assert "The gradient is WRONG at " in " ".join(out.split())


def test_the_sweep_is_drawn_where_it_is_asked_for(memspan_, tmp_path):
    code, out, _ = memspan_("gradcheck --length 4 --hidden 3 -o deep/sweep")
    assert code == 0
    assert out.splitlines()[-1] == os.path.join("deep", "sweep", "step-sweep.png")
    names = sorted(path.name for path in (tmp_path / "deep" / "sweep").iterdir())
    assert names == ["step-sweep.csv", "step-sweep.png", "step-sweep.svg"]


@contextmanager
def started(folder, workers, updates):
    """A study of thousands of trials in processes of its own, once it has made its folder."""
    options = f"--repetitions 5000 --updates {updates} --workers {workers} --lengths 6 --hidden 8"
    command = [sys.executable, "-c", "from memspan.cli import main; main()", "study", *options.split()]
    command += ["--learning-rate", "1e-9", "--progress", "none", "-o", "results"]  # which learns nothing
    network = Network("rnn", 1, 8, 1, dtype="float32", rng=0)
    FusedEngine(network.layout, network.dtype, MSELoss())  # compiled here and on disk: the study would say so
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes) as study:
        try:
            wait_for((folder / "results" / "trials.jsonl").exists)
            yield study
        finally:
            if not gone(study.pid):
                os.killpg(study.pid, signal.SIGKILL)


def press_ctrl_c(study):
    """As a terminal does: everybody in the group gets it."""
    time.sleep(0.1)  # into the middle of a trial
    os.killpg(study.pid, signal.SIGINT)
    out, err = study.communicate(timeout=20)
    assert (study.returncode, out) == (130, "")
    assert err.splitlines() == [
        "What was finished is in results; `memspan show results` sums it up.",
        "memspan: interrupted",
    ]
    wait_for(lambda: gone(study.pid), 10)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_was_finished_and_leaves_nobody_behind(memspan_, tmp_path, workers):
    trials = tmp_path / "results" / "trials.jsonl"
    with started(tmp_path, workers, updates=800) as study:
        wait_for(lambda: trials.stat().st_size > 0)
        press_ctrl_c(study)
    done = len(trials.read_text().splitlines())
    assert 0 < done < 5000
    code, out, _ = memspan_("show results")
    assert code == 0
    assert f"So far ({done} of 5000 trials): no length" in out


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_the_trials_to_end(tmp_path):
    with started(tmp_path, workers=2, updates=10_000_000) as study:
        time.sleep(2)  # until the workers are there; before, they ignore it, and are stopped when they begin
        press_ctrl_c(study)
    assert (tmp_path / "results" / "trials.jsonl").read_text() == ""


@pytest.mark.slow
def test_a_killed_worker_is_a_clear_message_that_says_where_the_rest_is(memspan_, tmp_path):
    trials = tmp_path / "results" / "trials.jsonl"

    def kill():
        wait_for(lambda: trials.exists() and trials.stat().st_size > 0)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    options = "--lengths 6 --repetitions 5000 --hidden 8 --updates 100 --workers 2 --progress none -o results"
    code, out, err = memspan_(f"study {options}")
    killer.join()
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "What was finished is in results; `memspan show results` sums it up.",
        "memspan: a worker process was killed (out of memory?); what was finished is kept",
    ]
    assert 0 < len(StudyResult.load(tmp_path / "results").trials) < 5000


def test_it_is_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "memspan", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == memspan.__version__
