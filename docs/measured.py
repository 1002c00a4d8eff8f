"""The measured numbers of the README and the docs, read from committed results.

Each number has a key, such as `first-study.span`. The key of a table ends in `.table`. `make_numbers.py` writes
the numbers into the pages.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from memspan import CELLS, TASKS
from memspan.bench.case import Case
from memspan.bench.record import Benchmark, Timing
from memspan.reproduce import REPRODUCTIONS, Page
from memspan.reproduce.horizon import minutes
from memspan.testing import MODEL_CONTRACTS
from memspan.why.verdict import CRITERIA

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
ENGLISH = {15: "fifteen", 21: "twenty-one", 22: "twenty-two"}


def measured() -> dict[str, str]:
    """Return every number and table, by key."""
    found = {"code.tasks": ENGLISH[len(TASKS)], "code.cells": ENGLISH[len(CELLS)]}
    for prefix, numbers in PARTS.items():
        found |= {f"{prefix}.{key}": text for key, text in numbers()}
    return found


def reproduced() -> dict[str, Page]:
    """Return the pages of the reproductions, made from the committed measurements."""
    folder = DOCS / "reproductions"
    return {
        name: Page.read(of, (folder / f"{name}.json").read_text("utf-8")) for name, of in REPRODUCTIONS.items()
    }


def result(name: str) -> Any:
    """Return a committed result in JSON."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def rows_of(name: str) -> dict[str, list[str]]:
    """Return the table rows of a committed result in Markdown: the other cells, by the first cell of the row."""
    lines = (RESULTS / f"{name}.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {first: others for first, *others in cells}


def tables_of(name: str) -> list[str]:
    """Return the tables of a committed result in Markdown."""
    parts = (RESULTS / f"{name}.md").read_text("utf-8").split("\n\n")
    return [part.strip() for part in parts if part.startswith("|")]


def table(head: str, rows: Iterator[list[str]] | list[list[str]]) -> str:
    """Return a Markdown table. `head` has the column headings and, below them, the alignment."""
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)])


def first_study() -> Iterator[tuple[str, str]]:
    """Yield the numbers of the first study: its table, other seeds, and gradients."""
    found = result("first_study")
    rows, whole, seeds, many = (found[name] for name in ("rows", "trained_to_the_end", "seeds", "many"))
    head = "| length | solved | 95 % interval | accuracy ± spread | mean squared error | accuracy, not stopped |"
    cells = [
        [
            str(row["length"]),
            f"{row['solved']}/{row['trials']}",
            f"{row['low']:.2f}-{row['high']:.2f}",
            f"{row['accuracy']:.3f} ± {row['spread']:.3f}",
            f"{row['loss']:#.2g}",
            f"{end['accuracy']:.3f}",
        ]
        for row, end in zip(rows, whole, strict=True)
    ]
    yield "table", table(f"{head}\n|---:|---:|---:|---:|---:|---:|", cells)
    yield "sentence", found["sentence"]
    own = seeds["0"]
    yield "span", re.search(r"T50 = (\S+) steps", found["sentence"])[1]
    yield "low", f"{own['low']:.3g}"
    yield "high", f"{own['high']:.3g}"
    yield "of-seeds", ", ".join(f"{one['span']:.3g}" for one in seeds.values())
    yield "longest-of-seeds", ", ".join(str(one["longest"]) for one in seeds.values())
    yield "seeds", f"{min(map(int, seeds))} to {max(map(int, seeds))}"
    yield "many", str(many["repetitions"])
    yield "span-of-many", f"{many['span']:.3g} [{many['low']:.3g}, {many['high']:.3g}]"
    shares = {row["length"]: f"{row['solved']} of {row['trials']}" for row in many["rows"]}
    yield "shares-of-many", "; ".join(f"{share} at {length}" for length, share in shares.items())
    yield "solved-to-the-end", ", ".join(str(row["solved"]) for row in whole)
    gradients = found["gradients"]
    factors = gradients["factor_per_step"].values()
    yield "factor", f"{min(factors):.2f} to {max(factors):.2f}"
    longest = max(gradients["first_over_last"], key=int)
    yield "factor-length", longest
    yield "millions", f"{1e-6 / gradients['first_over_last'][longest]:.1f}"
    yield "failed", str(gradients["failed"])
    yield "failed-steeper", str(gradients["failed_and_steeper"])
    above_half = [one for one in many["failed"] if one > 0.5]
    yield "many-failed", str(len(many["failed"]))
    yield "many-above-half", str(len(above_half))
    yield "many-highest", f"{max(above_half):.2f}"


SEARCH_RULES = {
    "12x4": "median ratio to 12 x 4",
    "12x16": "median ratio to 12 x 16",
    "covers": "coverage of all searches",
    "least": "least coverage of a curve",
}
"""Of the rules of `span_search.py`, those whose numbers the pages give."""


def span() -> Iterator[tuple[str, str]]:
    """Yield the span of the README: by searches and by grids, and of three cells; and how both are proved."""
    found = result("span_answer")
    first = found["searches"]["0.1"][0]
    yield "sentence", first["sentence"]
    yield "seconds", f"{first['seconds']:.0f}"
    yield "others", " and ".join(one["short"] for one in found["searches"]["0.1"][1:])
    yield "grid-16", found["grids"]["16"]["short"]
    mean = sum(one["steps"] for one in found["searches"]["0.1"]) / len(found["searches"]["0.1"])
    yield "grid-16-ratio", f"{found['grids']['16']['steps'] / mean:.1f}"
    yield "costs.table", _costs(found)
    yield "compared", " ".join(found["compared"]["sentence"].splitlines())
    head = "| cell | weights | T50 | interval | trainings |\n|---|---:|---:|---:|---:|"
    yield "cells.table", table(head, [_span_row(one) for one in found["compared"]["configurations"]])
    for key, text in result("span_coverage")["docs"].items():
        yield f"span_coverage.{key}", text
    searching = result("span_search")
    for key, rule in SEARCH_RULES.items():
        yield f"search.{key}", f"{searching['rules'][rule]['found']:.2f}"
    wide = searching["found"]["16 groups a round"]  # on fewer curves than "as it is"
    for groups, variant in {4: "as it is", 16: "16 groups a round"}.items():
        ends = [searching["found"][variant][curve]["at 0.2"] for curve in wide]
        for cost in ("rounds", "trainings"):
            yield f"search.{cost}.{groups}", f"{sum(end[cost] for end in ends) / len(ends):.0f}"
    yield "search.curves", str(len(searching["found"]["as it is"]))
    biases = [abs(found["at 0.1"]["bias"]) for found in searching["found"]["as it is"].values()]
    yield "search.bias", f"{100 * max(biases):.0f}"


def _costs(found: dict[str, Any]) -> str:
    """The spans of one network, and what they cost, by searches and by grids."""
    rows = {
        f"search, ± {100 * float(width):g} %, seed {seed}": one
        for width, searches in found["searches"].items()
        for seed, one in enumerate(searches)
    }
    rows |= {f"grid, 12 x {repetitions}": grid for repetitions, grid in found["grids"].items()}
    head = "| | T50 | trainings | million time steps | seconds |\n|---|---:|---:|---:|---:|"
    return table(
        head,
        [
            [name, one["short"], str(one["trainings"]), f"{one['steps'] / 1e6:.1f}", f"{one['seconds']:.0f}"]
            for name, one in rows.items()
        ],
    )


def _span_row(one: dict[str, Any]) -> list[str]:
    """The row of a configuration; an open end is a dash."""
    middle, low, high = (f"{one[end]:.3g}" if one[end] is not None else "–" for end in ("span", "low", "high"))
    return [one["configuration"], f"{one['parameters']:,}", middle, f"{low} to {high}", str(one["trainings"])]


def studies() -> Iterator[tuple[str, str]]:
    """Yield the time that the coordinator takes per trial."""
    found = result("studies")
    for row in found["coordinator"]:
        trials = f"{row['trials']}"
        yield f"processor-ms-{trials}", f"{row['coordinator_cpu_ms']:.1f}"
        yield f"clock-ms-{trials}", f"{row['clock_less_work_ms']:.2f}"


def million() -> Iterator[tuple[str, str]]:
    """Yield the memory that a trial takes."""
    text = (RESULTS / "million.md").read_text("utf-8")
    memory, curves = re.search(r"takes ([\d,]+) bytes of memory, and ([\d,]+) with its curves", text).groups()
    yield "kB", f"{int(memory.replace(',', '')) / 1000:.0f}"
    yield "kB-with-curves", f"{int(curves.replace(',', '')) / 1000:.0f}"


def kills() -> Iterator[tuple[str, str]]:
    """Yield the results of studies whose workers were killed at random moments."""
    found, rows = result("kills"), rows_of("kills")
    names = {name.split()[0].rstrip(","): name for name in rows if name.startswith(("memspan", "Optuna"))}
    cells = [[name, *(rows[name][k] for k in (1, 2, 3))] for name in names.values()]
    head = f"| {found['trials']} trials in two processes, SIGKILL at {found['kills']} random moments "
    yield "table", table(f"{head}| results | missing | kept twice |\n|---|---:|---:|---:|", cells)
    yield "kills", str(found["kills"])
    yield "trials", str(found["trials"])
    for key, name in names.items():
        results, missing, twice = (rows[name][k] for k in (1, 2, 3))
        yield f"{key.lower()}-results", results
        yield f"{key.lower()}-missing", missing
        yield f"{key.lower()}-twice", twice


def reproductions() -> Iterator[tuple[str, str]]:
    """Yield the findings and the durations of the reproductions."""
    pages = reproduced()
    seconds = [page.seconds for page in pages.values() if not page.full]
    yield "shortest", f"{min(seconds):.0f} s"
    yield "longest", f"{max(seconds) / 60:.0f} minutes"
    yield "horizon.minutes", f"{minutes(pages['horizon'].measured):.0f}"
    rows = [[f"[`{name}`](reproductions/{name}.md)", page.of.title, page.sentence] for name, page in pages.items()]
    yield "table", table("| `memspan reproduce` | experiment | findings |\n|---|---|---|", rows)
    for name, page in pages.items():
        yield f"{name}.sentence", page.sentence
        for number, finding in enumerate(page.findings, 1):
            yield f"{name}.{number}.ours", finding.ours
            yield f"{name}.{number}.verdict", str(finding.verdict)


def engine() -> Iterator[tuple[str, str]]:
    """Yield the duration of a pass with each engine, and ratios for a pass at the roofline."""
    found = result("engine")
    timings = tuple(
        Timing(Case(**one["case"]), one["cores"], one["engine"], one["way"], tuple(one["seconds"]))
        for one in found["timings"]
    )
    benchmark = Benchmark(timings, machine=found["machine"])
    names, lines = {"rnn": "tanh", "gru": "GRU", "lstm": "LSTM"}, []
    jax, jax_at_roofline = [], []
    for size in ((50, 64, 32), (50, 64, 128), (1000, 20, 32)):
        for cell, name in names.items():
            case = Case(cell, *size)
            ours = 1000 * median(benchmark.seconds(case, 1, "compiled"))
            against = {other: benchmark.ratio(case, 1, other).median for other in ("torch", "jax", "roofline")}
            key = f"{name}-{'-'.join(map(str, size))}"
            yield f"{key}.torch", _two_digits(against["torch"])
            yield f"{key}.jax", _two_digits(against["jax"])
            yield f"{key}.of-roofline", f"{100 / against['roofline']:.0f}"
            yield f"{key}.torch-at-roofline", _two_digits(against["torch"] * against["roofline"])
            if size == (50, 64, 32):
                jax.append(against["jax"])
                jax_at_roofline.append(against["jax"] * against["roofline"])
            begin = ", ".join(map(str, size)) if cell == "rnn" else ""
            share = f"{100 / against['roofline']:.0f} %"
            lines.append([begin, name, f"{ours:.2g}", *(_two_digits(against[k]) for k in ("torch", "jax")), share])
    head = (
        "| T, B, H | cell | milliseconds | PyTorch, times as long | JAX, times as long | share of the roofline |"
    )
    yield "table", table(f"{head}\n|---|---|---:|---:|---:|---:|", lines)
    yield "jax-at-32", _range(jax)
    yield "jax-at-32-roofline", _range(jax_at_roofline)
    for package in ("torch", "jax"):
        yield package, ".".join(found["machine"][package].split(".")[:2])


def _range(values: list[float]) -> str:
    return "-".join(dict.fromkeys(f"{value:.1f}" for value in (min(values), max(values))))


def _two_digits(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def in_torch() -> Iterator[tuple[str, str]]:
    """Yield the duration and the result of the first study written in PyTorch."""
    found = result("study_in_torch")
    yield "memspan-s", f"{found['memspan_s']:.1f}"
    yield "torch-s", f"{found['pytorch_s']:.0f}"
    *most, last = map(str, found["pytorch_solved"].values())
    yield "torch-solved", f"{', '.join(most)} and {last}"
    yield "repetitions", str(found["repetitions"])


def own_cell_costs() -> Iterator[tuple[str, str]]:
    """Yield what an update of an LSTM in PyTorch or JAX costs: the tables, and each ratio to the built-in lstm."""
    found = result("own_cell_costs")
    yield "built-in-ms", f"{found['built_in_ms']:.2f}"
    for library, table in found["tables"].items():
        yield f"{library}.table", table
    for one in found["times"]:
        model = one["model"].removeprefix("a cell of one's ")
        yield f"{one['library']}.{model}.{one['form']}", f"{one['ratio']:.1f}"


def own_cell_study() -> Iterator[tuple[str, str]]:
    """Yield how much longer a study of a PyTorch cell takes with the loop than with the chosen engine."""
    found = result("own_cell_study")
    yield "ratio", f"{found['ratio']:.1f}"
    yield "cpu-ratio", f"{found['cpu_ratio']:.1f}"


def model_checks() -> Iterator[tuple[str, str]]:
    """Yield the contracts of a model, the planted mistakes that break them, and the checked libraries."""
    found = result("model_checks")
    rows = [[f"`{name}`", contract.rule] for name, contract in MODEL_CONTRACTS.items()]
    yield "contracts.table", table("| contract | rule |\n|---|---|", rows)
    for framework in ("torch", "jax"):
        planted = [row for row in found["wrong"] if row["framework"] == framework and row["mistake"]]
        head = f"| mistake | broken contract | `{planted[0]['checker']}` |\n|---|---|---|"
        rows = [
            [row["sentence"].rstrip("."), f"`{row['contract']}`", row["by checker"].partition(":")[0]]
            for row in planted
        ]
        yield f"{framework}.table", table(head, rows)
        yield f"{framework}.planted", str(len(planted))
        yield f"{framework}.caught", str(sum(bool(row["contract"]) for row in planted))
        yield f"{framework}.by-checker", str(sum(row["by checker"].startswith("caught") for row in planted))
    yield "example", f"> The gradient{found['wrong'][0]['found'].removeprefix('the gradient')}"
    yield "libraries.table", _checked_libraries(found["right"])
    yield "modules", str(len(found["right"]))


def _checked_libraries(rows: list[dict[str, Any]]) -> str:
    """Return the table of libraries: how many modules keep all contracts, and what their gradients agree with."""
    head = "| library | modules | keep all | complex step | largest error | differences | largest error |"
    cells = []
    for name in dict.fromkeys(row["library"] for row in rows):
        of = [row for row in rows if row["library"] == name]
        kept = sum(not row["broken"] and not row["unchecked"] for row in of)
        both: list[str] = []
        for oracle in ("the complex step", "central differences"):
            notes = [row[one] for row in of for one in ("gradient", "state gradient")]
            errors = [float(text.split("relative error ")[1].split(";")[0]) for text in notes if oracle in text]
            modules = sum(oracle in row["gradient"] for row in of)
            both += [str(modules), f"{max(errors):.1e}" if errors else ""]
        cells.append([f"{name} {of[0]['version']}", str(len(of)), str(kept), *both])
    return table(f"{head}\n|---|---:|---:|---:|---:|---:|---:|", cells)


def third_party() -> Iterator[tuple[str, str]]:
    """Yield the spans of cells of another package beside that of the lstm, at equal numbers of weights."""
    found = result("third_party")
    head = "| cell | hidden | weights | T50 | trainings | the search |\n|---|---:|---:|---:|---:|---|"
    cells = []
    for one in found["configurations"]:
        search = found["searches"][one["configuration"]]
        name = one["configuration"].removeprefix("third_party:")
        ended = "has ended" if search["ended"] else "was stopped"
        cells.append(
            [f"`{name}`", one["hidden"], f"{one['parameters']:,}", search["short"], one["trainings"], ended]
        )
    yield "table", table(head, [[*map(str, row)] for row in cells])
    yield "sentence", " ".join(found["sentence"].replace("third_party:", "").splitlines())
    yield "version", found["torchrecurrent"]


def own_torch_predict() -> Iterator[tuple[str, str]]:
    """Yield how many times as long a prediction takes for a PyTorch LSTM as for the built-in lstm."""
    for name, ratio in result("own_torch_predict")["ratio"].items():
        yield name, f"{ratio:.0f}"


def activations() -> Iterator[tuple[str, str]]:
    """Yield the errors of the compiled activations, in units in the last place."""
    worst = (
        max(found["errors"], key=lambda one: one["float32"]) if (found := result("activation_errors")) else None
    )
    yield "worst", f"{worst['float32']:.1f}"
    yield "worst-function", worst["function"]
    yield "usual", f"{sorted(one['float32'] for one in found['errors'])[-2]:.1f}"


def compiling() -> Iterator[tuple[str, str]]:
    """Yield the compilation times of the kernels."""
    rows = rows_of("compiling")
    first = next(name for name in rows if "the first" in name)
    others = [float(cells[0]) for name, cells in rows.items() if name in CELLS]
    yield "first", f"{float(rows[first][0]):.0f}"
    yield "least", f"{min(others):.0f}"
    yield "most", f"{max(others):.0f}"


def calibration() -> Iterator[tuple[str, str]]:
    """Yield the errors of correct gradients, and the constants of the tolerance."""
    errors, chaos = tables_of("gradcheck_calibration")
    yield "errors.table", errors
    yield "chaos.table", chaos
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in chaos.splitlines()[2:]]
    yield "largest-share", max((row[4] for row in rows), key=float)
    for row in rows:
        yield f"not-compared-at-{row[0]}", row[5]
    constants = result("gradcheck_calibration")["constants"]
    yield "floor", f"{constants['FLOOR']:g}"
    yield "per-step", f"{constants['PER_STEP']:g}"
    yield "roundings", f"{constants['ROUNDINGS']:g}"


def checkers() -> Iterator[tuple[str, str]]:
    """Yield the numbers of planted mistakes that memspan and other gradient checkers find."""
    (whole,) = tables_of("gradient_checkers")
    yield "table", whole
    yield "setting", (RESULTS / "gradient_checkers.md").read_text("utf-8").partition("\n\n")[0]
    for name, cell in zip(("memspan", "torch", "scipy"), rows_of("gradient_checkers")["**caught**"], strict=False):
        caught, _, planted = cell.strip("*").partition(" of ")
        yield name, caught
        yield "planted", planted


def diagnostics() -> Iterator[tuple[str, str]]:
    """Yield the costs of the diagnostics in training steps: the table, and each one by function and case."""
    found = result("diagnostics")
    yield "table", found["table"]
    yield "batch", str(found["batch"])
    for case in found["cases"]:
        for name, steps in case["steps"].items():
            yield f"{name}.{case['case'].replace(' ', '-')}", _two_digits(steps)


def exponents() -> Iterator[tuple[str, str]]:
    """Yield the coverage of the intervals of Lyapunov exponents."""
    found = result("exponent_coverage")
    yield "repetitions", str(found["repetitions"])
    yield "coverage.table", found["table"]


def plateau() -> Iterator[tuple[str, str]]:
    """Yield the lengths at which half of the networks leave the plateau: measured, predicted, and by the law."""
    found = result("plateau")
    settings = found["settings"]
    budgets = [span["budget"] for span in settings[0]["spans"]]
    head = f"| setting | {' | '.join(f'{budget} updates' for budget in budgets)} |\n|---|" + "---:|" * len(budgets)

    def text(span: dict[str, Any]) -> str:
        measured, predicted = (f"{n:.1f}" if n else "-" for n in (span["measured"], span["predicted"]))
        return f"{measured} / {predicted}"

    yield "table", table(head, [[one["name"], *map(text, one["spans"])] for one in settings])
    rules = [[r["what"], f"{r['value']:.2f}", f"{r['sign']} {r['limit']:g}", _kept(r)] for r in found["rules"]]
    yield "rules.table", table("| rule | measured | limit | |\n|---|---:|---:|---|", rules)
    tanh = [one for one in settings if one["group"] == "tanh"]
    yield "worst-tanh", f"{min(span['ratio'] for one in tanh for span in one['spans']):.2f}"
    calm = [one for one in tanh if "variance 0.8" not in one["name"]]
    yield "calm-tanh", f"{100 * (max(map(_off, _spans(calm, 'predicted'))) - 1):.0f}"
    yield "law-tanh", f"{100 * (max(map(_off, _spans(calm, 'law'))) - 1):.0f}"
    gates = [one for one in settings if one["group"] == "gates"]
    yield "gates", f"{100 * (max(map(_off, _spans(gates, 'predicted'))) - 1):.0f}"
    yield "law-gates", f"{max(_spans(gates, 'law')):.2f}"
    extra = result("plateau_extra")
    yield "batches.large", str(max(row["batch"] for row in extra["batches"]))
    heads = [f"{given} updates" for given in extra["batches"][0]["updates"]]
    head = f"| T | B | {' | '.join(heads)} |\n|---:|---:|" + "---:|" * len(heads)
    counts = [
        [
            *(str(row["length"]), str(row["batch"])),
            *(f"{m} / {p}" for m, p in zip(row["measured"], row["predicted"], strict=True)),
        ]
        for row in extra["batches"]
    ]
    yield "batches.table", table(head, counts)
    costs = [[one["name"], str(one["length"]), f"{one['updates']:.0f}"] for one in extra["costs"]]
    yield "costs.table", table("| network | T | updates |\n|---|---:|---:|", costs)


def why() -> Iterator[tuple[str, str]]:
    """Yield the criteria of the verdicts, their proof on cases of known cause, and the first study cured."""
    yield (
        "criteria.table",
        table("| verdict | criterion |\n|---|---|", [[c.verdict, c.condition] for c in CRITERIA]),
    )
    looks = {name: result(f"why-proof-{name}") for name in ("first-look", "fresh", "tuning", "held-out")}
    rules = [
        [
            fresh["what"],
            f"{fresh['sign']} {fresh['limit']:g}",
            f"{first['value']:.3f}",
            f"{fresh['value']:.3f}",
            _kept(fresh),
        ]
        for first, fresh in zip(looks["first-look"]["rules"], looks["fresh"]["rules"], strict=True)
    ]
    head = "| rule | target | first look | fresh cases | |\n|---|---:|---:|---:|---|"
    yield "proof.rules.table", table(head, rules)
    for look, found in looks.items():
        for name in ("cases", "with_cause", "remedied", "solved_in_three"):
            yield f"proof.{look}.{name}", str(found[name])
    for look in ("first-look", "fresh"):
        rows = looks[look]["confusion"]
        pairs = [[one["causes"], one["verdict"], str(one["cases"])] for one in rows]
        yield (
            f"proof.{look}.confusion.table",
            table("| causes by intervention | verdict | cases |\n|---|---|---:|", pairs),
        )
    planted = result("why_causes")
    named = [row["verdict"] in planted[row["name"]]["expected"] for row in looks["fresh"]["rows"] if row["causes"]]
    yield "proof.fresh.planted", str(sum(named))
    yield "proof.fresh.kinds", str(len({row["kind"] for row in looks["fresh"]["rows"]}))
    helped = [rule["value"] for rule in looks["fresh"]["rules"]][-1]
    yield "proof.fresh.raised", str(round(helped * looks["fresh"]["remedied"]))
    for name, part in (("tuning", "tuning"), ("held-out", "held-out")):
        values = [f"{rule['value']:.2f}" for rule in looks[part]["rules"]]
        yield f"proof.{name}.values", ", ".join(values[:-1]) + " and " + values[-1]
    cured = [
        (one["seed"], tried) for one in result("first_cured") for row in one["explained"] for tried in row["tried"]
    ]
    columns = "T | verdict | change | span before | span after |"
    head = f"| seed | {columns}\n|---:|---:|---|---|---:|---:|"
    yield "cured.table", table(head, [[str(seed), *_cured(tried)] for seed, tried in cured])
    first, *others = dict.fromkeys(seed for seed, _ in cured)
    own = [tried for seed, tried in cured if seed == first]
    yield "cured.own-table", table(f"| {columns}\n|---:|---|---|---:|---:|", [_cured(tried) for tried in own])
    yield "cured.length", str(own[0]["length"])
    yield "cured.verdict", own[0]["verdict"]
    last = [[tried["after"] for seed, tried in cured if seed == one and tried["kept"]][-1] for one in others]
    yield "cured.others", " and ".join(map(_span_text, last))


def _cured(tried: dict[str, Any]) -> list[str]:
    changes = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in tried["to"].items())
    return [
        str(tried["length"]),
        tried["verdict"],
        changes,
        *(_span_text(tried[when]) for when in ("before", "after")),
    ]


def _spans(settings: list[dict[str, Any]], kind: str) -> list[float]:
    """The ratios of the lengths of a kind to the measured ones."""
    return [span[kind] / span["measured"] for one in settings for span in one["spans"] if span[kind]]


def _off(ratio: float) -> float:
    return max(ratio, 1 / ratio)


def _kept(rule: dict[str, Any]) -> str:
    return "kept" if rule["kept"] else "**broken**"


ADAM = {
    "lr": "lr",
    "batch": "B",
    "hidden": "H",
    "sw2": "sw2",
    "length": "T",
    "v": "V x",
    "w": "W x",
    "epsilon": "epsilon",
    "beta1": "beta1",
    "beta2": "beta2",
}
"""What the settings of `adam_jump.py` change, as the page calls it."""


def adam() -> Iterator[tuple[str, str]]:
    """Yield the numbers of the jump of Adam: the formula, its test, its cause, and the remedies."""
    found = result("adam-jump")
    tested, scores, close = found["tested"], found["scores"], found["anatomy"]["medians"]
    for name, value in found["formula"].items():
        yield f"formula.{name}", f"{value:.0f}" if value > 100 else f"{value:.2g}"
    for group, score in scores.items():
        for name, value in score.items():
            yield f"{group}.{name}", str(value) if isinstance(value, int) else f"{value:.2f}"
    for name, value in close.items():
        yield (
            f"close.{name}",
            f"{value:.0f}" if name in ("jump", "passes_1", "updates_1_to_1.5") else f"{value:.2g}",
        )
    yield "close.share_percent", f"{100 * close['share']:.0f}"
    yield "close.networks", str(found["anatomy"]["networks"])
    yield "close.ratio", f"{close['step_before'] / close['step_quiet']:.0f}"
    for group in ("held-out", "held-out-again"):
        yield f"{group}.table", _drawn(tested[group])
    head = "| change of one quantity | measured | predicted |\n|---|---:|---:|"
    yield "single.table", table(head, [[_changed(r), _jumped(r), str(r["predicted"])] for r in tested["single"]])
    head = "| what is trained | jumped within 2500 updates | median update |\n|---|---:|---:|"
    yield "ablations.table", table(head, [[_changed(r), _count(r), _jumped(r)] for r in tested["ablations"]])
    head = "| change | updates | jumped | median update | predicted |\n|---|---:|---:|---:|---:|"
    rows = [
        [_changed(r), str(r["setting"]["updates"]), _count(r), _jumped(r), _predicted(r)]
        for r in tested["remedies"]
    ]
    yield "remedies.table", table(head, rows)
    medians = {_changed(row): _jumped(row) for row in tested["single"]}
    yield "baseline-median", medians["baseline"]
    yield "beta1-0", medians["beta1 0"]
    yield "true.table", _labelled(found["true"])
    yield from _thrown(found["true"])
    yield "thrown.table", _rescued(found["thrown"], found["true"])
    yield "cells.table", _other_cells(found["cells"])
    yield from _adam_spans()
    yield from _adam_race()


def _other_cells(rows: list[dict[str, Any]]) -> str:
    """Whether other cells and RMSprop throw R: how many, when, and the median radius of each gate on the way."""
    looks = [look for look in rows[0]["radii"] if look not in ("10", "100", "1000")]
    cells = []
    for row in rows:
        setting, jump = row["setting"], [np.inf if n is None else n for n in row["jump"]]
        name = f"RMSprop, lr {setting['lr']:g}, decay {setting['beta2']:g}" if setting["rmsprop"] else "Adam"
        half = np.median(jump)
        count = f"{int(np.isfinite(jump).sum())}/{setting['nets']}"
        path = [", ".join(f"{radius:.2g}" for radius in row["radii"][look]) for look in looks]
        gates = " ".join(row["gates"]) if len(row["gates"]) > 1 else ""
        cells.append([name, setting["cell"], gates, count, f"{half:.0f}" if np.isfinite(half) else "-", *path])
    heads = " | ".join(f"at {look}" for look in looks)
    head = f"| training | cell | gates | jumped | median update | {heads} |\n"
    head += f"|---|---|---|---:|---:|{'---|' * len(looks)}"
    return table(head, cells)


def _adam_spans() -> Iterator[tuple[str, str]]:
    """What the remedies bring: spans."""
    found = result("adam-spans")
    rows = [[row["change"], _span_text(row), str(row["trainings"])] for row in found["spans"]]
    yield "spans.table", table("| change | span | trainings |\n|---|---:|---:|", rows)
    yield "spans.budget", str(found["budget"])


def _adam_race() -> Iterator[tuple[str, str]]:
    """Whether the mean of Adam's updates predicts the span."""
    found = result("adam-race")
    grid, new = ([row for row in found["rows"] if row["held_out"] == held_out] for held_out in (False, True))
    fitted = [row for row in grid if [row["hidden"], row["variance"], row["rate"]] in found["fitted"]]
    factor = float(np.exp(np.mean([np.log(row["leave"] / row["span"]) for row in fitted])))
    head = "| lr | H | sw2 | span | equation | within 30 % | noise throws half from T |\n"
    head += "|---:|---:|---:|---:|---:|---|---:|"

    def within(row: dict[str, Any], least: float = 0.0) -> bool:
        return abs(max(row["leave"] / factor, least) / row["span"] - 1) <= 0.3

    def cells(row: dict[str, Any], verdict: str, least: float = 0.0) -> list[str]:
        point = [f"{row['rate']:g}", str(row["hidden"]), str(row["variance"])]
        thrown = str(row["thrown_from"] or "-")
        return [*point, _span_text(row), f"{max(row['leave'] / factor, least):.1f}", verdict, thrown]

    words = {True: "yes", False: "**no**"}
    ordered = sorted(grid, key=lambda row: (row["rate"], row["hidden"], row["variance"]))
    verdicts = ["fitted" if row in fitted else words[within(row)] for row in ordered]
    yield "race.table", table(head, [cells(row, verdict) for row, verdict in zip(ordered, verdicts, strict=True)])
    yield "race.right", str(verdicts.count("yes"))
    yield "race.of", str(len(ordered) - len(fitted))
    yield "race.factor", f"{factor:.2f}"
    yield (
        "race.slow",
        f"{max(_off(row['leave'] / row['span'] / factor) for row in grid if row['rate'] == 0.003):.2f}",
    )
    fast = [row["span"] for row in grid if row["rate"] >= 0.01 and row["variance"] <= 0.4]
    yield "race.fast_low", f"{min(fast):.0f}"
    yield "race.fast_high", f"{max(fast):.0f}"
    theta = [_theta_at_span(row) for row in grid]
    yield "race.theta_low", f"{min(theta):.0e}"
    yield "race.theta_high", f"{max(theta):.0e}"
    least = [found["thrown"] if row["thrown_at_50"] >= 0.25 else 0.0 for row in new]
    kept = [within(row, one) for row, one in zip(new, least, strict=True)]
    yield "race.thrown", f"{found['thrown']:g}"
    rows = [cells(row, words[one], bound) for row, one, bound in zip(new, kept, least, strict=True)]
    yield "race.new-table", table(head.replace("equation", "rule"), rows)
    yield "race.new_right", str(sum(kept))
    yield "race.new_of", str(len(new))
    ratios = [_off(row["span"] / max(row["leave"] / factor, one)) for row, one in zip(new, least, strict=True)]
    yield "race.new_worst", f"{max(ratios):.2f}"


def _theta_at_span(row: dict[str, Any]) -> float:
    """The label gradient at the span, between the lengths at which it was measured; at most the longest one's."""
    lengths, theta = zip(*((one["length"], np.log(one["theta"])) for one in row["by_length"]), strict=True)
    return float(np.exp(np.interp(row["span"], lengths, theta)))


def _drawn(rows: list[dict[str, Any]]) -> str:
    """Settings drawn at random: measured, predicted, and whether the test calls them the same."""
    names = [name for name in ADAM if name not in ("w", "beta1")]
    heads = [ADAM[name] for name in names]
    rule = "|---:" * (len(heads) + 2) + "|---|"
    verdict = {True: "yes", False: "**no**"}
    cells = [
        [
            *(f"{row['setting'][name]:g}" for name in names),
            _jumped(row),
            str(row["predicted"]),
            verdict[row["right"]],
        ]
        for row in rows
    ]
    return table(f"| {' | '.join(heads)} | measured | predicted | right |\n{rule}", cells)


def _jumped(row: dict[str, Any]) -> str:
    """The median update of the jump, or the update that it is later than."""
    return f"{row['measured']:.0f}" if row["measured"] else f"> {row['setting']['updates']}"


def _count(row: dict[str, Any]) -> str:
    """How many networks have jumped."""
    return f"{row['jumped']}/{row['setting']['nets']}"


def _predicted(row: dict[str, Any]) -> str:
    """The predicted median, where the formula knows the change."""
    return "-" if row["setting"]["frozen"] or row["setting"]["largest"] else str(row["predicted"])


def _changed(row: dict[str, Any]) -> str:
    """What a setting changes in the baseline."""
    s = row["setting"]
    base = {"lr": 0.01, "batch": 64, "hidden": 32, "sw2": 0.4, "length": 30, "v": 1, "w": 1}
    base |= {"epsilon": 1e-8, "beta1": 0.9, "beta2": 0.999}
    words = [f"{ADAM[name]} {s[name]:.4g}" for name in base if s[name] != base[name]]
    words += [f"{s['frozen'].replace(' ', ', ')} frozen"] if s["frozen"] else []
    words += ["AMSGrad"] if s["largest"] else []
    return ", ".join(words) or "baseline"


def _labelled(found: list[dict[str, Any]]) -> str:
    """What happens with true labels."""
    head = (
        "| change | updates | plateau left (median) | R jumps (median) | jumped | solved | of the jumped |\n"
        "|---|---:|---:|---:|---:|---:|---:|"
    )
    rows = []
    for one in found:
        last = one["setting"]["updates"]
        solved = [accuracy >= 0.9 for accuracy in one["accuracy"]]
        thrown = [jump is not None for jump in one["jump"]]
        both = sum(a and b for a, b in zip(solved, thrown, strict=True))
        left, jump = (median(u if u is not None else 2 * last for u in one[name]) for name in ("left", "jump"))
        cells = [f"{u:.0f}" if u <= last else f"> {last}" for u in (left, jump)]
        n = len(solved)
        counts = [f"{sum(thrown)}/{n}", f"{sum(solved)}/{n}", f"{both}/{sum(thrown)}" if any(thrown) else "-"]
        rows.append([_changed(one), str(last), *cells, *counts])
    return table(head, rows)


def _rescued(found: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> str:
    """What true labels bring to networks that noise has thrown, beside fresh networks with the same training."""
    head = (
        "| T | lr | updates | spectral radius before | solved, thrown by noise | solved, fresh |\n"
        + "|---:" * 6
        + "|"
    )
    rows = []
    for one in found:
        length, true = one["setting"]["length"], one["true"]
        there = [k for k, jump in enumerate(one["jump"]) if jump is not None]
        solved = sum(true["accuracy"][k] >= 0.9 for k in there)
        same = [
            sum(a >= 0.9 for a in other["accuracy"])
            for other in fresh
            if _changed(other) == _changed({"setting": one["setting"] | {"lr": true["lr"]}})
            and other["setting"]["updates"] == true["updates"]
        ]
        rows.append(
            [
                str(length),
                f"{true['lr']:.3g}",
                str(true["updates"]),
                f"{median(true['radius'][k] for k in there):.1f}",
                f"{solved}/{len(there)}",
                f"{same[0]}/{one['setting']['nets']}" if same else "-",
            ]
        )
    return table(head, rows)


def _thrown(found: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield how the jump goes with the end of the plateau and with success, on true labels."""
    base = next(one for one in found if _changed(one) == "baseline")
    pairs = [(a, b) for a, b in zip(base["left"], base["jump"], strict=True) if a is not None and b is not None]
    x, y = (np.argsort(np.argsort(values)) for values in zip(*pairs, strict=True))
    longer = next(one for one in found if _changed(one) == "T 20")
    for name, wanted in (("solved", True), ("failed", False)):
        radii = [r for r, a in zip(longer["radius"], longer["accuracy"], strict=True) if (a >= 0.9) is wanted]
        yield f"true.radius-{name}", f"{median(radii):.1f}"
    yield "true.both", str(len(pairs))
    yield "true.rank", f"{np.corrcoef(x, y)[0, 1]:.2f}"
    yield "true.gap", f"{median(b - a for a, b in pairs):.0f}"
    yield "true.spread", f"{median(abs(b - a - median(d - c for c, d in pairs)) for a, b in pairs):.0f}"


def flow_cost() -> Iterator[tuple[str, str]]:
    """Yield what recording the gradient costs, in per cent of training, and a measurement in updates."""
    found = result("flow_cost")
    rows = found["rows"]
    head = "| cell | T, B, H | an update, ms | recording, % | `GradientFlow`, updates | `Attribution`, updates |"
    cells = [
        [
            row["cell"],
            f"{row['length']}, {row['batch']}, {row['hidden']}",
            f"{row['update_ms']:.3g}",
            "{extra:.1f} ({low:.1f} to {high:.1f})".format(**{k: 100 * row[k] for k in ("extra", "low", "high")}),
            f"{row['updates']['GradientFlow']:.0f}",
            f"{row['updates']['Attribution']:.0f}",
        ]
        for row in rows
    ]
    yield "table", table(f"{head}\n|---|---|---:|---:|---:|---:|", cells)
    extra = [100 * row["extra"] for row in rows]
    yield "least", f"{min(extra):.1f}"
    yield "most", f"{max(extra):.1f}"
    yield "rounds", str(found["rounds"])


def critical() -> Iterator[tuple[str, str]]:
    """Yield what the initializer `critical` brings: its gains, and spans with and without it."""
    found = result("critical")
    head = f"| cell | {' | '.join(f'T = {length}' for length in found['lengths'])} |\n|---|{'---:|' * 5}"
    gains = [[cell, *(f"{gain:.3g}" for gain in row)] for cell, row in found["gains"].items()]
    yield "gains.table", table(head, gains)
    spans: dict[tuple[str, str], dict[str | None, str]] = {}
    for row in found["spans"]:
        spans.setdefault((row["rule"], row["cell"]), {})[row["init"]] = _span_text(row)
    rows = [[rule, cell, by[None], by["critical"]] for (rule, cell), by in spans.items() if len(by) == 2]
    yield "spans.table", table("| training | cell | default | `critical` |\n|---|---|---:|---:|", rows)
    yield "longest", str(found["longest"])
    yield "budget", str(found["budget"])
    yield "cost.least", f"{min(found['cost'].values()):,}"
    yield "cost.most", f"{max(found['cost'].values()):,}"


def windows() -> Iterator[tuple[str, str]]:
    """Yield the spans with truncated gradients, and what the rules say about each window."""
    found = result("windows")
    rows: dict[str, list[str]] = {}
    for row in found["spans"]:
        window = "whole" if row["window"] is None else str(row["window"])
        says = [name for name in ("limits", "wall", "passed") if row.get(name)]
        cells = [_span_text(row), row.get("ratio", ""), ", ".join(says)]
        rows.setdefault(window, [window]).extend(cells)
    ordered = [*(rows[window] for window in rows if window != "whole"), rows["whole"]]
    cells = list(dict.fromkeys(row["cell"] for row in found["spans"]))
    names = " | ".join(f"{cell}: span | of the whole | rule" for cell in cells)
    yield "table", table(f"| window k | {names} |\n|---:|{'---:|---:|---|' * len(cells)}", ordered)
    yield "budget", str(found["budget"])
    yield "longest", str(found["longest"])
    yield "widest", str(max(row["window"] or 0 for row in found["spans"]))
    least = {cell: next(r for r in found["spans"] if r["cell"] == cell and r["window"] == 1) for cell in cells}
    for cell, row in least.items():
        yield f"{cell}.least", f"{row['span']:.1f}"
    wide = [row for row in found["spans"] if row["window"] in (10, 15, 20)]
    yield "beyond", f"{100 * max(abs(row['span'] / row['window'] - 1) for row in wide):.0f}"


def _span_text(row: dict[str, Any]) -> str:
    """The span of a row with its interval, as `SpanEstimate.short` writes it."""
    span, low, high = (None if row[name] is None else f"{row[name]:.3g}" for name in ("span", "low", "high"))
    if span is None:
        return "unknown" if low is high is None else f"at least {low}" if low else f"below {high}"
    if low and high:
        return f"{span} [{low}, {high}]"
    return f"{span} [at least {low}]" if low else f"{span} [below {high}]" if high else f"{span} [no bounds]"


def digits() -> Iterator[tuple[str, str]]:
    """Yield the spans on handwritten digits beside those on recall, and what the rule says."""
    found = result("digits")
    spans = {(row["task"], row["training"], row["cell"]): row["short"] for row in found["spans"]}
    ratios = found["judged"]["ratios"]
    cells = [
        [
            row["cell"],
            row["training"],
            *(spans[task, row["training"], row["cell"]] for task in ("recall", "digits/rows")),
            row["short"],
            verdict,
        ]
        for row, verdict in zip(ratios, found["judged"]["size"], strict=True)
    ]
    head = "| cell | training | recall | digits/rows | digits to recall | size by recall |\n"
    head += "|---|---|---:|---:|---:|---|"
    yield "table", table(head, cells)
    for training, verdict in found["judged"]["order"].items():
        word = {"predicts": "predicted", "contradicts": "contradicted"}.get(verdict, verdict)
        yield f"order.{training.removeprefix('Adam ')}", word
    for verdict in ("predicts", "fails", "undecided"):
        yield f"size.{verdict}", str(found["judged"]["size"].count(verdict))
    known = [row["ratio"] for row in ratios if row["ratio"] is not None]
    yield "least", f"{min(known):.2f}"
    yield "most", f"{max(known):.2f}"
    (pair,) = (one for one in found["judged"]["pairs"]["Adam 0.01"] if one["pair"] == "rnn : gru")
    yield "pair.recall", pair["recall"]
    yield "pair.digits", pair["digits/rows"]
    yield "rank", f"{found['judged']['rank']:.2f}"
    yield "p", f"{found['judged']['p']:.2g}"
    yield "trainings", str(sum(row["trainings"] for row in found["spans"]))


PARTS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "windows": windows,
    "adam": adam,
    "plateau": plateau,
    "why": why,
    "first-study": first_study,
    "span": span,
    "digits": digits,
    "studies": studies,
    "million": million,
    "kills": kills,
    "reproductions": reproductions,
    "engine": engine,
    "flow-cost": flow_cost,
    "in-torch": in_torch,
    "own-cell-study": own_cell_study,
    "model-checks": model_checks,
    "third-party": third_party,
    "own-torch-predict": own_torch_predict,
    "own-cell-costs": own_cell_costs,
    "activations": activations,
    "compiling": compiling,
    "calibration": calibration,
    "checkers": checkers,
    "diagnostics": diagnostics,
    "exponents": exponents,
    "critical": critical,
}
