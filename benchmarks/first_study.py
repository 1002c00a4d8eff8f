"""Measure the first study for the README: its table and span, how much they depend on the seed, and its gradients.

    python benchmarks/first_study.py

The script takes about three minutes on two cores, and writes results/first_study.json. `docs/make_numbers.py`
writes the numbers into the pages.
"""

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from memspan import Study, StudyResult, run_study
from memspan.study.trial import Trial

RESULTS = Path(__file__).parent / "results"
SEEDS = range(6)
MANY = 50
"""The number of repetitions of the study that locates the span well."""


def summary(result: StudyResult) -> list[dict[str, Any]]:
    """The table of a study, with a row for each length."""
    return [
        {
            "length": row.length,
            **asdict(row.share),
            "accuracy": float(np.mean(row.accuracies)),
            "spread": row.spread,
            "loss": float(np.mean(row.losses)),
        }
        for row in result.summaries()
    ]


def fall(trial: Trial, moment: str) -> float:
    """The norm of dL/da at the first time step divided by that at the last."""
    norms = getattr(trial, moment).d_a
    return norms[0] / norms[-1] if norms[-1] else float("nan")


def slope(trial: Trial) -> float:
    """The factor by which the norm of dL/da falls per step back, before training, fitted to its logarithm."""
    norms = np.array(trial.start.d_a)
    return float(np.exp(-np.polyfit(np.arange(len(norms)), np.log(norms), 1)[0]))


def failed(result: StudyResult) -> list[Trial]:
    """The trials that did not solve their length."""
    return [trial for trial in result.trials if trial.outcome == "unsolved"]


def gradients(result: StudyResult) -> dict[str, Any]:
    """How fast the gradient falls before training, and in how many failed trials training made it steeper."""
    lengths = {length: result.of_length(length) for length in result.study.lengths}
    before = {
        length: float(np.median([fall(one, "start") for one in trials])) for length, trials in lengths.items()
    }
    return {
        "factor_per_step": {n: float(np.median([slope(one) for one in found])) for n, found in lengths.items()},
        "first_over_last": before,
        "failed": len(failed(result)),
        "failed_and_steeper": sum(fall(one, "end") < fall(one, "start") for one in failed(result)),
    }


def headline(result: StudyResult) -> dict[str, float | None]:
    """The longest length that half of these repetitions solved, and the span with its interval."""
    found = result.estimate
    return {"longest": result.longest, "span": found.span, "low": found.low, "high": found.high}


def main() -> None:
    study = Study()
    result = run_study(study, workers=2, progress=False)
    seeds = {seed: run_study(study.with_(seed=seed), workers=2, progress=False) for seed in SEEDS[1:]}
    seeds = {study.seed: result} | seeds
    to_the_end = run_study(study.with_(evaluate_every=study.updates), workers=2, progress=False)
    many = run_study(study.with_(seed=len(SEEDS), repetitions=MANY), workers=2, progress=False)
    accuracies = sorted(trial.accuracy for trial in failed(many))
    found = {
        "machine": f"{platform.machine()}, 2 processes, Python {platform.python_version()}",
        "sentence": result.sentence,
        "rows": summary(result),
        "trained_to_the_end": summary(to_the_end),
        "seeds": {seed: headline(one) for seed, one in seeds.items()},
        "many": {"repetitions": MANY, "rows": summary(many), **headline(many), "failed": accuracies},
        "gradients": gradients(result),
    }
    (RESULTS / "first_study.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
