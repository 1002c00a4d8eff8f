"""`memspan store`: one file for each of its commands."""

from memspan.cli.groups import new_group
from memspan.cli.store.doctor import doctor
from memspan.cli.store.export import export
from memspan.cli.store.ls import ls
from memspan.cli.store.rm import rm
from memspan.cli.store.show import show

HELP = """List, inspect, export, delete and repair stored studies and searches.

**The studies and searches in `memspan.sqlite`:**

    memspan store ls
"""
store = new_group("store", HELP, (ls, show, export, rm, doctor))
