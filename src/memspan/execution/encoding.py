"""The events of a running study or search as dictionaries, for JSON."""

import math
from typing import Any

from memspan.execution.events import (
    Advanced,
    Elsewhere,
    Ended,
    Engines,
    Event,
    Finished,
    Planned,
    Searching,
    Timing,
    Waiting,
    WorkerLost,
)
from memspan.span import SpanEstimate, SpanSearch
from memspan.study.study import Key
from memspan.study.trial import Trial

ANSWER = ("span", "low", "high", "level", "share")


def contents(event: Event) -> dict[str, Any]:
    """Return the fields of an event for JSON, without its name and time."""
    if isinstance(event, Planned):
        plan = event.plan
        done = sum(sum(counts.values()) for counts in event.done.values())
        found = {"name": event.name, "trials": plan.trials, "done": done, "copied": event.copied}
        return found | {"processes": plan.slots, "at_most_seconds": plan.seconds, "bytes": plan.bytes}
    if isinstance(event, Searching):
        round_ = max(len(path.rounds) for path in event.paths) + bool(event.keys)
        searches = [{"name": name, **_so_far(path)} for name, path in zip(event.names, event.paths, strict=True)]
        return {"round": round_, "trials": len(event.keys), "searches": searches}
    if isinstance(event, Timing):
        return {"cells": [*event.cells]}
    if isinstance(event, Engines):
        return {"engines": [line._asdict() for line in event.lines]}
    if isinstance(event, Advanced):
        return {"trials": [{**_named(key), "updates": done} for key, done in event.updates.items()]}
    if isinstance(event, Finished):
        return {"trials": [_brief(trial) for trial in event.trials]}
    if isinstance(event, Elsewhere):
        return {"trials": [_named(key) for key in event.keys]}
    if isinstance(event, WorkerLost):
        return {"trials": [_named(key) for key in event.keys], "reason": event.reason}
    if isinstance(event, Waiting):
        return {"reason": event.reason, "at_most_seconds": event.seconds}
    if isinstance(event, Ended):
        spans = [
            {"name": one.name, **_numbers(one.estimate, *ANSWER), "ended": one.ended or None}
            for one in event.spans
        ]
        return {"complete": event.complete, "reason": event.reason, "spans": spans}
    return {}


def _so_far(path: SpanSearch) -> dict[str, Any]:
    """Return the estimate of a search, and the lengths that it trains next. What is unknown is None."""
    return _numbers(path.estimate, "span", "low", "high") | {"next": [group.length for group in path.ask()]}


def _numbers(estimate: SpanEstimate | None, *names: str) -> dict[str, float | None]:
    return {name: getattr(estimate, name, None) for name in names}


def _brief(trial: Trial) -> dict[str, Any]:
    names = ("outcome", "reason", "updates", "accuracy", "loss", "seconds", "attempts", "worker", "digest")
    numbers = {name: getattr(trial, name) for name in names}
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}
    return {**_named(trial.key), **plain}


def _named(key: Key) -> dict[str, int]:
    """Return the fields of a key, with configurations counted from 1 as in `memspan study show` and exports."""
    return {**key._asdict(), "configuration": key.configuration + 1}
