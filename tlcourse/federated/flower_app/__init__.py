"""The app that `flwr run` starts on a Flower federation; `pyproject.toml` beside this file has its settings."""
