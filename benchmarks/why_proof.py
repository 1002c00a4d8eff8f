"""The proof of `memspan explain`: verdicts on cases whose cause is known, and what their remedies bring.

    python benchmarks/why_proof.py PART [NAME ...]      # PART is tuning or held-out

The cases and their causes by intervention are those of `benchmarks/why_cases.py`. Each is trained as a study of eight
repetitions and explained; then the first remedy is tried. A verdict is right if it is one of the causes. The rules
were written before the held-out cases were looked at.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from why_cases import CASES, REPETITIONS, Case

from memspan import Configuration, Study, run_study
from memspan.why import explain
from memspan.why.attempt import measure, try_remedies

RESULTS = Path(__file__).parent / "results"
RAISED = 0.2
"""A remedy that does not raise the solved share helps if it raises the median accuracy by this much."""


def judged(case: Case, causes: list[str]) -> dict[str, Any]:
    """Explain a case, and try the first remedy."""
    began = time.perf_counter()
    study = Study(**case.fields, lengths=(case.length,), repetitions=REPETITIONS)
    before = run_study(study, progress=False)
    (found,) = explain(before, progress=False)
    row: dict[str, Any] = {"name": case.name, "kind": case.kind, "length": case.length, "causes": causes}
    row |= {"verdict": found.verdict, "right": found.verdict in causes, "evidence": found.numbers()["evidence"]}
    row |= {"solved": found.share.solved, "accuracy": _accuracy(before)}
    if found.remedies:
        (attempt,) = try_remedies(before, rounds=1, progress=False)
        after = attempt.result.summaries()[0]
        row |= {
            "remedy": str(attempt.remedy),
            "solved_after": after.share.solved,
            "accuracy_after": _accuracy(attempt.result),
        }
    seconds = time.perf_counter() - began
    print(
        f"{case.name}: {found.verdict} of {causes}; {found.remedies[:1]}; {row.get('solved')} -> {row.get('solved_after')} ({seconds:.0f} s)",
        flush=True,
    )
    return row
