"""Several tasks in one network: a shared trunk with a head for each, and rules for what to do when they disagree."""
