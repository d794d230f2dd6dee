"""Asking a trained network, and what its answers are worth: metrics, intervals, significance, calibration."""
