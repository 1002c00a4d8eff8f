"""examples/own_cell, installed into an empty environment: its cell and task have names on the command line."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = "--hidden 4 --updates 3 --evaluation-samples 20 --final-batches 1 --progress none --no-figures --name mine"


@pytest.fixture(scope="module")
def in_empty_environment(tmp_path_factory):
    """Run a program of an environment in which only memspan and the package are installed."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    mine = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in mine}

    def run(program, *arguments):
        command = [str(programs / program), *map(str, arguments)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    quickly = ("--quiet", "--no-compile")  # most modules are never imported here
    installed = run("pip", "install", *quickly, ROOT, ROOT / "examples" / "own_cell")
    assert installed.returncode == 0, installed.stderr
    return run


def test_its_cell_and_its_task_are_listed_checked_and_trained(in_empty_environment):
    names = {"cells": ["leaky-gate", "own_cell.cells:mine"], "tasks": ["larger", "own_cell.tasks:Mine"]}
    for kind, row in names.items():
        listed = in_empty_environment("memspan", kind).stdout
        rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in listed.splitlines()]
        assert [*row, "own-cell 0.1.0"] in rows
    for part in ("leaky-gate", "larger"):
        ended = in_empty_environment("memspan", "check", part)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    line = f"study run --cell leaky-gate --task larger --lengths 3 --repetitions 1 --workers 0 {QUICK}"
    ended = in_empty_environment("memspan", *line.split())
    assert ended.returncode == 0, ended.stderr
    assert "own_cell.tasks:Mine" in in_empty_environment("memspan", "store", "show", "mine").stdout
