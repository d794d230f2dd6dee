"""Transfer learning, measured: the functions that the course's notebooks import.

Importing this package draws nothing, writes nothing, downloads nothing and leaves every random state as it was.
"""

import importlib
import os
from typing import Any

# Threads of PyTorch that wait for each other spin for milliseconds before they sleep. Where other programs keep the
# cores busy, that made a network on two threads 46 times slower than on one; after a tenth of a millisecond it is 3
# times. OpenMP reads this when PyTorch is imported; no number that is computed depends on it.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from tlcourse.allocator import keep_freed_memory

__version__ = "0.1.0"

keep_freed_memory()

# A name is imported when it is first asked for: PyTorch takes seconds, in which a command would neither show its help
# nor hear Ctrl-C.
NAMES = {
    "Augment": "data.augmentations",
    "Batches": "data.batches",
    "CacheError": "data.cache",
    "History": "training.checkpoint",
    "ImageSet": "data.imageset",
    "Interval": "evaluation.intervals",
    "LoadReport": "transfer.weights",
    "NonFiniteLossError": "training.loop",
    "Recipe": "training.recipe",
    "SmallCNN": "models.small_cnn",
    "StorageError": "storage",
    "TinyResNet": "models.tiny_resnet",
    "accuracy": "evaluation.predict",
    "bootstrap_mean": "evaluation.intervals",
    "build": "models.pretrained",
    "compare_weights": "transfer.weights",
    "count_parameters": "transfer.freezing",
    "describe_machine": "repro",
    "evaluate": "evaluation.predict",
    "extract_features": "evaluation.predict",
    "fit": "training.loop",
    "freeze": "transfer.freezing",
    "generator": "repro",
    "get_classifier": "transfer.heads",
    "load": "data.worlds",
    "load_weights": "transfer.weights",
    "manifest": "models.pretrained",
    "paired_difference": "evaluation.intervals",
    "pick_device": "repro",
    "predict": "evaluation.predict",
    "pretrained": "models.pretrained",
    "read_tensors": "storage",
    "reset_classifier": "transfer.heads",
    "save_tensors": "storage",
    "scale": "data.normalisation",
    "seeded": "repro",
    "t_interval": "evaluation.intervals",
    "train": "training.recipe",
    "train_test": "data.worlds",
    "trainable": "transfer.freezing",
    "training_mode": "transfer.freezing",
    "updates": "training.loop",
}
# What only notebooks need brings pandas, matplotlib and widgets along.
FOR_NOTEBOOKS = {
    "as_dict": "notebook.results",
    "calibration_error": "evaluation.calibration",
    "draw_network": "notebook.network_diagram",
    "figures": "notebook.figures",
    "grid": "notebook.results",
    "guess": "exercises",
    "intervals": "notebook.results",
    "paired": "notebook.results",
    "results": "notebook.results",
    "show": "notebook.display",
    "show_frame": "notebook.display",
    "show_table": "notebook.display",
}
_ALL = NAMES | FOR_NOTEBOOKS
__all__ = list(NAMES)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a name: what its module calls so, or else the module."""
    if name not in _ALL:
        raise AttributeError(f"module 'tlcourse' has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_ALL[name]}")
    return getattr(module, name, module)


def __dir__() -> list[str]:
    """Name what is imported later, too: Tab completion asks here."""
    return sorted({*globals(), *_ALL})
