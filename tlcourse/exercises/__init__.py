"""What the learner does: predictions, written down before an experiment and compared after it."""
