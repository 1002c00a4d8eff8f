"""Shell completion: the scripts, their installation, and what bash proposes."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memspan import Store, Study
from memspan.cells import CELLS
from memspan.cli.app import COMMANDS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_knows_every_command_and_its_options(memspan_, shell):
    code, out, err = memspan_(f"completion {shell}")
    assert (code, err) == (0, "")
    for word in (*COMMANDS, "recurrent-gain", "retry-failed", "rescue"):
        assert word in out, word
    if program := shutil.which(shell):
        assert subprocess.run([program, "-n"], input=out, text=True, check=False).returncode == 0


def test_it_is_installed_in_the_home_folder(memspan_, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    code, out, _ = memspan_("completion bash --install")
    script = Path(out.strip())
    assert code == 0
    assert script.read_text().startswith("# Bash completion for memspan")
    assert script.is_relative_to(home)
    assert str(script) in (home / ".bashrc").read_text()
    before = (home / ".bashrc").read_text()
    assert memspan_("completion bash --install")[0] == 0
    assert (home / ".bashrc").read_text() == before


def test_an_unknown_shell_is_refused(memspan_, monkeypatch):
    def fail():
        from cyclopts.completion.detect import ShellDetectionError

        raise ShellDetectionError

    code, _, err = memspan_("completion bsh")
    assert code == 2
    assert err.startswith("memspan: SHELL must be one of ")
    assert err.endswith("got 'bsh'; did you mean 'bash'?\n")
    monkeypatch.setattr("memspan.cli.completion.detect_shell", fail)
    code, _, err = memspan_("completion")
    assert code == 2
    assert err.startswith("memspan: Which shell? Name one: `memspan completion bash`, ")


@pytest.fixture(scope="module")
def proposed(tmp_path_factory):
    """What bash proposes for the last word of a line, in a folder with a store."""
    bash = shutil.which("bash")
    if bash is None or sys.platform == "win32":
        pytest.skip("needs bash")
    folder = tmp_path_factory.mktemp("bash")
    program = folder / "memspan"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m memspan "$@"\n')
    program.chmod(0o755)
    script = subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    with Store(folder / "memspan.sqlite", create=True) as store:
        store.enter(Study(name="gates", lengths=(3,)))

    def complete(line):
        words = [str(program), *line.split(" ")[1:]]
        listed = " ".join(map(shlex.quote, words))
        code = f"{script}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _memspan\n"
        code += 'printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run([bash, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("memspan st", ["study", "store"]),
        ("memspan study s", ["status", "show", "schema"]),
        ("memspan span --rec", ["--recurrent-gain"]),
        ("memspan bench --engine com", ["compiled"]),
        ("memspan span --cell ls", [name for name in CELLS if name.startswith("ls")]),
        ("memspan compare --cell rnn,ls", [f"rnn,{name}" for name in CELLS if name.startswith("ls")]),
        ("memspan cells ug", ["ugrnn"]),
        ("memspan study show g", ["gates"]),
        ("memspan store rm g", ["gates"]),
        ("memspan study show --store nowhere g", []),
    ],
)
def test_bash_proposes_commands_options_and_names(proposed, line, words):
    assert sorted(word.replace("\\", "") for word in proposed(line)) == sorted(words)
