"""`memspan study` beyond a first run: files, growth, resumption, refusals, and what other programs read."""

import json
import re
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from memspan import Store, Study, load_study
from memspan.cli import main
from memspan.execution import run as running
from memspan.execution.events import Finished
from memspan.study.identity import folder_name

SMALL = "--hidden 4 --batch 4 --updates 3 --final-batches 1 --evaluation-samples 10 --lengths 2,3 --repetitions 2"
QUIET = "--workers 0 --progress none --no-figures"
RUN = f"study run {SMALL} {QUIET}"


@pytest.fixture
def small(tmp_path):
    """A study file."""
    (tmp_path / "study.toml").write_text(
        """\
        #:schema memspan.schema.json
        cell = ["rnn", "gru"]
        hidden = 4
        batch = 4
        updates = 3
        final_batches = 1
        evaluation_samples = 10
        lengths = [2, 3]
        repetitions = 2
        name = "from a file"

        [task_parameters]
        tolerance = 0.2
        """
    )
    return "study.toml"


def stored(name="from a file", store="memspan.sqlite"):
    return load_study(store, name)


def test_a_file_is_run_and_options_change_it(memspan_, small):
    options = "--workers 0 --progress none --cell lstm,rnn --hidden 3 --task-parameters.element 1"
    code, out, err = memspan_(f"study run {small} {options}")
    assert code == 0
    assert err == ""
    result = stored()
    assert result.study.cell == ("lstm", "rnn")
    assert result.study.task_parameters == {"tolerance": 0.2, "element": 1}
    assert (result.study.hidden, result.study.lengths) == (3, (2, 3))
    assert len(result.trials) == 8
    assert "cell lstm: " in out
    assert "cell-rnn/accuracy.png" in out
    assert "solved.png" in out


def test_networks_are_tested_at_other_lengths_than_those_they_were_trained_at(memspan_):
    """On a task that wants more answers from longer sequences. A test length that comes later changes no score."""
    line = f"study run {SMALL} --task copying/urnn --name a --workers 0 --progress none --test-lengths"
    code, out, _ = memspan_(f"{line} 1,9")
    assert code == 0
    assert "accuracy-beyond.png" in out
    first = stored("a")
    table = [[cell.strip() for cell in row.strip("│ ").split("│")] for row in out.splitlines() if "│" in row]
    means = [[f"{sum(values) / 2:.3f}" for values in row.tests.values()] for row in first.summaries()]
    assert [row for row in table if len(row) == 3] == [["2", *means[0]], ["3", *means[1]]]
    assert memspan_(f"{line} 1,5,9 --no-figures")[0] == 0
    for old, new in zip(first.trials, stored("a").trials, strict=True):
        assert (new.digest, [new.tests[0], new.tests[2]]) == (old.digest, old.tests)
    rule = "left out for memory-capacity, whose networks have another size at another length, got 9"
    _, _, err = memspan_(f"study run --task memory-capacity --lengths 5 --test-lengths 9 {QUIET}")
    assert err == f"memspan: --test-lengths must be {rule}\n"


def test_what_is_there_is_not_run_again(memspan_, small, monkeypatch):
    assert memspan_(f"study run {small} {QUIET}")[0] == 0
    before = stored()
    monkeypatch.setattr(running.StudyRun, "_train", None)  # nothing may be run
    code, out, err = memspan_(f"study run {small} --workers 0 --progress lines --no-figures")
    assert (code, err) == (0, "study: from a file: nothing to do, all 8 trials are in the store\n")
    assert "cell rnn: " in out
    assert stored() == before


def test_only_what_is_new_is_run(memspan_, small):
    assert memspan_(f"study run {small} {QUIET}")[0] == 0
    before = {trial.key: trial for trial in stored().trials}
    line = f"study run {small} --workers 0 --progress json --repetitions 3 --lengths 2,3,4 --cell rnn,gru,lstm"
    code, out, _ = memspan_(line)
    assert code == 0
    events = [json.loads(text) for text in out.splitlines()]
    assert (events[0]["event"], events[0]["trials"], events[0]["done"]) == ("planned", 27 - 8, 8)
    assert events[-1] == {"event": "ended", "seconds": events[-1]["seconds"], "complete": True, "reason": ""} | {
        "spans": []
    }
    new = [trial for event in events if event["event"] == "finished" for trial in event["trials"]]
    assert len(new) == 19
    after = {trial.key: trial for trial in stored().trials}
    assert len(after) == 27
    assert {key: after[key] for key in before} == before


def trained(out):
    """The number of trials that were trained, from a run with `--progress json`."""
    events = [json.loads(text) for text in out.splitlines()]
    return sum(len(event["trials"]) for event in events if event["event"] == "finished")


def test_what_another_study_has_is_copied_if_that_is_asked_for(memspan_, small):
    assert memspan_(f"study run {small} {QUIET}")[0] == 0
    line = f"study run {small} --workers 0 --progress json --name other --lengths 3,4"
    assert memspan_(f"{line} --dry-run")[1].startswith("8 trials in 1 process")
    assert memspan_(f"{line} --dry-run --reuse")[1].startswith("4 trials in 1 process")
    code, out, _ = memspan_(f"{line} --reuse")
    assert (code, trained(out)) == (0, 4)
    assert json.loads(out.splitlines()[0])["copied"] == {"from a file": 4}
    assert stored("other").of_length(3) == stored().of_length(3)
    code, out, _ = memspan_("study extend other --lengths 2 --reuse --workers 0 --progress json")
    assert (code, trained(out)) == (0, 0)
    with Store("memspan.sqlite") as store:
        store.enter(stored("other").study.with_(name="third"))
    code, out, _ = memspan_("study resume third --reuse --workers 0 --progress json")
    assert (code, trained(out)) == (0, 0)
    assert stored("third").trials == stored("other").trials
    _, _, err = memspan_(f"study run {small} --workers 0 --no-figures --progress lines --name fourth --reuse")
    assert err.startswith(
        "study: fourth: 8 trials copied from from a file, nothing to train, all 8 trials are in "
    )
    code, out, _ = memspan_(f"study run {small} --workers 0 --progress json --name unasked")
    assert (code, trained(out)) == (0, 8)


def test_a_search_takes_nothing_from_the_store(memspan_):
    code, _, err = memspan_("span --reuse")
    assert code == 2
    assert err.startswith("memspan: Unknown option --reuse.")


def test_another_study_of_that_name_is_refused(memspan_, small):
    assert memspan_(f"study run {small} {QUIET}")[0] == 0
    code, out, err = memspan_(f"study run {small} {QUIET} --cell lstm --hidden 5")
    assert (code, out) == (2, "")
    assert err == (
        "memspan: Study 'from a file' exists with other settings (cell: rnn, gru, now lstm; hidden: 4, now 5). "
        "Choose another --name.\n"
    )
    assert len(stored().trials) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lenghts = [3]", "Unknown field 'lenghts'. Did you mean 'lengths'?"),
        ('cell = ["rnn", "lstn"]', "cell[1] must be one of rnn, "),
        ('cell = ["rnn", "lstn"]', "got 'lstn'; did you mean 'lstm'?"),
        ('hidden = "many"', "hidden takes integers, got 'many'."),
        ("hidden = [8, 0]", "hidden[1] must be at least 1, got 0"),
        ("updates = true", "updates must be a number or a name, not a truth value, got True"),
        ("lengths = []", "lengths must be at least one value, got []"),
        (
            "[task_parameters]\nspeed = 3",
            "a parameter of recall must be one of tolerance, element, scale, got 'speed'",
        ),
        ("[task_parameters]\ntolerance = [0.1, -1]", "tolerance must be "),
        ("lengths = [", "the study file must be TOML in UTF-8, got study.toml: "),
        ("learning_rate = nan", "learning_rate must be a finite number, got nan"),
        ("lengths = [1000000000000]", "lengths[0] must be at most 2,147,483,647, got 1000000000000"),
        ("lengths = [2000000000]", " needs buffers of "),
        (f"seed = 0x{'f' * 20_000}", "seed must be at most 2**128 - 1, got an integer of about 24,083 digits"),
        (f"hidden = 1{'0' * 400}", "hidden must be at most 2,147,483,647, got an integer of about 401 digits"),
        (f"keep_weights = 1{'0' * 30}", "keep_weights must be at most 2,147,483,647, got 1000000000000000"),
        (
            f"lengths = {'[' * 30}3{']' * 30}",
            "the study file must be nested at most 20 levels deep, got study.toml",
        ),
        (
            f"# {'x' * 1_000_000}",
            "the study file must be at most 1,000,000 bytes long, got study.toml",
        ),
        ("learning_rate = 1" + "0" * 400, "learning_rate must be a finite number, got an integer of about 401"),
        ("hidden = 1000000000", " needs buffers of "),
        ("self = 1", "Unknown field 'self'."),
        (f"hidden = {'1' * 5000}", "the study file must be TOML in UTF-8, got study.toml: "),
        (f"lengths = {'[' * 3000}{']' * 3000}", "the study file must be nested at most 20 levels deep, got study"),
        (f"name = '{'é' * 600}'", "name must be a text of at most 1,000 bytes in UTF-8"),
    ],
)
def test_a_bad_file_gets_a_message_and_no_store(memspan_, tmp_path, text, message):
    (tmp_path / "study.toml").write_text(text)
    code, out, err = memspan_("study run study.toml --workers 0 --progress none --dry-run")
    assert (code, out) == (2, "")
    assert err.startswith("memspan: ")
    assert message in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_a_file_behind_the_options_is_told_where_it_goes(memspan_, small):
    code, _, err = memspan_(f"study run --cell lstm {small}")
    message = "The study file must come before the options; it was taken as a value of cell."
    assert (code, err) == (2, f"memspan: {message}\n")
    assert memspan_("study run nothing.toml")[0] == 2


def test_a_dry_run_only_tells(memspan_, small, tmp_path):
    code, out, _ = memspan_(f"study run {small} --workers 1 --dry-run")
    assert code == 0
    assert out.startswith("8 trials in 1 process, at most ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.toml"]
    memspan_(f"study run {small} {QUIET}")
    assert memspan_(f"study run {small} --dry-run")[1] == "nothing to do\n"
    assert memspan_(f"study run {small} --dry-run --repetitions 3 --workers 0")[1].startswith(
        "4 trials in 1 process"
    )


def unfinished(monkeypatch, memspan_, small):
    """A study that was stopped when half of it was done."""

    def listening(kind, listen):
        def both(event):
            listen(event)
            if isinstance(event, Finished):
                raise KeyboardInterrupt

        return nullcontext(both)

    with monkeypatch.context() as patched:
        patched.setattr("memspan.cli.study.runner.listening", listening)
        patched.setattr("memspan.cli.study.runner.ignore_interrupts", lambda: None)
        code, _, err = memspan_(f"study run {small} {QUIET}")
    assert code == 130
    assert err.splitlines() == [
        "memspan: finished trials are stored. To continue:",
        "  memspan study resume 'from a file'",
        "memspan: interrupted",
    ]


def test_a_study_that_was_stopped_is_found_and_resumed(memspan_, small, monkeypatch):
    unfinished(monkeypatch, memspan_, small)
    done = len(stored().trials)
    assert 0 < done < 8
    code, out, _ = memspan_("study status")
    assert code == 0
    assert f"{done}/8" in out
    code, out, _ = memspan_(["study", "status", "from a file"])
    assert f"from a file: {done} of 8 trials, unfinished: {8 - done} trials are missing" in out
    assert "memspan study resume 'from a file'" in out
    code, out, _ = memspan_(f"study resume {QUIET}")
    assert code == 0
    assert len(stored().trials) == 8
    assert "8 of 8 trials, finished" in memspan_(["study", "status", "from a file"])[1]
    code, _, err = memspan_(f"study resume {QUIET}")
    assert (code, err) == (
        0,
        "memspan: nothing to resume: every study in memspan.sqlite is finished\n",
    )


def test_which_study_must_be_told_if_there_are_several(memspan_, small):
    memspan_(f"study run {small} {QUIET}")
    memspan_(f"{RUN} --name second")
    code, _, err = memspan_("study show")
    assert (code, err) == (2, "memspan: Which study? Choose one of from a file, second.\n")
    code, out, _ = memspan_("study show second -o drawn")
    assert code == 0
    assert "drawn/accuracy.png" in out
    code, _, err = memspan_("study show secnd")
    assert (code, "No study 'secnd' in memspan.sqlite. Did you mean 'second'?" in err) == (2, True)


def test_a_study_grows_by_its_name_alone(memspan_, small):
    assert memspan_(f"study run {small} {QUIET}")[0] == 0
    before = {trial.key: trial for trial in stored().trials}
    name = ["study", "extend", "from a file"]
    code, _, _ = memspan_([*name, *f"--repetitions 3 --lengths 4 {QUIET}".split()])
    assert code == 0
    result = stored()
    assert (result.study.lengths, result.study.repetitions, len(result.trials)) == ((2, 3, 4), 3, 18)
    assert result.study.task_parameters == {"tolerance": 0.2}
    assert {trial.key: trial for trial in result.trials}.items() >= before.items()
    for options, message in (
        ("", "Nothing to add: pass --lengths, --repetitions or both."),
        ("--repetitions 2", "--repetitions must be at least 3, as in the store, got 2"),
        ("--lengths x", "--lengths takes integers, got 'x'."),
        ("--lengths 0", "--lengths must be at least 1, got '0'"),
    ):
        assert memspan_([*name, *options.split(), *QUIET.split()]) == (2, "", f"memspan: {message}\n")
    assert memspan_(f"study extend your --repetitions 9 {QUIET}")[0] == 2
    assert stored() == result


def test_the_only_study_grows_without_its_name(memspan_, small):
    memspan_("span --hidden 4 --updates 5 --budget 16 --repetitions 2 --groups 2 --workers 0 --json")
    line = f"study extend --repetitions 3 {QUIET}"
    message = "No study in memspan.sqlite yet. Run `memspan study run` first."
    assert memspan_(line) == (2, "", f"memspan: {message}\n")
    memspan_(f"study run {small} {QUIET}")
    assert memspan_(line)[0] == 0
    assert stored().study.repetitions == 3
    memspan_(f"{RUN} --name second")
    assert memspan_(line)[2] == "memspan: Which study? Choose one of from a file, second.\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where no folder can be created")
@pytest.mark.parametrize("command", ["study run", "span", "compare --hidden 4,8"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(memspan_, tmp_path, command):
    code, out, err = memspan_(f"{command} --output /proc/x")
    assert (code, out) == (2, "")
    assert err.startswith("memspan: --output must be a folder that memspan can write to, got /proc/x: ")
    assert not list(tmp_path.iterdir())


def test_the_name_of_a_study_names_the_folder_of_its_figures(memspan_, monkeypatch):
    monkeypatch.setattr("memspan.cli.study.runner.save_pages", one_figure)
    code, out, _ = memspan_(f"{RUN.removesuffix(' --no-figures')} --name mine")
    assert (code, out.splitlines()[-1]) == (0, "runs/mine/accuracy.png")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mine", "mine"),
        ("from a file", "from a file"),
        ("größer-2.5", "größer-2.5"),
        ("a/b", "a-b-"),
        ("..", "-"),
        ("x.", "x-"),
        ("con", "study-con-"),
        ("NUL.txt", "study-NUL.txt-"),
        ("y" * 70, "y" * 60 + "-"),
    ],
)
def test_a_folder_has_the_name_of_its_study_where_file_systems_take_it(name, folder):
    found = folder_name(name)
    assert found == folder if name == folder else re.fullmatch(re.escape(folder) + "[0-9a-f]{6}", found)
    assert len(found.encode()) < 255


def test_the_code_of_a_study_is_watched(memspan_, small, monkeypatch):
    from memspan.cells import CELLS

    assert memspan_(f"study run {small} {QUIET}")[0] == 0
    monkeypatch.setitem(CELLS, "gru", replace(CELLS["gru"], constants={"more": 1.0}))
    for line in (f"study run {small} {QUIET}", f"study run {small} --dry-run", f"study resume from {QUIET}"):
        code, out, err = memspan_(["from a file" if word == "from" else word for word in line.split()])
        assert (code, out) == (2, "")
        assert err.startswith("memspan: The code of cell gru has changed since study 'from a file' was run. ")
    assert memspan_(["study", "show", "from a file"])[0] == 0  # which computes nothing


def test_one_configuration_can_be_shown_alone(memspan_, small):
    memspan_(f"study run {small} {QUIET}")
    code, out, _ = memspan_(["study", "show", "from a file", "--configuration", "2"])
    assert code == 0
    assert "gru, 4 hidden" in out
    assert "rnn" not in out
    code, _, err = memspan_(["study", "show", "from a file", "--configuration", "3"])
    assert (code, err) == (2, "memspan: --configuration must be at most 2, got 3\n")


def test_failed_trials_are_told_and_run_again_if_asked(memspan_, small, monkeypatch):
    from memspan.study import group as module

    sound = module.prepared

    def prepared(study, length, repetitions, engine=None):
        if length == 3 and 1 in repetitions:
            raise MemoryError("no room")
        return sound(study, length, repetitions, engine)

    with monkeypatch.context() as patched:
        patched.setattr(module, "prepared", prepared)
        code, out, _ = memspan_(f"study run {small} {QUIET}")
    assert code == 1
    assert "A trial failed: MemoryError: no room" in out
    assert out.endswith("memspan study resume 'from a file' --retry-failed\n")
    assert "A trial failed: MemoryError: no room" in memspan_(["study", "status", "from a file"])[1]
    code, out, _ = memspan_(f"study run {small} {QUIET}")
    assert "no room" in out  # they are results, until somebody asks
    code, out, _ = memspan_(["study", "resume", "from a file", "--retry-failed", *QUIET.split()])
    assert (code, "no room" in out) == (0, False)
    assert {trial.outcome for trial in stored().trials} <= {"solved", "unsolved"}


def test_the_schema_admits_what_the_study_admits(memspan_, small, tmp_path):
    code, out, _ = memspan_("study schema")
    schema = json.loads(out)
    assert code == 0
    assert schema["properties"]["hidden"]["anyOf"][0]["type"] == "integer"
    assert schema["properties"]["hidden"]["anyOf"][1]["type"] == "array"
    assert schema["additionalProperties"] is False
    keys = tomllib.loads((tmp_path / small).read_text()).keys()
    assert keys <= schema["properties"].keys() == Study.model_fields.keys()


def one_figure(result, name, folder, store):
    """In place of all: they take two seconds."""
    folder.mkdir(parents=True)
    (folder / "accuracy.png").touch()
    return [folder / "accuracy.png"]


@pytest.mark.parametrize(
    "name", ["../../x", "'; DROP TABLE trials", "<script>", "=cmd()", "[bold]", "a\tb\x1b[31m"]
)
def test_a_hostile_name_is_only_a_name(memspan_, monkeypatch, tmp_path, name):
    monkeypatch.setattr("memspan.cli.study.runner.save_pages", one_figure)
    code, out, _ = memspan_([*RUN.split()[:-1], "--name", name])
    assert code == 0
    assert stored(name).complete
    outside = {path.name for path in tmp_path.iterdir()}
    assert outside == {"memspan.sqlite", "runs"}
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"runs/{folder.name}/accuracy.png" in out
    assert re.fullmatch(r"[\w -][\w. -]*", folder.name)
    for line in (["study", "status"], ["store", "ls"], ["study", "status", name], ["store", "show", name]):
        code, out, _ = memspan_(line)
        assert code == 0
        assert "\x1b" not in out
        assert name.split("\t")[0] in out
    assert memspan_(["store", "export", name, "-o", "out.csv"])[0] == 0
    assert memspan_(["store", "rm", name, "--yes"])[0] == 0


def test_of_very_many_trials_only_what_they_come_to_is_read_and_drawn(memspan_, tmp_path, monkeypatch):
    monkeypatch.setattr("memspan.study.figures.MOST_WITH_CURVES", 3)
    monkeypatch.setattr("memspan.study.results.StudyResult.of", None)  # nobody asks for the trials
    size = "--lengths 2,3 --repetitions 2 --updates 5 --name many"
    code, out, _ = memspan_(f"study run {size} -o drawn --workers 0 --progress none")
    assert code == 0
    assert "from 4 trainings at 2 lengths." in out
    code, again, _ = memspan_("study show many -o drawn")
    assert (code, again) == (0, out)
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [
        "accuracy.csv",
        "accuracy.png",
        "accuracy.svg",
        "report.html",
        "span.csv",
        "span.png",
        "span.svg",
    ]


def test_figures_may_be_left_out(memspan_, tmp_path):
    code, out, _ = memspan_(RUN)
    assert code == 0
    assert ".png" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["memspan.sqlite"]


def test_the_store_may_be_named_by_the_environment(memspan_, monkeypatch, tmp_path):
    monkeypatch.setenv("MEMSPAN_STORE", "elsewhere/other.sqlite")
    assert memspan_(RUN)[0] == 0
    assert (tmp_path / "elsewhere" / "other.sqlite").exists()
    assert not (tmp_path / "memspan.sqlite").exists()


def test_workers_and_weights_may_be_chosen(memspan_):
    assert memspan_(f"{RUN} --keep-weights 2 --name w")[0] == 0
    with Store("memspan.sqlite") as store:
        entry = store.find("w")
        kept = [key for key in entry.done() if entry.weights(key) is not None]
        assert len(kept) == 4
        from safetensors.numpy import load

        weights = load(entry.weights(kept[0]))
    assert {name: array.shape for name, array in weights.items()} == {
        "W": (1, 4),
        "R": (4, 4),
        "bs": (4, 1),
        "V": (4, 1),
        "by": (1, 1),
    }


def test_the_main_program_can_be_imported():
    assert callable(main)


def test_the_password_of_a_database_is_not_in_the_command_to_go_on(monkeypatch):
    from memspan.cli.study.runner import resume_command

    monkeypatch.delenv("MEMSPAN_STORE", raising=False)
    command = resume_command("mine", "postgresql://me:secret@host/x")
    assert command == "memspan study resume mine --store 'postgresql://me:***@host/x'"
    assert resume_command("it's", "memspan.sqlite") == "memspan study resume 'it'\"'\"'s'"
    assert resume_command("-x", "a.sqlite") == "memspan study resume --store a.sqlite -- -x"
    assert "secret" not in resume_command("mine", "postgresql://me@host/x?password=secret")
    monkeypatch.setenv("MEMSPAN_STORE", "other.sqlite")
    assert resume_command("mine", "other.sqlite") == "memspan study resume mine"
    assert resume_command("mine", "memspan.sqlite") == "memspan study resume mine --store memspan.sqlite"
