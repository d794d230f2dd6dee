"""What is carried over: weights by name, surgery where they do not fit, heads, freezing, and the linear probe."""
