"""The atlas: the spans of all cells on four tasks, with an equal number of weights and under the same protocol."""

from typing import Any

from memspan.cells import CELLS
from memspan.execution.listeners import listening
from memspan.execution.running import team_of
from memspan.execution.search import SearchRun
from memspan.figures.atlas import Atlas, draw_atlas
from memspan.reproduce.base import Finding, Options, Picture, Reproduction, Verdict
from memspan.study.comparison import hidden_for, parameters_of
from memspan.study.configuration import Configuration
from memspan.study.facts import demands, value_range
from memspan.study.search import Search
from memspan.study.search_result import SearchResult

PARAMETERS = 1100
"""The number of weights that every network has about."""
TASKS: dict[str, dict[str, Any]] = {
    "recall": {"task": "recall"},
    "adding/any": {"task": "adding/any"},
    "order/pascanu-2": {"task": "order/pascanu-2"},
    "copying/urnn, 3 of 4 symbols": {
        "task": "copying/urnn",
        "task_parameters": {"items": 3, "symbols": 4},
        "updates": 3000,
    },
}
"""The configuration of each task; all else is the default of a `Configuration`."""
SEARCH: dict[str, Any] = {"width": 0.2, "budget": "80", "longest": 100, "keep_weights": 0}
SHORT = 5
"""An LSTM should solve this many steps beyond the shortest length of a task. If not, it was trained too little."""


def searches(seed: int) -> list[tuple[str, Search]]:
    """Return the search of every cell on every task, with the name of the task."""
    found = []
    for name, fields in TASKS.items():
        for cell in CELLS:
            one = Configuration(**fields, cell=cell, seed=seed)
            hidden = hidden_for(one, PARAMETERS)
            fields_of_it = one.with_(hidden=hidden).model_dump(exclude_unset=True)
            found.append((name, Search(**fields_of_it, **SEARCH)))
    return found


def measure(options: Options) -> list[dict[str, Any]]:
    """Find every span. All searches go on in step, so that both cores are busy to the end."""
    listed = searches(options.seed)
    make_team = team_of(0 if options.workers == 1 else options.workers)
    with (
        listening(options.progress) as tell,
        SearchRun([search for _, search in listed], None, make_team, tell=tell) as running,
    ):
        running.run()
        results = running.results()
    return [_row(name, result) for (name, _), result in zip(listed, results, strict=True)]


def _row(task: str, result: SearchResult) -> dict[str, Any]:
    """Return the numbers of a search; None for those of the estimate if every training failed."""
    search, estimate = result.search, result.estimate
    return {
        "task": task,
        "cell": search.cell,
        "hidden": search.hidden,
        "parameters": parameters_of(search.configuration),
        "shortest": search.shortest,
        **{name: getattr(estimate, name, None) for name in ("span", "low", "high", "fits", "trainings")},
        "steps_trained": result.steps_trained,
        "short": estimate.short if estimate else "–",
    }


def judge(measured: list[dict[str, Any]]) -> list[Finding]:
    """Judge whether the LSTM was trained enough for each task; the spans themselves are in the table."""
    return [_trained_enough(row) for row in measured if row["cell"] == "lstm"]


def _trained_enough(row: dict[str, Any]) -> Finding:
    least = row["shortest"] + SHORT
    low, high = row["low"] or 0.0, row["high"] or float("inf")
    agrees = Verdict.within(low, high, least, float("inf"))
    rule = f"at least {least} steps"
    return Finding(f"{row['task']}: the span of the LSTM", f"{least}", row["short"], rule, agrees)


def picture(measured: list[dict[str, Any]]) -> Atlas:
    """Return the data of the picture: a map of cells and tasks."""
    cells = list(dict.fromkeys(row["cell"] for row in measured))
    chosen = {name: Search(**TASKS[name], **SEARCH) for name in dict.fromkeys(row["task"] for row in measured)}
    first = next(iter(chosen.values()))
    weights, trainings = (
        value_range([row[name] or 0 for row in measured], ",") for name in ("parameters", "trainings")
    )
    title = (
        f"T50 in time steps with its {100 * first.level:g} % interval, of networks with {weights} weights\n"
        f"Solved: {first.configuration.solved}\n"
        f"Trainings for each number: {trainings}. A star: no smooth curve fits the counts"
    )
    spans = {(row["cell"], row["task"]): row for row in measured}
    return Atlas(title, cells, {name: _note(search) for name, search in chosen.items()}, spans)


def _note(search: Search) -> str:
    """What is demanded of the networks at the lengths of a search, and how long they are trained."""
    task = search.configuration.make_task()
    (demand,) = demands((task, length) for length in (search.shortest, search.longest))
    return f"{demand}; at most {search.configuration.updates:,} updates"


def table(measured: list[dict[str, Any]]) -> str:
    """Return the spans as a table in Markdown, one row for each cell."""
    found = picture(measured)
    head = f"| cell | {' | '.join(found.tasks)} |\n|---|{'---:|' * len(found.tasks)}"
    rows = [
        f"| {cell} | {' | '.join(found.spans[cell, task]['short'] for task in found.tasks)} |"
        for cell in found.cells
    ]
    return "\n".join([head, *rows])


REPRODUCTION = Reproduction(
    "atlas",
    "The atlas: T50 of all cells on four tasks, at an equal number of weights",
    "memspan's own; the closest published procedure is that of Kent & Murray 2024 (arXiv:2408.11946)",
    f"every cell, with the hidden size that gives about {PARAMETERS:,} weights; Adam with learning rate 0.01, "
    "clipping at 1, batches of 64, at most 1,500 updates (copying: 3,000). A network has solved a length "
    "if its accuracy on 10,000 sequences that are drawn after training is at least 0.9. Adaptive searches for "
    f"T50 with its 95 % interval end at ± {100 * SEARCH['width']:g} %, after {SEARCH['budget']} trainings, or at "
    f"T = {SEARCH['longest']}.",
    (
        "one learning rate for all cells: a cell whose best learning rate is another one is at a disadvantage. "
        "`memspan compare --tune` removes that.",
    ),
    measure,
    judge,
    against="rule",
    picture=Picture(picture, draw_atlas),
    extra=table,
)
