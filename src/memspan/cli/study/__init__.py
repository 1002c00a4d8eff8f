"""`memspan study`: one file for each of its commands."""

from memspan.cli.groups import new_group
from memspan.cli.study.extend import extend
from memspan.cli.study.resume import resume
from memspan.cli.study.run import run
from memspan.cli.study.schema import schema
from memspan.cli.study.show import show
from memspan.cli.study.status import status

HELP = """Train networks at several sequence lengths of a task, and estimate the length that half of them solve.

**Two cells on the same sequences:**

    memspan study run --cell rnn,lstm --name mine
    memspan study show mine
"""
study = new_group("study", HELP, (run, extend, resume, status, show, schema))
