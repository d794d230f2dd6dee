"""The loop that is taught, and what goes with it: checkpoints, losses, optimisers, schedules, several at a time."""
