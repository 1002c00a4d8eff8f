import json
import subprocess
import sys

import pytest

import memspan
from memspan import CELLS, INITIALIZERS, TASKS, Study
from memspan import suggestions as module
from memspan.cli.app import new_app
from memspan.cli.mistakes import leaves_of
from memspan.errors import did_you_mean
from memspan.suggestions import MEANT, nearest
from memspan.training.optimizers import RULES

FIELDS = [*Study.model_fields]


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("lr", FIELDS, "learning_rate"),
        ("epochs", FIELDS, "updates"),
        ("steps", FIELDS, "updates"),
        ("batch_size", FIELDS, "batch"),
        ("hidden_size", FIELDS, "hidden"),
        ("hidden", ["input_size", "hidden_size"], "hidden_size"),
        ("lenghts", FIELDS, "lengths"),
        ("Learning-Rate", FIELDS, "learning_rate"),
        ("elman", CELLS, "rnn"),
        ("IRNN", CELLS, "rnn-relu"),
        ("lstmm", CELLS, "lstm"),
        ("xor", TASKS, "delayed-xor"),
        ("addding", TASKS, "adding/any"),
        ("copy", TASKS, "copying/tcn"),
        ("adamw", RULES, "adam"),
        ("xavier", INITIALIZERS, "glorot"),
        ("Lstm", ["LSTM", "lstm"], "LSTM"),
        ("lstmm", ["LSTM", "lstm"], "lstm"),
        ("purple", FIELDS, None),
        ("", FIELDS, None),
        ("!", ["!!", "rnn"], None),
        ("研究", ["研究1"], "研究1"),
        ("lr", [], None),
    ],
)
def test_what_was_meant_is_found_by_meaning_and_by_spelling(typed, known, meant):
    assert nearest(typed, known) == meant
    assert (did_you_mean(typed, known) == "") == (meant is None)


def test_every_name_in_the_table_is_a_name_of_memspan():
    """So no suggestion is a name that does not exist."""
    leaves = dict(leaves_of(new_app(), []))
    options = {
        name for leaf in leaves.values() for one in leaf.assemble_argument_collection() for name in one.names
    }
    known = {
        *memspan.__all__,
        *FIELDS,
        *CELLS,
        *TASKS,
        *RULES,
        *INITIALIZERS,
        *leaves,
        *options,
        "--help",
        "--version",
    }
    known |= {name for path in leaves for name in path.split()} | {
        "float32",
        "float64",
        "compiled",
        "readable",
        "torch",
    }
    known |= {"lr", "input_size", "hidden_size", "output_size", "limit", "model", "models", "rng", "output_steps"}
    known |= {"activation", "forget_bias", "decay", "beta1", "beta2", "epsilon", "evaluation", "tolerance"}
    plain = {module._plain(name) for name in known}
    assert {name for name in MEANT if module._plain(name) not in plain} == set()


@pytest.mark.parametrize("name", ["Lstm", "lstmm", "Trainer", "MSE"])
def test_an_unknown_name_of_the_module_is_answered_with_one_that_exists(name):
    meant = {"Lstm": "LSTM", "lstmm": "lstm", "Trainer": "Learner", "MSE": "MSELoss"}[name]
    with pytest.raises(AttributeError) as caught:
        getattr(memspan, name)
    assert str(caught.value) == f"memspan has no {name!r}. Did you mean {meant!r}?"
    assert not hasattr(memspan, "__wrapped__")


CALLS = {
    "RNN": ({"units": 3}, "Unknown argument 'units' of RNN. Did you mean 'hidden_size'?"),
    "LSTM": ({"bias": 3}, "Unknown argument 'bias' of LSTM. Did you mean 'forget_bias'?"),
    "GRU": ({"precision": 3}, "Unknown argument 'precision' of GRU. Did you mean 'dtype'?"),
    "Network": ({"readout": 3}, "Unknown argument 'readout' of Network. Did you mean 'output_steps'?"),
    "Adam": ({"lr": 3}, "Unknown argument 'lr' of Adam. Did you mean 'learning_rate'?"),
    "SGD": ({"rate": 3}, "Unknown argument 'rate' of SGD. Did you mean 'learning_rate'?"),
    "Momentum": ({"mu": 3}, "Unknown argument 'mu' of Momentum. Did you mean 'momentum'?"),
    "RMSprop": ({"eps": 3}, "Unknown argument 'eps' of RMSprop. Did you mean 'epsilon'?"),
    "ClipByNorm": ({"max_norm": 3}, "Unknown argument 'max_norm' of ClipByNorm. Did you mean 'limit'?"),
    "ClipByValue": ({"value": 3}, "Unknown argument 'value' of ClipByValue. Did you mean 'limit'?"),
    "MSELoss": ({"reduction": 3}, "Unknown argument 'reduction' of MSELoss. It takes masked."),
    "SoftmaxCrossEntropy": ({"mask": 3}, "Unknown argument 'mask' of SoftmaxCrossEntropy. Did you mean 'masked'?"),
    "Recall": ({"tolerence": 3}, "Unknown argument 'tolerence' of Recall. Did you mean 'tolerance'?"),
    "Batches": ({"batch_size": 3}, "Unknown argument 'batch_size' of Batches. Did you mean 'batch'?"),
    "Learner": ({"optim": 3}, "Unknown argument 'optim' of Learner. Did you mean 'optimizer'?"),
    "Ensemble": ({"networks": 3}, "Unknown argument 'networks' of Ensemble. Did you mean 'models'?"),
    "run_study": ({"jobs": 3}, "Unknown argument 'jobs' of run_study. Did you mean 'workers'?"),
    "plot_attribution": ({"axes": 3}, "Unknown argument 'axes' of plot_attribution. Did you mean 'ax'?"),
    "plot_flow": ({"axes": 3}, "Unknown argument 'axes' of plot_flow. Did you mean 'ax'?"),
    "lstm": ({"bias": 3}, "Unknown argument 'bias' of lstm. Did you mean 'forget_bias'?"),
    "Study": ({"lr": 3}, "Unknown field 'lr'. Did you mean 'learning_rate'?"),
    "Configuration": ({"epochs": 3}, "Unknown field 'epochs'. Did you mean 'updates'?"),
}


TASK_CLASSES = sorted({type(task).__name__ for task in TASKS.values()})
PROGRAM = """
import json, sys, memspan
answers = {}
for name, keywords in json.load(sys.stdin).items():
    try:
        getattr(memspan, name)(**keywords)
    except memspan.UnknownField as error:
        answers[name] = str(error)
        assert isinstance(error, TypeError)  # as Python's own error would be
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    """In a new process: the tests' type checker would bind the arguments of dataclasses before memspan does."""
    unknown = {name: {"no_such_thing": 1} for name in TASK_CLASSES}
    calls = json.dumps(unknown | {name: keywords for name, (keywords, _) in CALLS.items()})
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=calls, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_keyword_is_answered_with_one_that_exists(answers, name):
    assert answers[name] == CALLS[name][1]


@pytest.mark.parametrize("name", sorted({*TASK_CLASSES} - {*CALLS}))
def test_every_task_answers_an_unknown_keyword(answers, name):
    assert answers[name].startswith(f"Unknown argument 'no_such_thing' of {name}. It takes ")
