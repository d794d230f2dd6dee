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
from tlcourse.data.augmentations import Augment
from tlcourse.data.batches import Batches
from tlcourse.data.cache import CacheError
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference, t_interval
from tlcourse.evaluation.predict import accuracy, evaluate, extract_features, predict
from tlcourse.models.pretrained import build, manifest, pretrained
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import describe_machine, generator, pick_device, seeded
from tlcourse.storage import StorageError, read_tensors, save_tensors
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import NonFiniteLossError, fit, updates
from tlcourse.training.recipe import Recipe, train
from tlcourse.transfer.freezing import count_parameters, freeze, trainable, training_mode
from tlcourse.transfer.heads import get_classifier, reset_classifier
from tlcourse.transfer.weights import LoadReport, compare_weights, load_weights

__version__ = "0.1.0"

keep_freed_memory()

# What only notebooks need is imported when it is first asked for: pandas, matplotlib and widgets take a while.
FOR_NOTEBOOKS = {
    "as_dict": "tlcourse.notebook.results",
    "calibration_error": "tlcourse.evaluation.calibration",
    "draw_network": "tlcourse.notebook.network_diagram",
    "figures": "tlcourse.notebook.figures",
    "grid": "tlcourse.notebook.results",
    "guess": "tlcourse.exercises",
    "intervals": "tlcourse.notebook.results",
    "paired": "tlcourse.notebook.results",
    "results": "tlcourse.notebook.results",
    "show": "tlcourse.notebook.display",
    "show_frame": "tlcourse.notebook.display",
    "show_table": "tlcourse.notebook.display",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a name of `FOR_NOTEBOOKS`: what its module calls so, or else the module."""
    if name not in FOR_NOTEBOOKS:
        raise AttributeError(f"module 'tlcourse' has no attribute {name!r}")
    module = importlib.import_module(FOR_NOTEBOOKS[name])
    return getattr(module, name, module)


def __dir__() -> list[str]:
    """Name what is imported later, too: Tab completion asks here."""
    return sorted({*globals(), *FOR_NOTEBOOKS})


__all__ = [
    "Augment",
    "Batches",
    "CacheError",
    "History",
    "ImageSet",
    "Interval",
    "LoadReport",
    "NonFiniteLossError",
    "Recipe",
    "SmallCNN",
    "StorageError",
    "TinyResNet",
    "accuracy",
    "bootstrap_mean",
    "build",
    "compare_weights",
    "count_parameters",
    "describe_machine",
    "evaluate",
    "extract_features",
    "fit",
    "freeze",
    "generator",
    "get_classifier",
    "load",
    "load_weights",
    "manifest",
    "paired_difference",
    "pick_device",
    "predict",
    "pretrained",
    "read_tensors",
    "reset_classifier",
    "save_tensors",
    "scale",
    "seeded",
    "t_interval",
    "train",
    "train_test",
    "trainable",
    "training_mode",
    "updates",
]
