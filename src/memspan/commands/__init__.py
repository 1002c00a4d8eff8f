"""What each command does; the options are the parameters."""

from memspan.commands.catalogue import cells, tasks
from memspan.commands.checks import gradcheck
from memspan.commands.reproductions import reproduce
from memspan.commands.studies import show, study
from memspan.commands.timings import bench

ALL = (study, show, tasks, cells, reproduce, gradcheck, bench)
"""Every command, in the order of the help."""
