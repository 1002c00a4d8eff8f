"""What each command does; the options are the parameters."""

from memspan.commands.catalogue import cells, tasks
from memspan.commands.checks import gradcheck
from memspan.commands.reproductions import reproduce
from memspan.commands.stores import store
from memspan.commands.studies import study
from memspan.commands.timings import bench

ALL = (study, store, tasks, cells, reproduce, gradcheck, bench)
"""Every command, in the order of the help."""
