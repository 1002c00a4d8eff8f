"""`memspan study`: one file for each of its commands."""

from cyclopts import App

from memspan.cli.study.extend import extend
from memspan.cli.study.resume import resume
from memspan.cli.study.run import run
from memspan.cli.study.schema import schema
from memspan.cli.study.show import show
from memspan.cli.study.status import status

study = App(
    name="study", help="Train networks on a task, several at each length: which length is the longest they solve?"
)
for command in (run, extend, resume, status, show, schema):
    study.command(command)
