"""How a result was made: the specification to copy, the command, versions, commit, machine and time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from memspan.report.page import Section
from memspan.runtime.html import element, facts
from memspan.study.experiment import Experiment
from memspan.study.trial import Trial

if TYPE_CHECKING:
    from memspan.store.store import Overview


def made_section(
    experiment: Experiment | None, overview: "Overview | None" = None, trials: Sequence[Trial] = ()
) -> Section:
    """Return the section. Without an overview the versions are those of the trials."""
    known: dict[str, Any] = {}
    if overview is not None:
        known |= {"begun": overview.created} | overview.versions.model_dump()
    if trials:
        known.setdefault("memspan", ", ".join(dict.fromkeys(trial.memspan for trial in trials)))
        known |= {"engine": ", ".join(dict.fromkeys(trial.engine for trial in trials))}
        known |= {
            name: f"{sum(getattr(trial, field) for trial in trials):,.1f} s" for name, field in TIMES.items()
        }
    parts = [facts({name: "unknown" if value is None else value for name, value in known.items()})]
    if experiment is not None:
        parts += [_specification(experiment)]
    return Section("How it was made", Markup("").join(parts))


COMMANDS = {"study": "study run", "search": "span", "comparison": "compare"}
"""The command that takes a specification, by its kind."""
TIMES = {"time of all trials": "seconds", "of processors": "cpu_seconds"}


def _specification(experiment: Experiment) -> Markup:
    """The specification as TOML, and the command that takes it."""
    file = f"{experiment.what}.toml"
    command = f"memspan {COMMANDS[experiment.what]} {file}"
    said = element("p", "To run it again, save this as ", element("code", file), ": ", element("code", command))
    text = element("pre", element("code", experiment.toml()), tabindex="0", class_="toml")
    return said + element("div", text, class_="copy")
