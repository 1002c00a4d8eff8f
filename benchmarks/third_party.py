"""Compare the spans of cells of torchrecurrent with that of the lstm, at equal numbers of weights.

    python benchmarks/third_party.py --store third_party.sqlite [--only mgu] [--report]

The searches are those of

    memspan compare --cell lstm,third_party:mgu,third_party:janet --equal parameters

with all defaults: recall, Adam with a learning rate of 0.01, up to 160 trainings to an interval of ± 10 %. The
script runs them one after the other in one process, and Ctrl-C ends it. The store keeps all trainings, so the next
call goes on. It writes results/third_party.json and .md from what the store has. A search that has not ended is
marked; its interval is that of the rounds that are complete.
"""

import argparse
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torchrecurrent

from memspan import Comparison, Store
from memspan.execution.search import run_search
from memspan.study.comparison_result import Compared
from memspan.torch import Steps

RESULTS = Path(__file__).parent / "results"
CELLS = ("lstm", "third_party:mgu", "third_party:janet")


def janet(features: int, outputs: int, hidden: int = 32) -> Steps:
    """The LSTM with a forget gate alone (van der Westhuizen & Lasenby 2018, arXiv:1804.04849)."""
    return Steps(torchrecurrent.JANETCell(features, hidden), width=hidden, outputs=outputs)


def mgu(features: int, outputs: int, hidden: int = 32) -> Steps:
    """The minimal gated unit (Zhou, Wu, Zhang & Zhou 2016, arXiv:1603.09420)."""
    return Steps(torchrecurrent.MGUCell(features, hidden), width=hidden, outputs=outputs)


def reported(comparison: Comparison, store: Path) -> tuple[Compared, dict[str, Any]]:
    """What the store has of each search, and its numbers."""
    with Store(store) as opened:
        entries = [opened.existing(search) for search in comparison.searches()]
        known = [(label, entry.result()) for label, entry in zip(comparison.labels, entries, strict=True) if entry]
    compared = Compared(*map(tuple, zip(*known, strict=True)), comparison=comparison)
    searches = {
        label: {
            "hidden": result.search.configuration.hidden,
            "engine": sorted({trial.engine for trial in result.trials}),
            "ended": result.ended,
            "short": "" if result.estimate is None else result.estimate.short,
            "sentence": result.sentence,
            "seconds": round(sum(trial.cpu_seconds for trial in result.trials)),
            "solved": {row.length: f"{row.share.solved} of {row.share.trials}" for row in result.summaries()},
        }
        for label, result in known
    }
    versions = {name: metadata.version(name).partition("+")[0] for name in ("torch", "torchrecurrent")}
    machine = f"{platform.machine()}, one process, Python {platform.python_version()}"
    return compared, {"machine": machine, **versions, **compared.numbers(), "searches": searches}


def page(found: dict[str, Any]) -> str:
    """The table of the spans, and the ratios."""
    head = f"torchrecurrent {found['torchrecurrent']}, torch {found['torch']}; {found['machine']}.\n"
    rows = [head, "| cell | hidden | weights | span | solved at each length | why the search ended | CPU time |"]
    rows.append("|---|---:|---:|---|---|---|---:|")
    for one in found["configurations"]:
        search = found["searches"][one["configuration"]]
        solved = "; ".join(f"{share} at {length}" for length, share in search["solved"].items())
        cells = one["configuration"], search["hidden"], one["parameters"], search["sentence"], solved
        rows.append(f"| {' | '.join(map(str, cells))} | {search['ended'] or 'not yet'} | {search['seconds']} s |")
    return "\n".join([*rows, "", found["sentence"], ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("third_party.sqlite"))
    parser.add_argument("--only", choices=[name.partition(":")[2] or name for name in CELLS])
    parser.add_argument("--report", action="store_true", help="train nothing")
    given = parser.parse_args()
    comparison = Comparison(cell=CELLS, equal="parameters").loaded()
    for cell, search in zip(CELLS, comparison.searches(), strict=True):
        if not given.report and given.only in (None, cell.partition(":")[2] or cell):
            run_search(search, given.store, workers=1, progress="lines")
    compared, found = reported(comparison, given.store)
    found["sentence"] = compared.sentence
    (RESULTS / "third_party.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (RESULTS / "third_party.md").write_text(page(found), "utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
