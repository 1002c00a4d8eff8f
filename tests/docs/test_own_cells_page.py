"""The commands of docs/own-cells.md run, one block after the other, with fewer and shorter trainings."""

import re
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "own-cells.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
QUICK = "--updates 2 --evaluation-samples 20 --final-batches 1 --progress none --no-figures --workers 0"
SEARCH = {"study": "--repetitions 1 --hidden 4", "compare": "--budget 16", "span": "--budget 16"}


def test_every_command(memspan_, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    modules = {*sys.modules}
    ran = 0
    for command in (line for block in BLOCKS for line in block.splitlines()):
        name = command.split()[1]
        library = "jax" if "jaxnets" in command else "torch" if "nets" in command else None
        if library and not is_there(library):
            continue
        if not command.startswith("pip "):
            more = f" {QUICK} {SEARCH[name]}" if name in SEARCH else ""
            code, _, err = memspan_(command.removeprefix("memspan ") + more)
            assert code == 0, f"{command}: {err}"
            ran += 1
    for module in {*sys.modules} - modules:
        if module.startswith("mypkg"):
            del sys.modules[module]
    assert ran == 6 + 4 * is_there("torch") + 3 * is_there("jax")


def test_the_options_of_the_page(memspan_, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    Path("optpkg").mkdir()
    code = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def stacked" in block)
    Path("optpkg/nets.py").write_text(code)
    file = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[options]" in block)
    Path("study.toml").write_text(file.replace("mypkg", "optpkg"))
    for line in ("study.toml", "--cell optpkg.nets:stacked --lengths 5 --options.layers 1,2"):
        status, out, err = memspan_(f"study run {line} {QUICK} {SEARCH['study']}")
        assert (status, err) == (0, "")
        assert "2 configurations of layers" in " ".join(out.split())


def is_there(library):
    try:
        pytest.importorskip(library)
    except pytest.skip.Exception:
        return False
    return True
