"""Why memory stops: the span that the plateau predicts before training, and the verdict after it."""

from memspan.why.attempt import Attempt, try_remedies
from memspan.why.explain import explain
from memspan.why.explanation import Explanation
from memspan.why.noise_jump import NoiseJump, noise_jump
from memspan.why.predict import predict
from memspan.why.prediction import Prediction

__all__ = ["Attempt", "Explanation", "NoiseJump", "Prediction", "explain", "noise_jump", "predict", "try_remedies"]
