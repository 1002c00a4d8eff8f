"""Why memory stops: the plateau on which training begins, and what it predicts of the span before training."""

from memspan.why.noise_jump import NoiseJump, noise_jump
from memspan.why.predict import predict
from memspan.why.prediction import Prediction

__all__ = ["NoiseJump", "Prediction", "noise_jump", "predict"]
