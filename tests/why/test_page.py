import numpy as np
import pytest

from memspan import Configuration, InvalidArgument, Saturation, Study, StudyResult
from memspan.diagnostics import recurrent_spectra
from memspan.execution.search import run_search
from memspan.figures.limits import Leaving
from memspan.figures.mechanism import FlowMap, Gates, Spectra
from memspan.figures.why import draw_why
from memspan.span import Group
from memspan.study.comparison_result import Compared
from memspan.study.group import prepared, run_group, untrained
from memspan.study.search import Search
from memspan.why.attempt import limit_of
from memspan.why.evidence import evidence_of
from memspan.why.explain import explain
from memspan.why.noise_jump import noise_jump_of
from memspan.why.page import (
    NO_CURVES,
    NO_FLOW,
    NO_MAP,
    animation_record,
    flow_map_of,
    leaving_of,
    left_by_curve,
    page_record,
    reach_of,
    save_page,
)
from memspan.why.predict import updates_needed

SIZE = {"hidden": 8, "updates": 80, "batch": 32}
SMALL = SIZE | {"evaluate_every": 20, "final_batches": 2, "evaluation_samples": 50}
DESCENT = {"optimizer": "momentum", "learning_rate": 0.03}


def small_study(lengths=(2, 12), repetitions=2, **fields):
    return Study(**(SMALL | fields), lengths=lengths, repetitions=repetitions)


def trained(lengths=(2, 12), repetitions=2, **fields):
    """The result of a small study, trained here."""
    study = small_study(lengths, repetitions, **fields)
    numbered = range(repetitions)
    trials = [
        trial.model_copy(update={"configuration": number})
        for number, one in enumerate(study.configurations)
        for length in lengths
        for trial in run_group(one, length, numbered)
    ]
    return StudyResult.of(study, trials)


def explained(result, **arguments):
    return explain(result, progress=False, networks=2, **arguments)


@pytest.fixture(scope="module")
def adam():
    result = trained(cell="rnn")
    return result, explained(result, lengths=[12])


@pytest.fixture(scope="module")
def lstm():
    result = trained(cell="lstm", **DESCENT)
    return result, explained(result, lengths=[12])


@pytest.fixture(scope="module")
def lru():
    result = trained(cell="lru", **DESCENT)
    return result, explained(result, lengths=[12])


def drawn(record):
    figure = draw_why(record)
    figure.draw_without_rendering()
    return figure


def test_the_page_is_about_the_network_that_was_trained_again(lstm):
    result, (explanation,) = lstm
    record = page_record(result, explanation)
    assert record.limits.length == 12
    configuration = result.study.configuration
    first = explanation.evidence[0]
    before, batches, _ = untrained(configuration, 12, first.repetition)
    assert isinstance(record.mechanism.spectra, Spectra)
    spectra = recurrent_spectra(first.trained)
    assert record.mechanism.spectra.gate == max(spectra, key=lambda gate: spectra[gate].radius)
    gate = record.mechanism.spectra.gate
    np.testing.assert_array_equal(record.mechanism.spectra.after, spectra[gate].eigenvalues)
    np.testing.assert_array_equal(record.mechanism.spectra.before, recurrent_spectra(before)[gate].eigenvalues)
    assert not np.array_equal(record.mechanism.spectra.before, record.mechanism.spectra.after)
    assert isinstance(record.mechanism.gates, Gates)
    x = next(batches).x
    for found, network in ((record.mechanism.gates.before, before), (record.mechanism.gates.after, first.trained)):
        usual = Saturation.of(network, x).openness
        assert [*found] == [*usual] == ["i", "f", "o"]
        assert all(np.array_equal(found[name], usual[name]) for name in usual)
    assert (
        record.mechanism.spectra.network
        == record.mechanism.gates.network
        == f"T = 12, repetition {first.repetition}, unsolved"
    )


def test_the_network_after_training_is_that_of_the_study(lstm):
    result, (explanation,) = lstm
    assert explanation.reproduced
    (evidence, *_) = explanation.evidence
    (trial,) = [one for one in result.of_length(12) if one.repetition == evidence.repetition]
    assert evidence.digest == trial.digest
    (member,) = prepared(result.study.configuration, 12, [evidence.repetition]).members
    assert not np.array_equal(member.model.parameters, evidence.trained.parameters)


def test_the_title_has_the_verdict_and_the_remedy(adam):
    result, (explanation,) = adam
    title = page_record(result, explanation, "cell rnn").title
    assert title.startswith("Why cell rnn stops\n" + str(explanation))
    assert f"First remedy: {explanation.remedies[0]}" in title
    assert title.endswith("recall: " + result.study.describe() + ", 80 updates")


def test_for_gradient_descent_the_updates_needed_are_predicted_before_training(lstm):
    result, _ = lstm
    leaving = leaving_of(result)
    assert isinstance(leaving, Leaving)
    assert leaving.given == 80
    needed = updates_needed(result.study.configuration, Group(12, 0, 2))
    assert leaving.predicted[12] == needed.quartiles
    assert [*leaving.predicted] == [*leaving.measured] == [2, 12]


def test_for_adam_the_prediction_is_the_noise_jump_where_it_is_known(adam):
    result, _ = adam
    leaving = leaving_of(result)
    assert isinstance(leaving, Leaving)
    jump = noise_jump_of(result.study.configuration, 12)
    assert leaving.predicted == {12: pytest.approx([jump.quantile(share) for share in (0.25, 0.5, 0.75)])}
    other = leaving_of(trained(cell="lstm", lengths=(2,)))
    assert isinstance(other, Leaving)
    assert (other.predicted, [*other.measured]) == ({}, [2])


def test_a_network_leaves_where_the_average_of_its_curve_falls(make_trial):
    configuration = Configuration(batch=64)  # a window of 25 updates
    risk = configuration.make_task().trivial_risk(5)
    curve = [risk, risk, risk, 0.5 * risk, 0.5 * risk]

    def left(**fields):
        return left_by_curve(make_trial(5, 0, "unsolved", **fields), configuration)

    assert left(curve=curve, curve_every=10, updates=50) == 40, "(1 + 1 + 0.5) / 3 is below 0.9"
    assert left(curve=curve, curve_every=25, updates=120) == 100
    assert left(curve=curve, curve_every=30, updates=105) == 105, "the last entry stands for fewer updates"
    assert left(curve=[risk] * 5, curve_every=10, updates=50) == np.inf
    assert left(curve=curve[-2:], curve_every=10, updates=20) == np.inf, "shorter than the window"


def test_the_left_update_agrees_with_the_evidence():
    result = trained(lengths=(2,), repetitions=3, cell="rnn", **DESCENT)
    evidence = evidence_of(result.study.configuration, 2, range(3))
    for trial, one in zip(result.of_length(2), evidence, strict=True):
        assert np.isfinite(one.left)
        assert left_by_curve(trial, result.study.configuration) == one.left, (
            "curves of short trainings keep every update"
        )


def test_the_reach_is_the_ratio_of_the_ends_by_moment(make_trial, diverged_at_once):
    study = Study(lengths=(3, 5), repetitions=3)
    trials = [make_trial(3, k, outcome) for k, outcome in enumerate(("solved", "unsolved", "failed"))]
    reach = reach_of(StudyResult.of(study, [*trials, diverged_at_once(5)]))
    assert {moment: {3: pytest.approx((1e-2,) * 3)} for moment in reach} == reach
    assert [*reach] == ["before training", "after training: solved", "after training: not solved"]
    assert reach_of(StudyResult.of(study, [make_trial(3, 0, start=None, end=None)])) == NO_FLOW


def test_the_map_and_the_animation_are_those_of_repetition_0(adam):
    result, _ = adam
    trial = result.of_length(12)[0]
    found, film = flow_map_of(result, 12), animation_record(result, 12)
    assert isinstance(found, FlowMap)
    assert film is not None
    np.testing.assert_array_equal(found.norms, trial.flow_map)
    np.testing.assert_array_equal(film.norms, trial.flow_map)
    assert trial.flow_spread is not None
    np.testing.assert_array_equal(film.low, trial.flow_spread.q10)
    assert found.relevant.tolist() == [1.0] + [0.0] * 11
    assert len(film.updates) == len(film.loss) == len(trial.curve)
    assert (found.lost == 0).all()


def test_samples_without_a_gradient_are_lost(make_trial):
    zero = [[1.0, 0.5, 0.0]] * 4
    made = make_trial(3, 0, "unsolved")
    spread = made.flow_spread.model_copy(update={"zero": zero, "underflow": [[0.0, 0.25, 0.0]] * 4})
    result = StudyResult.of(small_study((3,)), [made.model_copy(update={"flow_spread": spread})])
    found = flow_map_of(result, 3)
    assert isinstance(found, FlowMap)
    assert found.lost.tolist() == [[1.0, 0.75, 0.0]] * 4


def test_a_trial_of_an_older_memspan_has_no_band_and_its_zeros_are_lost(make_trial):
    maps = [[0.0, 0.1, 1.0]] * 4
    result = StudyResult.of(small_study((3,)), [make_trial(3, 0, "unsolved", flow_map=maps, flow_spread=None)])
    film, found = animation_record(result, 3), flow_map_of(result, 3)
    assert film is not None
    assert film.low is film.high is None
    assert isinstance(found, FlowMap)
    assert found.lost.tolist() == [[1.0, 0.0, 0.0]] * 4


def without_curves(result):
    bare = {"curve": [], "flow_map": [], "flow_spread": None, "start": None, "end": None}
    return StudyResult.of(result.study, [trial.model_copy(update=bare) for trial in result.trials])


def test_what_is_not_stored_is_said_on_the_page(adam, tmp_path):
    result, explanations = without_curves(adam[0]), adam[1]
    record = page_record(result, explanations[0])
    assert (record.limits.leaving, record.limits.reach, record.mechanism.flow) == (NO_CURVES, NO_FLOW, NO_MAP)
    assert animation_record(result, 12) is None
    drawn(record)
    written = save_page(result, explanations, tmp_path)
    assert [path.name for path in written] == ["why-rnn.png", "why-rnn.svg", "why-rnn.csv"]


def test_the_page_of_a_single_configuration_has_its_cell_as_headline_and_the_animation_has_none(
    adam, tmp_path, monkeypatch
):
    films = []
    monkeypatch.setattr("memspan.why.page.save_animation", lambda film, *place: films.append(film) or [])
    save_page(*adam, tmp_path)
    assert "Why rnn stops" in (tmp_path / "why-rnn.svg").read_text(encoding="utf-8")
    assert [film.title.splitlines()[0][:12] for film in films] == ["The gradient"]


def test_a_cell_without_recurrent_weights_and_gates_has_a_page(lru):
    result, (explanation,) = lru
    record = page_record(result, explanation)
    assert record.mechanism.spectra == "The cell lru has no recurrent weights R."
    assert isinstance(record.mechanism.gates, Gates)
    assert (record.mechanism.gates.heading, [*record.mechanism.gates.before]) == ("Slope of the units", [""])
    drawn(record)


def test_a_network_that_diverged_has_a_page():
    unstable = {"gain": 9, "optimizer": "sgd", "learning_rate": 10, "clip": 0}
    result = trained(lengths=(6,), repetitions=1, cell="rnn-linear", **unstable)
    assert result.trials[0].outcome == "diverged"
    record = page_record(result, explained(result)[0])
    drawn(record)


def test_where_all_lengths_are_solved_repetition_0_is_trained_again(make_trial):
    result = StudyResult.of(small_study((3,), 1), [make_trial(3, 0)])
    (explanation,) = explained(result)
    assert not explanation.evidence
    record = page_record(result, explanation)
    assert isinstance(record.mechanism.spectra, Spectra)
    assert "repetition 0" in record.mechanism.spectra.network
    assert record.title.splitlines()[0] == str(explanation)
    assert page_record(result, explanation, "lstm").title.startswith(f"lstm\n{explanation}")


def test_the_page_is_about_the_limit_if_it_is_explained(make_trial, tmp_path):
    outcomes = {3: "solved", 5: "unsolved", 8: "unsolved"}
    study = small_study((3, 5, 8), 1, cell="rnn")
    result = StudyResult.of(study, [make_trial(length, 0, one) for length, one in outcomes.items()])
    assert limit_of(result) == 5
    explanations = explained(result)
    for some, length in ((explanations[::-1], 5), (explanations[2:], 8)):
        save_page(result, some, tmp_path)
        assert f"dotted: T = {length})" in (tmp_path / "why-rnn.svg").read_text(encoding="utf-8")


def test_each_configuration_has_files_with_its_label(tmp_path):
    result = trained(lengths=(8,), repetitions=1, cell="rnn", gain=(0.5, 2.0), updates=4)
    folder = tmp_path / "pages"
    written = save_page(result, explained(result), folder)
    names = {path.relative_to(folder).as_posix() for path in written}
    assert {f"why-gain-{gain}.{kind}" for gain in ("0.5", "2") for kind in ("png", "svg", "csv")} < names
    assert {f"gradient-gain-{gain}.gif" for gain in ("0.5", "2")} < names
    assert {f"gradient-gain-{gain}-frames/001.svg" for gain in ("0.5", "2")} < names
    assert {path for path in folder.rglob("*") if path.is_file()} == {*written}
    assert "Why gain 0.5 stops" in (folder / "why-gain-0.5.svg").read_text(encoding="utf-8")


def test_the_same_result_gives_the_same_files(tmp_path):
    result = trained(lengths=(6,), repetitions=1, cell="lstm", updates=3)
    explanations = explained(result)
    for name in ("once", "again"):
        written = save_page(result, explanations, tmp_path / name)
    for path in written:
        assert path.read_bytes() == (tmp_path / "once" / path.relative_to(tmp_path / "again")).read_bytes(), path


def test_a_comparison_has_a_page_for_each_search(tmp_path):
    settings = {"width": 0.5, "budget": "16", "longest": 8, "cell": "rnn", "updates": 4}
    results = [run_search(Search(**(SMALL | settings | {"gain": gain})), progress=False) for gain in (0.5, 1.0)]
    compared = Compared(["small", "usual: 1/1"], results)
    explanations = [explained(result, lengths=[limit_of(result)])[0] for result in results]
    names = {path.name for path in save_page(compared, explanations, tmp_path) if path.suffix != ".svg"}
    assert names == {
        *("why-small.png", "why-small.csv", "gradient-small.gif", "gradient-small.csv"),
        *("why-usual-1-1.png", "why-usual-1-1.csv", "gradient-usual-1-1.gif", "gradient-usual-1-1.csv"),
    }


@pytest.mark.parametrize("wrong", [None, "study", 3])
def test_bad_input_is_refused_before_anything_is_written(wrong, adam, tmp_path):
    result, explanations = adam
    with pytest.raises(InvalidArgument, match="result must be the result of a study, a search or a comparison"):
        save_page(wrong, explanations, tmp_path / "new")
    with pytest.raises(InvalidArgument, match="explanations must be explanations of the result"):
        save_page(result, [], tmp_path / "new")
    assert not (tmp_path / "new").exists()
