"""The contracts of cells, tasks and foreign models. Run them on those of your own.

>>> from memspan import CELLS, TASKS
>>> from memspan.testing import check_cell, check_task
>>> print(check_cell(CELLS["rnn"], contracts=["names", "derivative"]))
The cell rnn keeps 2 contracts: names, derivative.
>>> check_task(TASKS["parity"], contracts=["split"]).subject
'The task parity'
"""

from memspan.testing.cells import CELL_CONTRACTS, check_cell
from memspan.testing.models import MODEL_CONTRACTS, check_model
from memspan.testing.report import Contract, ContractBroken, ContractReport
from memspan.testing.tasks import TASK_CONTRACTS, check_task

__all__ = [
    "CELL_CONTRACTS",
    "MODEL_CONTRACTS",
    "TASK_CONTRACTS",
    "Contract",
    "ContractBroken",
    "ContractReport",
    "check_cell",
    "check_model",
    "check_task",
]
