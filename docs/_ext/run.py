"""Sphinx extension: the directive `run` shows commands, and what they print.

    ```{run}
    memspan study run --lengths 5,10 --name first
    memspan study status
    ```

The commands of a page run when the page is read, one after the other, in a folder of its own that is empty at
first. A command that fails ends the build. Only standard output is shown; with the option `:last: 2`, only the
last two lines of it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WIDTH = 96
"""Columns of a page."""


class Run(SphinxDirective):
    """Commands that run, one in a line."""

    has_content = True
    option_spec = {"last": directives.positive_int}  # noqa: RUF012  # the name is Sphinx's

    def run(self) -> list[nodes.Node]:
        """Return the commands with what they print."""
        folder = folder_of(self.env.app, self.env.docname)
        folder.mkdir(parents=True, exist_ok=True)
        text = "\n".join(f"$ {line}\n{self.printed(line, folder)}" for line in self.content if line)
        block = nodes.literal_block(text, text, language="console")
        self.set_source_info(block)
        return [block]

    def printed(self, command: str, folder: Path) -> str:
        """Return what a command prints, without spaces at the ends of the lines."""
        programs = Path(sys.executable).parent
        plain = {"NO_COLOR": "1", "COLUMNS": str(WIDTH), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            command, shell=True, cwd=folder, env=os.environ | plain, capture_output=True, encoding="utf-8"
        )
        if done.returncode:
            raise self.severe(f"{command!r} ended with {done.returncode}: {done.stderr}")
        lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
        last = self.options.get("last", len(lines))
        return "\n".join([*(["..."] if last < len(lines) else []), *lines[-last:]]) + "\n"


def folder_of(app: Sphinx, name: str) -> Path:
    """Return the folder in which the commands of a page run."""
    return Path(app.doctreedir) / "run" / name


def empty(app: Sphinx, name: str, _: list[str]) -> None:
    """Empty the folder of a page before it is read."""
    shutil.rmtree(folder_of(app, name), ignore_errors=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("run", Run)
    app.connect("source-read", empty)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
