"""The drawn world of the sample weights: scenes, training, evaluation and the trained checkpoints."""
