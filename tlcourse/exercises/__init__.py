"""What the learner does: predictions before an experiment, exercises that check themselves, and a short quiz."""

from tlcourse.exercises.prediction import Prediction, predict

__all__ = ["Prediction", "predict"]
