"""Smaller networks by hand: distillation's loss, pruning of weights and of channels, and whole numbers of 8 bits."""
