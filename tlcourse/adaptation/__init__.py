"""Training on a labelled source and an unlabelled target together: one file a method, and `adapt`, which trains."""
