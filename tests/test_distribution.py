"""The wheel, the sdist and CITATION.cff, and that the wheel works in an empty environment."""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from memspan import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CFF_KEYS = (
    *("cff-version", "message", "title", "authors", "type", "abstract", "version", "license", "keywords"),
    *("date-released", "doi", "identifiers", "repository-code", "url", "references", "preferred-citation"),
)
"""What the format 1.2.0 allows, without what no program has; the first four are required."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, as `make dist` builds them."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True, env=clean_environment())
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The folder of the programs of an environment with the wheel and what it requires, as pipx makes one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    command = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", built[0]]
    subprocess.run(command, check=True, capture_output=True, env=clean_environment())
    return programs


def clean_environment():
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MEMSPAN_STORE")}


def run(command, folder):
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_has_the_package_with_all_its_files_and_nothing_else(built):
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
    }
    with zipfile.ZipFile(built[0]) as wheel:
        found = set(wheel.namelist())
    meta = {name for name in found if name.startswith(f"memspan-{__version__}.dist-info/")}
    assert found - meta == expected
    assert {name.rpartition("/")[2] for name in meta} >= {"METADATA", "entry_points.txt", "LICENSE"}
    assert {path.rpartition(".")[2] for path in expected} >= {"npy", "css", "html", "txt", "typed", "pyi"}


@pytest.mark.slow
def test_the_sdist_has_the_tests_and_the_documentation_too(built):
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= {"pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "docs/index.md"}
    assert "tests/test_distribution.py" in names
    assert not [name for name in names if name.startswith((".venv", ".ci", "runs", "build"))]


@pytest.mark.slow
def test_memspan_works_in_an_environment_with_the_wheel_alone(installed, tmp_path):
    assert run([installed / "memspan", "--version"], tmp_path) == f"{__version__}\n"
    sizes = "--hidden 2 --updates 1 --batch 2 --evaluation-samples 10 --final-batches 1"
    few = "--budget 8 --repetitions 2 --groups 2 --longest 4 --workers 1"
    found = json.loads(run([installed / "memspan", "span", *f"{sizes} {few} --json".split()], tmp_path))
    assert found["trainings"] == 8
    assert found["left_censored"]
    listed = json.loads(run([installed / "memspan", "store", "ls", "--json"], tmp_path))
    assert [(one["kind"], one["done"]) for one in listed] == [("search", 8)]
    findings = json.loads(run([installed / "memspan", "doctor", "--quick", "--json"], tmp_path))["findings"]
    assert {one["part"] for one in findings if one["state"] == "missing"} >= {"dask", "parquet", "postgres"}
    run([installed / "python", "-m", "pip", "check", "--disable-pip-version-check"], tmp_path)


def test_citation_cff_is_valid_and_says_what_the_project_says():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {*cited} <= {*CFF_KEYS}
    assert all(cited[key] for key in CFF_KEYS[:4])
    assert (cited["cff-version"], cited["type"], cited["title"]) == ("1.2.0", "software", PROJECT["name"])
    assert cited["version"] == __version__
    assert cited["abstract"] == PROJECT["description"]
    assert cited["keywords"] == PROJECT["keywords"]
    assert " AND ".join(cited["license"]) == PROJECT["license"]
    assert [author["name"] for author in cited["authors"]] == [author["name"] for author in PROJECT["authors"]]
