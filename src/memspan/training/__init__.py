"""Training: optimisers, the training loop, the learner and its checkpoints."""
