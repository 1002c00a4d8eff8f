"""The command line: one file for each command, with its name."""

from memspan.cli.app import main

__all__ = ["main"]
