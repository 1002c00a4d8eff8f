"""`memspan new`: write the file of a cell or a task of the user's own, as a beginning."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.groups import new_group
from memspan.errors import Conflict, InvalidArgument
from memspan.runtime.files import make_folder

HELP = """Write the file of a cell or a task of your own, as a beginning that can be checked and trained.

**A cell, and its check:**

    memspan new cell mypkg/cells.py
    memspan check mypkg.cells:mine
"""


def cell(
    path: Path,
    /,
    *,
    torch: Annotated[bool, Parameter(negative="")] = False,
    jax: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a cell with its forward and backward equations, or a PyTorch or JAX cell.

    **A PyTorch cell, and a JAX cell:**

        memspan new cell mypkg/nets.py --torch
        memspan new cell mypkg/jaxnets.py --jax

    Parameters
    ----------
    path
        The new file, in the current folder or below: mypkg/cells.py can be imported as mypkg.cells.
    torch
        Write a PyTorch cell, whose gradient PyTorch computes.
    jax
        Write a JAX cell, whose gradient JAX computes.
    """
    if torch and jax:
        raise Conflict("--torch and --jax are two kinds of cells. Choose one.")
    name = _written(path, "torch" if torch else "jax" if jax else "cell", "mine")
    print(f"{path}\n\nmemspan check {name}\nmemspan compare --cell lstm,{name} --equal parameters")


def task(path: Path, /) -> None:
    """Write a task: what its sequences are, and which answers are right.

    **A task, and its check:**

        memspan new task mypkg/tasks.py
        memspan check mypkg.tasks:Mine

    Parameters
    ----------
    path
        The new file, in the current folder or below: mypkg/tasks.py can be imported as mypkg.tasks.
    """
    name = _written(path, "task", "Mine")
    print(f"{path}\n\nmemspan check {name}\nmemspan span --task {name}")


def _written(path: Path, template: str, attribute: str) -> str:
    """Write a template to a new file, and return the import path of what it defines."""
    parts = path.with_suffix("").parts
    if path.suffix != ".py" or path.is_absolute() or not all(part.isidentifier() for part in parts):
        rule = "one from the current folder to a Python file, such as mypkg/cells.py"
        raise InvalidArgument("path", rule, str(path))
    if path.exists():
        raise Conflict(f"{path} exists. Choose another file.")
    make_folder(path.parent, "the folder of the file")
    path.write_text((files(__package__) / f"{template}.txt").read_text("utf-8"), "utf-8")
    return f"{'.'.join(parts)}:{attribute}"


new = new_group("new", HELP, (cell, task))
