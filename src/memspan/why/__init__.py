"""Why memory stops: the limit of the span, predicted before training."""
