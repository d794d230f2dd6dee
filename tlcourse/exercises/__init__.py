"""What the learner does: guesses before an experiment, exercises that check themselves, and a short quiz."""

from tlcourse.exercises.prediction import Prediction, guess

__all__ = ["Prediction", "guess"]
