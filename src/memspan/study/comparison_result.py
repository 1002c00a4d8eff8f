"""The result of a comparison: spans side by side, their ratios, and what the data cannot tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from memspan.figures.forest import Forest, NamedSpan, SpanByQuantity
from memspan.span.compare import PairOfSpans, compare_all
from memspan.span.likelihood import Likelihood
from memspan.span.ranking import rank
from memspan.span.slope import Slope, fit_slope
from memspan.study.comparison import Comparison, Tried, parameters_of
from memspan.study.configuration import Configuration
from memspan.study.experiment import written
from memspan.study.facts import facts, value_range
from memspan.study.labels import differing
from memspan.study.search_result import SearchResult

if TYPE_CHECKING:
    from memspan.runtime.tables import TextTable


@dataclass(frozen=True)
class Tuning:
    """The searches that decided the tuned values of each configuration.

    Attributes
    ----------
    trials : sequence of Tried
        The values that were tried.
    results : sequence of SearchResult
        The result of each.
    """

    trials: Sequence[Tried]
    results: Sequence[SearchResult]

    @cached_property
    def chosen(self) -> Mapping[int, Mapping[str, Any]]:
        """For each configuration, by its index, the values with the longest span; the first of equal ones."""
        tried: dict[int, list[tuple[Tried, SearchResult]]] = {}
        for trial, result in zip(self.trials, self.results, strict=True):
            tried.setdefault(trial.configuration, []).append((trial, result))
        return {place: max(each, key=lambda one: rank(one[1].estimate))[0].values for place, each in tried.items()}

    @property
    def trainings(self) -> int:
        """How many networks were trained."""
        return sum(result.path.trainings for result in self.results)

    @property
    def steps_trained(self) -> int:
        """Time steps trained."""
        return sum(result.steps_trained for result in self.results)


@dataclass(frozen=True, repr=False)
class Compared:
    """The result of a comparison.

    Attributes
    ----------
    labels : sequence of str
        A label of each configuration, which tells it from the others.
    results : sequence of SearchResult
    tuning : Tuning or None
    comparison : Comparison or None
        None if the configurations were given in a list.
    """

    labels: Sequence[str]
    results: Sequence[SearchResult]
    tuning: Tuning | None = None
    comparison: Comparison | None = None

    def __repr__(self) -> str:
        pairs = zip(self.labels, self.results, strict=True)
        return f"<Compared: {'; '.join(f'{label} {_short(result)}' for label, result in pairs)}>"

    def _repr_html_(self) -> str:
        """The answer, the spans and their ratios, for a notebook."""
        from memspan.runtime.html import for_notebook, of_table, paragraphs

        tables = [self.table(), self.pair_table()] if self.pairs else [self.table()]
        return for_notebook(paragraphs(self.sentence, class_="answer"), *map(of_table, tables))

    @cached_property
    def spans(self) -> list[NamedSpan]:
        """The span of each configuration of which a training counts."""
        searched = [(result.search.configuration, result.estimate) for result in self.results]
        return [
            NamedSpan(label, one.hidden, parameters_of(one), estimate, self._sized(one) | self._tuned(one))
            for label, (one, estimate) in zip(self.labels, searched, strict=True)
            if estimate is not None
        ]

    def _sized(self, one: Configuration) -> dict[str, Any]:
        """The hidden size of a configuration, if it was chosen for a number of weights."""
        return {"hidden": one.hidden} if self._wanted else {}

    def _tuned(self, one: Configuration) -> dict[str, Any]:
        """The tuned values of a configuration."""
        return {name: one.values()[name][0] for name in (self.comparison.tune if self.comparison else ())}

    @cached_property
    def pairs(self) -> Sequence[PairOfSpans]:
        """The ratio of every two of `spans`, with p-values corrected for their number (Holm 1979)."""
        known = {
            label: likelihood_of(result)
            for label, result in zip(self.labels, self.results, strict=True)
            if result.estimate is not None
        }
        return compare_all(known, self.results[0].search.level)

    @property
    def failures(self) -> list[str]:
        """Why trials failed, each reason once."""
        return list(dict.fromkeys(reason for result in self.results for reason in result.failures))

    @cached_property
    def quantity(self) -> str | None:
        """The only field that varies, if its values are numbers."""
        if self.comparison is None or len(self.comparison.varying) != 1:
            return None
        name = self.comparison.varying[0]
        numbers = all(isinstance(value, int | float) for value in self.comparison.values()[name])
        return name if numbers and name != "seed" else None

    @cached_property
    def slope(self) -> Slope | None:
        """The power law of the span in `quantity`; None if fewer than three spans are closed on both sides."""
        if self.quantity is None or self.comparison is None:
            return None
        quantity, spans = [], []
        for value, result in zip(self.comparison.values()[self.quantity], self.results, strict=True):
            if result.estimate is not None and result.estimate.relative_width < float("inf"):
                quantity.append(float(value))
                spans.append(likelihood_of(result))
        return fit_slope(quantity, spans, self.results[0].search.level) if len(spans) >= 3 else None

    @property
    def power_law(self) -> str:
        """The power law in words, `T50 ~ hidden^0.43 [0.26, 0.61] (95 %)`; empty if there is none to fit."""
        if self.quantity is None or self.comparison is None or len(self.results) < 3:
            return ""
        quantity, slope = self.comparison.shown(self.quantity), self.slope
        if slope is None:
            return f"No power of {quantity} is fitted, because fewer than 3 spans are closed on both sides."
        search = self.results[0].search
        text = f"T{100 * search.share:g} ~ {quantity}^{slope} ({100 * search.level:g} %)"
        if left_out := len(self.results) - slope.points:
            text += f", from the {slope.points} spans that are closed on both sides; {left_out} left out"
        if slope.low <= 0 <= slope.high:
            text += ". The power may be 0"
        return f"{text}."

    @property
    def sentence(self) -> str:
        """The answer in words: first the pairs that are told apart, then those that are not."""
        told = [pair.sentence(self._place) for pair in self.pairs if pair.told_apart]
        untold = [pair.sentence(self._place) for pair in self.pairs if not pair.told_apart]
        return "\n".join([*told, *untold, *(f"{text}." for text in self._unknown)])

    @property
    def _place(self) -> str:
        """What leads from a span to a label if the configurations differ by task alone: no task remembers."""
        compared = self.comparison.configurations if self.comparison else None
        names = differing(compared or [result.search.configuration for result in self.results])
        if not all(name.startswith("task") for name in names):
            return ""
        return "on" if "task" in names else "with"

    def figure(self) -> Forest | SpanByQuantity:
        """Return the data of the figure: the span against `quantity` if there is one, else a forest plot."""
        tasks = dict.fromkeys(result.search.configuration.known_task() for result in self.results)
        whats = [f"{task.name}: {task.sentence}" for task in tasks]
        title = "\n".join([*whats, *facts(self.results), *self._protocol, *self._unknown])
        if self.quantity is None or self.comparison is None or len(self.spans) < len(self.results):
            return Forest(title, self.spans)
        title = "\n".join([title, *filter(None, [self.power_law])])
        values = self.comparison.values()[self.quantity]
        return SpanByQuantity(title, self.comparison.shown(self.quantity), values, self.spans, self.slope)

    def table(self) -> "TextTable":
        """Return the spans as a table for `rich` or `print`, the longest first."""
        from memspan.runtime.tables import TextTable

        notes = [self._rule, *self._protocol, *self._too_wide]
        table = TextTable(title=self._task, caption=". ".join(notes) + ".")
        tuned = list(self.comparison.tune) if self.comparison else []
        name = self.spans[0].estimate.name if self.spans else "span"
        table.add_column("configuration", overflow="fold")
        sized = ["hidden"] if self.comparison is None or "hidden" not in self.comparison.varying else []
        counted = ["difference"] if self._wanted else []
        headings = (*map(Comparison.shown, tuned), *sized, "weights", *counted, name)
        for heading in (*headings, "trainings", "time steps trained"):
            table.add_column(heading, justify="right")
        for place in self._by_span:
            result = self.results[place]
            one = result.search.configuration
            chosen = [written(value) for value in self._tuned(one).values()]
            size = [f"{one.hidden}" for _ in sized]
            weights = parameters_of(one)
            difference = [f"{100 * (weights / self._wanted - 1):+.1f} %"] if self._wanted else []
            cost = f"{result.path.trainings:,}", f"{result.steps_trained:,}"
            span = _short(result)
            table.add_row(self.labels[place], *chosen, *size, f"{weights:,}", *difference, span, *cost)
        return table

    def pair_table(self) -> "TextTable":
        """Return the ratios of every two spans as a table."""
        from memspan.runtime.tables import TextTable

        several = "The p-values are corrected for the number of pairs (Holm), the intervals are not."
        table = TextTable(caption=several if len(self.pairs) > 1 else None)
        for heading in ("pair", "ratio", "equal spans", ""):
            table.add_column(heading, justify="left" if heading == "pair" else "right", overflow="fold")
        for pair in self.pairs:
            told = "told apart" if pair.told_apart else "cannot be told apart"
            table.add_row(f"{pair.a} : {pair.b}", pair.ratio.short, pair.p_text, told)
        return table

    def numbers(self) -> dict[str, Any]:
        """Return the spans and their ratios for JSON. What is not known is None, such as an open end."""
        search, slope = self.results[0].search, self.slope
        pairs = [
            {"a": pair.a, "b": pair.b, "ratio": pair.ratio.ratio, "low": pair.ratio.low, "high": pair.ratio.high}
            | {"p": pair.p, "told_apart": pair.told_apart}
            for pair in self.pairs
        ]
        return {
            "tasks": self._tasks,
            "share": search.share,
            "level": search.level,
            "configurations": [self._row(place) for place in self._by_span],
            "pairs": pairs,
            "power_law": slope
            and {"quantity": self.quantity, "power": slope.slope, "low": slope.low, "high": slope.high},
        }

    def _row(self, place: int) -> dict[str, Any]:
        """What JSON has of a configuration."""
        result = self.results[place]
        one = result.search.configuration
        known = ("span", "low", "high", "fits", "left_censored", "right_censored")
        return {
            "configuration": self.labels[place],
            "parameters": parameters_of(one),
            **{name: getattr(result.estimate, name, None) for name in known},
            "hidden": one.hidden,
            "tuned": self._tuned(one),
            "trainings": result.path.trainings,
            "steps_trained": result.steps_trained,
            "ended": result.ended,
        }

    @property
    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(result.search.configuration.known_task().name for result in self.results))

    @property
    def _by_span(self) -> list[int]:
        """The indices of the configurations, the longest span first."""
        places = range(len(self.results))
        return sorted(places, key=lambda place: rank(self.results[place].estimate), reverse=True)

    @property
    def _task(self) -> str:
        if len(self._tasks) > 1:
            return ", ".join(self._tasks)
        trained = [
            (result.search.configuration.known_task().for_evaluation, row.length)
            for result in self.results
            for row in result.summaries()
        ]
        sentences = " Or: ".join(dict.fromkeys(task.sentence for task, _ in trained))
        chance = value_range([task.chance_accuracy(length) for task, length in trained])
        trivial = value_range([task.trivial_risk(length) for task, length in trained])
        return (
            f"{self._tasks[0]}: {sentences} Answers that ignore the input have an accuracy of at most {chance} "
            f"and a loss of at least {trivial} (T={value_range([length for _, length in trained])})."
        )

    @property
    def _rule(self) -> str:
        """What counts as solved."""
        rules = dict.fromkeys(result.search.configuration.solved for result in self.results)
        return f"Solved: {next(iter(rules))}" if len(rules) == 1 else "Solved: each by its own threshold"

    @property
    def _protocol(self) -> list[str]:
        """What was made equal and what was tuned, at what cost."""
        found = []
        if self.comparison is not None and self._wanted is not None:
            as_many = "as many weights as the first has" if self.comparison.equal else "this number of weights"
            found.append(f"Hidden sizes chosen for {as_many}, {self._wanted:,}")
        if self.tuning is not None and self.comparison is not None:
            names = ", ".join(map(Comparison.shown, self.comparison.tune))
            cost = f"{self.tuning.trainings:,} trainings, {self.tuning.steps_trained:,} time steps"
            found.append(f"Tuned on other seeds, by span: {names} ({cost})")
        return found

    @property
    def _wanted(self) -> int | None:
        """The number of weights for which hidden sizes are chosen."""
        return None if self.comparison is None else self.comparison.wanted_parameters

    @property
    def _unknown(self) -> list[str]:
        """Which configurations have no span."""
        known = {span.label for span in self.spans}
        missing = "; ".join(label for label in self.labels if label not in known)
        return [f"No training counts, because the machine failed: {missing}"] if missing else []

    @property
    def _too_wide(self) -> list[str]:
        """Why searches ended before the width was reached, each reason once."""
        found: dict[str, list[str]] = {}
        for label, result in zip(self.labels, self.results, strict=True):
            if result.estimate is None or result.estimate.relative_width > result.search.width:
                found.setdefault(result.path.ended, []).append(label)
        width = f"± {100 * self.results[0].search.width:g} %"
        return [
            f"{width} not reached by {'; '.join(labels) if len(labels) < len(self.labels) else 'any'}: {reason}"
            for reason, labels in found.items()
            if reason
        ]


def _short(result: SearchResult) -> str:
    """The span for tables; a dash if no training counts."""
    return "–" if result.estimate is None else result.estimate.short


def likelihood_of(result: SearchResult) -> Likelihood:
    """Return what the counts of a search say about its span."""
    return Likelihood.of(*result.counts(), result.search.share)
