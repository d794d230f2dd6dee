"""The questions at the end of the notebooks, one file a notebook."""
