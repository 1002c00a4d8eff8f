"""What a network remembers that does not solve the task: one of a few values.

    python examples/latched.py [FOLDER]

Trains three networks of the first study again (T = 40, repetitions 4, 7 and 1) and draws what they predict. A
network that keeps nothing but the sign of the first number answers ±1/2: its risk is 1/12, its accuracy 0.2.
"""

import sys
from pathlib import Path

import numpy as np

from memspan import Batches, Learner, MSELoss, Study
from memspan.figures.style import new_figure

LENGTH, REPETITIONS = 40, (4, 7, 1)


def trained(study: Study, repetition: int) -> Learner:
    """The network of one trial, from the same random numbers as in the study."""
    key = np.random.SeedSequence(study.seed, spawn_key=(LENGTH, repetition))
    for_weights, for_training, for_evaluation = key.spawn(3)
    batches, fresh = (
        Batches(study.task, LENGTH, size, rng, study.dtype)
        for size, rng in ((study.batch, for_training), (500, for_evaluation))
    )
    learner = Learner(study.new_network(for_weights), MSELoss(), batches, study.new_optimizer(), evaluation=fresh)
    print(f"repetition {repetition}:", learner.fit(study.updates, evaluate_every=50, evaluation_batches=1))
    return learner


figure = new_figure(12.0, 3.8)
for ax, repetition in zip(figure.subplots(1, len(REPETITIONS), sharey=True), REPETITIONS, strict=True):
    trained(Study(), repetition).plot_predictions(batches=2, ax=ax)
    ax.set_title(f"repetition {repetition}: {ax.get_title().split()[0]} correct", fontsize="medium")
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "latched.png"
figure.savefig(path, dpi=100)
print(path)
