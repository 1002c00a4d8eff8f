"""What a network remembers when it does not solve the task: one of a few values.

    python examples/latched.py [FOLDER]

The script trains the ten networks of the first study at T = 40 side by side, and plots the predictions of three of
them. If a network remembers only which of k equal parts of [-1, 1] contained the first number, its mean squared
error is at best 1 / 3k²: 1/3 for k = 1 (it remembers nothing), 1/12 for k = 2 (the sign), 1/27 for k = 3. For each
of these values the script plots the network whose error is nearest.
"""

import sys
from pathlib import Path

import numpy as np

from memspan import Batches, Ensemble, Study
from memspan.figures.style import new_figure
from memspan.figures.training import Predictions, draw_predictions
from memspan.study.facts import demands

LENGTH, PARTS = 40, (1, 2, 3)
study = Study()
configuration = study.configuration
task = configuration.make_task()


def trained() -> Ensemble:
    """Train the networks of the study, with the study's random numbers."""
    models, batches, held_out = [], [], []
    for repetition in range(study.repetitions):
        key = np.random.SeedSequence(configuration.seed, spawn_key=(LENGTH, repetition))
        for_weights, for_training, for_evaluation = key.spawn(3)
        models.append(configuration.make_network(LENGTH, for_weights))
        batches.append(Batches(task, LENGTH, configuration.batch, for_training, configuration.dtype))
        held_out.append(Batches(task, LENGTH, 500, for_evaluation, configuration.dtype))
    ensemble = Ensemble(models, task.make_loss(), batches, configuration.make_optimizer(), evaluation=held_out)
    ensemble.fit(configuration.updates, evaluate_every=50, evaluation_batches=1)
    return ensemble


ensemble = trained()
losses = np.array([member.history.evaluation_loss[-1] for member in ensemble.members])
title = [
    f"{task.name}: {task.sentence} T = {LENGTH}, {len(PARTS)} of {study.repetitions} repetitions",
    f"{configuration.describe()}. Solved: accuracy of at least {configuration.threshold:g}",
    *demands([(task, LENGTH)]),
]
figure = new_figure(12.0, 3.8, "\n".join(title))
for ax, parts in zip(figure.subplots(1, len(PARTS), sharey=True), PARTS, strict=True):
    repetition = int(np.abs(np.log(losses * 3 * parts**2)).argmin())
    member = ensemble.members[repetition]
    print(f"{parts} parts, 1/{3 * parts**2}: repetition {repetition}, {member.result}")
    x, y = next(member.evaluation)
    y_hat = member.model.predict(x)
    draw_predictions(Predictions(y[:, 0], y_hat[:, 0], task.accuracy(y_hat, y), task.tolerance), ax)
    ax.set_title(f"repetition {repetition}: {ax.get_title().split()[0]} correct", fontsize="medium")
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "latched.png"
figure.savefig(path, dpi=100)
print(path)
