"""Your own photographs: from a folder to a saved classifier, its report, and the two commands."""
