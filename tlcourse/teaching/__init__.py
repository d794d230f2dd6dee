"""For the teacher: marking what was handed in, and the two editions of the notebooks."""
