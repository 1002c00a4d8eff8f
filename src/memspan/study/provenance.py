"""The provenance of a study: versions, commit and machine."""

import platform
import subprocess
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from memspan._version import __version__


class Provenance(BaseModel):
    """The versions, the commit and the machine with which a study was run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memspan: str
    commit: str | None
    python: str
    numpy: str
    machine: str

    @classmethod
    def here(cls) -> Self:
        """The provenance of this process. The commit is known only in a checkout of memspan's repository."""
        source = Path(__file__).parents[3]
        commit = None
        if (source / ".git").exists():
            command = ["git", "-C", str(source), "rev-parse", "HEAD"]
            try:
                commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            except (OSError, subprocess.CalledProcessError):
                commit = None
        return cls(
            memspan=__version__,
            commit=commit,
            python=platform.python_version(),
            numpy=np.__version__,
            machine=f"{platform.system()} {platform.machine()}",
        )
