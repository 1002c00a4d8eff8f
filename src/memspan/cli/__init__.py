"""The command line: one file for each command, named as the command."""

from memspan.cli.app import main

__all__ = ["main"]
