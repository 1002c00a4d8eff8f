"""From batches and gradients to trained networks: optimisers, the loop, the learner, and its checkpoint."""
