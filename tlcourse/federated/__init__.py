"""Learning from data that stay with their owners (notebook 08)."""
