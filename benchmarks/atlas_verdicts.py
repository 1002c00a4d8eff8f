"""Why each cell of the atlas stops where it does: `memspan.explain`, a little beyond the span of each task.

    python benchmarks/atlas_verdicts.py

The spans are those of docs/reproductions/atlas.json. For each that ends below the longest length of the atlas,
8 networks are trained at 1.5 times the span, with the configuration of the atlas, and 4 of those that fail are
explained. The script writes results/atlas_verdicts.json, which the page of each cell in the docs shows.
"""

import json
import math
from pathlib import Path
from typing import Any

from memspan import Study, explain, run_study
from memspan.reproduce.atlas import searches
from memspan.study.search import Search

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "atlas_verdicts.json"
BEYOND = 1.5
TRAINED, EXPLAINED = 8, 4


def beyond(row: dict[str, Any]) -> int | None:
    """Return the length to explain; None if the span is above the longest length of the atlas, or unknown."""
    if row["span"] is not None:
        return math.ceil(BEYOND * row["span"])
    return row["shortest"] if row["low"] is None else None


def explained(search: Search, length: int) -> dict[str, Any]:
    """Train networks at a length, and return what keeps them from solving it."""
    fields = search.configuration.model_dump(exclude_unset=True)
    result = run_study(Study(**fields, lengths=(length,), repetitions=TRAINED), workers=1, progress=False)
    (one,) = explain(result, networks=EXPLAINED, progress=False)
    return one.numbers() | {"sentence": str(one), "remedies": [str(remedy) for remedy in one.remedies]}


def main() -> None:
    atlas = json.loads((ROOT / "docs" / "reproductions" / "atlas.json").read_text("utf-8"))
    spans = {(row["task"], row["cell"]): row for row in atlas["measured"]}
    found = []
    for task, search in searches(atlas["seed"]):
        length = beyond(spans[task, search.cell])
        if length is not None:
            found.append({"task": task, "cell": search.cell, **explained(search, length)})
            print(task, search.cell, found[-1]["sentence"], flush=True)
            RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
