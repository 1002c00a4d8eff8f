"""Every fenced block of the README and the docs runs.

The blocks of a page run in order, in one empty folder and one namespace. A `text` block is what the block before
it prints. Commands with their output (`console`) run as they stand. Those without (`sh`, and `run`, which the
build of the site runs as they stand) are shortened by `SHORTER`.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

import pytest
from pages import DOCS, PAGES, ROOT, Block, blocks_of

TRAINING = "--updates 2 --evaluation-samples 20 --final-batches 1 --workers 0 --no-figures --progress none"
SHORTER = {
    "span": f"--budget 16 {TRAINING}",
    "compare": f"--budget 16 {TRAINING}",
    "study run": f"--repetitions 1 {TRAINING}",
    "study resume": "--workers 0 --no-figures",
    "store rm": "--yes",
    "study extend": "--workers 0 --no-figures",
    "explain": "--networks 1 --rounds 1 --budget 16 --longest 20",
    "report": "--no-why",
    "predict": "--longest 8 --updates 100",
}
"""Options that are added to a command without output, if it does not have them."""
SERVERS = {"postgres": "postgresql://me@db.example.org/memspan", "dask": "tcp://10.0.0.1:8786"}
"""The address on a page in place of which a server of the tests is used."""
WITH_CODE = {path: found for path in PAGES if (found := blocks_of(path.read_text("utf-8")))}


def pages():
    for path, blocks in WITH_CODE.items():
        slow = [pytest.mark.slow] if any("slow" in block.marks for block in blocks) else []
        yield pytest.param(path, id=str(path.relative_to(ROOT).with_suffix("")), marks=slow)


class Reader:
    """Runs the blocks of a page, one after the other, as a reader would."""

    def __init__(self, request, memspan_):
        self.request, self.memspan_ = request, memspan_
        self.capsys = request.getfixturevalue("capsys")
        self.names = {"__name__": "page"}
        self.printed = ""

    def read_all(self, blocks: list[Block]) -> None:
        for block in blocks:
            self.read(block)

    def read(self, block: Block) -> None:
        if needed := block.marks.get("needs"):
            block = self.with_what_it_needs(block, needed)
        if file := block.marks.get("file"):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(block.text, "utf-8")
        run = getattr(self, f"run_{block.language.strip('{}').replace('-', '_')}", None)
        assert run, f"which test reads a block of {block.language!r}?"
        run(block)

    def with_what_it_needs(self, block: Block, needed: str) -> Block:
        if needed not in SERVERS:
            pytest.importorskip(needed, reason=f"{needed} is not installed")
            return block
        server = self.request.getfixturevalue(needed)
        address = server.url if needed == "postgres" else server.address
        return replace(block, text=block.text.replace(SERVERS[needed], address))

    def run_python(self, block: Block) -> None:
        code = "\n" * block.line + re.sub(r"(?m)^:.*$", "", block.text)
        exec(compile(code, "the page", "exec"), self.names)
        self.printed = self.capsys.readouterr().out

    def run_code_cell(self, block: Block) -> None:
        written = re.match(r"%%writefile (\S+)\n", block.text)
        if written:
            Path(written[1]).write_text(block.text[written.end() :], "utf-8")
        else:
            self.run_python(block)

    def run_eval(self, block: Block) -> None:
        assert block.text in self.names, f"the text shows {block.text}, which is not there yet"

    def run_console(self, block: Block) -> None:
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            self.command(command, shown=True)
            self.compare(output)

    def run_sh(self, block: Block) -> None:
        for line in block.lines:
            self.command(line)

    run_run = run_sh

    def run_text(self, block: Block) -> None:
        self.compare(block.text)

    def run_toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def run_bash(self, block: Block) -> None:
        """A script for another machine: its syntax."""
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)

    def compare(self, output: str) -> None:
        if output.strip():
            same = OutputChecker().check_output(output, self.printed, ELLIPSIS | NORMALIZE_WHITESPACE)
            assert same, f"the page shows\n{output}\nbut this is printed\n{self.printed}"

    def command(self, line: str, shown: bool = False) -> None:
        program, *words = shlex.split(line, comments=True)
        if program == "memspan":
            code, out, err = self.memspan_(words if shown else shortened(words))
            self.printed = out + err
            assert shown or code == 0, f"{line}: {err}"
        elif program == "make":
            if shutil.which("make"):
                subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)
        elif program == "python":  # the scripts take minutes
            assert (ROOT / words[0]).is_file(), f"{line}: there is no such script"
        elif program == "pip":
            assert_installable(words)
        else:
            pytest.fail(f"which test runs {line!r}?")


def shortened(words: list[str]) -> list[str]:
    """Return the words of a command with the options that make it short."""
    command = next((command for command in SHORTER if words[: command.count(" ") + 1] == command.split()), "")
    options = re.findall(r"(--\S+)(?: ([^-]\S*))?", SHORTER.get(command, ""))
    return words + [word for name, value in options if name not in words for word in (name, value) if word]


def assert_installable(words: list[str]) -> None:
    """`pip install` names memspan, and extras that it has."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    command, *arguments = words
    assert command == "install"
    for argument in (argument for argument in arguments if not argument.startswith("-")):
        name, _, extras = argument.rstrip("]").partition("[")
        assert name in (".", "memspan"), argument
        assert {*filter(None, extras.split(","))} <= declared.keys(), argument


@pytest.mark.parametrize("path", list(pages()))
def test_page_runs(path, request, memspan_, monkeypatch, subtests):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    before = {*sys.modules}
    reader = Reader(request, memspan_)
    for block in WITH_CODE[path]:
        with subtests.test(line=block.line):
            if why := block.marks.get("skip"):
                pytest.skip(why)
            reader.read(block)
    plt.close("all")
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(Path.cwd())):
            del sys.modules[name]


def test_all_commands_are_in_fenced_blocks():
    indented = re.compile(r"^ {4}(?:memspan|make|python|pip|dask) .*$", re.MULTILINE)
    for path in PAGES:
        text = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", path.read_text("utf-8"))
        assert indented.findall(text) == [], path.relative_to(ROOT)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```python\n1 / 0\n```", "division by zero"),
        ("```python\nprint(2)\n```\n\n```text\n3\n```", "the page shows"),
        ("```sh\nmemspan span --hiden 3\n```", "--hiden"),
        ("```sh\nmake coffee\n```", "make"),
        ("```sh\npip install 'memspan[coffee]'\n```", "memspan"),
        ("```sh\npython benchmarks/coffee.py\n```", "no such script"),
        ("```sh\ncoffee\n```", "which test runs"),
        ("```console\n$ memspan cells rnn\ncoffee\n```", "the page shows"),
        ("```toml\na = \n```", "Invalid value"),
        ("```\ncoffee\n```", "which test reads"),
        ("It is {eval}`coffee`.\n\n```{code-cell}\ncoffee = 1\n```", "not there yet"),
    ],
)
def test_a_block_that_is_wrong_is_found(page, message, request, memspan_):
    reader = Reader(request, memspan_)
    with pytest.raises((Exception, pytest.fail.Exception), match=re.escape(message)):
        reader.read_all(blocks_of(page + "\n"))


def test_marks_are_read():
    page = "<!-- test: {} -->\n```sh\nx\n```\n"
    (block,) = blocks_of(page.format("needs torch; file a.py; slow"))
    assert (block.marks, block.line) == ({"needs": "torch", "file": "a.py", "slow": ""}, 2)
    for wrong in ("skip", "skip:", "needs", "maybe", "slow; maybe"):
        with pytest.raises(ValueError, match="a mark must be"):
            blocks_of(page.format(wrong))


def test_there_are_pages():
    assert ROOT / "README.md" in WITH_CODE
    assert DOCS / "studies.md" in WITH_CODE
