"""Why memory stops: the plateau on which training begins, and the span that it predicts before training."""

from memspan.why.predict import predict
from memspan.why.prediction import Prediction

__all__ = ["Prediction", "predict"]
