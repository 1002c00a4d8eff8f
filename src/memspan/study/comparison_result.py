"""The result of a comparison: spans side by side, their ratios, and what the data cannot tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from memspan.figures.forest import Forest, NamedSpan, SpanByQuantity, by_span, middle_of
from memspan.span.compare import PairOfSpans, compare_all
from memspan.span.likelihood import Likelihood
from memspan.span.slope import Slope, fit_slope
from memspan.study.comparison import Comparison, Tried, parameters_of
from memspan.study.experiment import written
from memspan.study.facts import facts
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
        best: dict[int, tuple[float, Mapping[str, Any]]] = {}
        for trial, result in zip(self.trials, self.results, strict=True):
            span = 0.0 if result.estimate is None else middle_of(result.estimate)
            if trial.configuration not in best or span > best[trial.configuration][0]:
                best[trial.configuration] = span, trial.values
        return {place: values for place, (_, values) in best.items()}

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
        return f"<Compared: {'; '.join(f'{span.label} {span.estimate.short}' for span in self.spans)}>"

    @cached_property
    def spans(self) -> list[NamedSpan]:
        """The span of each configuration that has one."""
        return [
            NamedSpan(label, parameters_of(result.search.configuration), result.estimate)
            for label, result in zip(self.labels, self.results, strict=True)
            if result.estimate is not None
        ]

    @cached_property
    def pairs(self) -> Sequence[PairOfSpans]:
        """The ratio of every two spans, with p-values corrected for their number (Holm 1979)."""
        known = dict(zip(self.labels, map(likelihood_of, self.results), strict=True))
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
    def sentence(self) -> str:
        """The answer in words: the ratios that are told apart, then the pairs that are not."""
        told = [pair.sentence for pair in self.pairs if pair.told_apart]
        return "\n".join([*told, *(pair.sentence for pair in self.pairs if not pair.told_apart)])

    def figure(self) -> Forest | SpanByQuantity:
        """Return the data of the figure: the span against `quantity` if there is one, else a forest plot."""
        tasks = dict.fromkeys(result.search.configuration.make_task() for result in self.results)
        whats = [f"{task.name}: {task.sentence}" for task in tasks]
        title = "\n".join([*whats, *facts(self.results), *self._protocol])
        if self.quantity is None or self.comparison is None or len(self.spans) < len(self.results):
            return Forest(title, self.spans)
        values = self.comparison.values()[self.quantity]
        return SpanByQuantity(title, self.comparison.shown(self.quantity), values, self.spans, self.slope)

    def table(self) -> "TextTable":
        """Return the spans as a table for `rich` or `print`, the longest first."""
        from memspan.runtime.tables import TextTable

        table = TextTable(title=self._task, caption=". ".join([self._rule, *self._protocol]) + ".")
        tuned = list(self.comparison.tune) if self.comparison else []
        name = self.spans[0].estimate.name if self.spans else "span"
        table.add_column("configuration", overflow="fold")
        sized = ["hidden"] if self.comparison is None or "hidden" not in self.comparison.varying else []
        for heading in (*map(Comparison.shown, tuned), *sized, "weights", name, "trainings", "time steps trained"):
            table.add_column(heading, justify="right")
        for place in self._by_span:
            result = self.results[place]
            one, estimate = result.search.configuration, result.estimate
            chosen = [written(one.values()[field][0]) for field in tuned]
            span = "–" if estimate is None else estimate.short
            cost = f"{result.path.trainings:,}", f"{result.steps_trained:,}"
            size = [f"{one.hidden}" for _ in sized]
            table.add_row(self.labels[place], *chosen, *size, f"{parameters_of(one):,}", span, *cost)
        return table

    def pair_table(self) -> "TextTable":
        """Return the ratios of every two spans as a table."""
        from memspan.runtime.tables import TextTable

        table = TextTable(caption="p: of equal spans, corrected for the number of pairs (Holm).")
        for heading in ("pair", "ratio", "p", ""):
            table.add_column(heading, justify="left" if heading == "pair" else "right", overflow="fold")
        for pair in self.pairs:
            told = "told apart" if pair.told_apart else "cannot be told apart"
            table.add_row(f"{pair.a} : {pair.b}", pair.ratio.short, f"{pair.p:.2g}", told)
        return table

    def numbers(self) -> dict[str, Any]:
        """Return the spans and their ratios for JSON. An open end is None."""
        configurations = [
            {"configuration": span.label, "parameters": span.parameters}
            | {name: getattr(span.estimate, name) for name in ("span", "low", "high", "trainings", "fits")}
            for span in by_span(self.spans)
        ]
        pairs = [
            {"a": pair.a, "b": pair.b, "ratio": pair.ratio.ratio, "low": pair.ratio.low, "high": pair.ratio.high}
            | {"p": pair.p, "told_apart": pair.told_apart}
            for pair in self.pairs
        ]
        return {"configurations": configurations, "pairs": pairs}

    @property
    def _by_span(self) -> list[int]:
        """The indices of the configurations, the longest span first."""
        order = {id(span): place for place, span in enumerate(by_span(self.spans))}
        known = {span.label: order[id(span)] for span in self.spans}
        return sorted(range(len(self.labels)), key=lambda place: known.get(self.labels[place], len(known)))

    @property
    def _task(self) -> str:
        tasks = {result.search.configuration.make_task().name: result for result in self.results}
        if len(tasks) > 1:
            return ", ".join(tasks)
        (task,) = {result.search.configuration.make_task() for result in self.results}
        least = task.least_length
        return (
            f"{task.name}: {task.sentence} Answers that ignore the input have an accuracy of at most "
            f"{task.chance_accuracy(least):.3g} and a loss of at least {task.trivial_risk(least):.3g} (T={least})."
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
        if self.comparison is not None and self.comparison.counted:
            counts = [parameters_of(result.search.configuration) for result in self.results]
            found.append(f"Hidden sizes chosen for equal numbers of weights: {min(counts):,} to {max(counts):,}")
        if self.tuning is not None and self.comparison is not None:
            names = ", ".join(map(Comparison.shown, self.comparison.tune))
            cost = f"{self.tuning.trainings:,} trainings, {self.tuning.steps_trained:,} time steps"
            found.append(f"Tuned on other seeds, by span: {names} ({cost})")
        return found


def likelihood_of(result: SearchResult) -> Likelihood:
    """Return what the counts of a search say about its span."""
    ran = [row for row in result.summaries() if row.share.trials]
    lengths, solved, trials = zip(*((row.length, row.share.solved, row.share.trials) for row in ran), strict=True)
    return Likelihood.of(lengths, solved, trials, result.search.share)
