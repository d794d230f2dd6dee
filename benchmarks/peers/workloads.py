"""What is measured: the workloads, their settings, and who takes part in each.

Nothing heavy is imported here, since whoever starts the processes must stay small: a process begins its life with the
memory of the one that started it, and its peak would be that.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "bench"  # what is made on the way; git ignores it
RESULTS = ROOT / "benchmarks" / "results"
ROWS, FLOOR, GROWTH = (WORK / name for name in ("rounds.csv", "floor.csv", "growth.csv"))
COURSE = "course"
EVALUATE_EVERY = 50  # updates; outside of the clock
FROM, TO = "work", "whole"  # which seconds are compared: after the imports, or of the whole process


@dataclass(frozen=True)
class Contestant:
    """Who does the work: a module of this package, and how many processes load its images."""

    module: str
    workers: int = 0


CONTESTANTS = {
    COURSE: Contestant("course"),
    "tutorial": Contestant("tutorial"),
    "tutorial, 2 workers": Contestant("tutorial", workers=2),
    "expert": Contestant("expert"),
    "fastai": Contestant("fastai_"),
    "Lightning": Contestant("lightning_"),
    "timm": Contestant("timm_"),
}


@dataclass(frozen=True)
class Workload:
    """A piece of work that every contestant does in its own way, by the function of its module that `does` names."""

    title: str
    does: str
    contestants: tuple[str, ...]
    images: int  # that go through the network, however often each
    compared: str = FROM
    classes: int = 10
    updates: int = 0
    batch: int = 0
    lr: float = 5e-3  # the highest of one cycle, reached after 30 % of the updates; the optimiser is AdamW
    light: float = 0.4  # strength of random brightness and contrast
    target: float | None = None  # percent of the held-out images: when is it reached?


PLAIN = (COURSE, "tutorial", "expert")
LOADED = (COURSE, "tutorial, 2 workers")
PHOTOS = (296, 250)  # groceries to train on, and to test on
WORKLOADS = {
    # the course's default recipe
    "few": Workload("fine-tune on 50 labels", "train", tuple(CONTESTANTS), 5_000, updates=100, batch=50, target=75.0),
    # batch and augmentation of the course's pretraining
    "scratch": Workload(
        *("train from scratch on 10,000 letters", "train", tuple(CONTESTANTS), 38_400),
        **{"classes": 35, "updates": 300, "batch": 128, "light": 0.5, "target": 70.0},
    ),
    "probe": Workload("probe, 296 photographs", "probe", (*LOADED, "fastai"), sum(PHOTOS), TO),
    "photos": Workload("fine-tune all, 296 photographs", "finetune", (*LOADED, "fastai"), 2 * PHOTOS[0], TO),
    "answers": Workload(
        "predict 10,000 images", "predict", (COURSE, "tutorial", "tutorial, 2 workers", "expert"), 10_000, classes=35
    ),
    "photo answers": Workload("predict 250 photographs", "predict_photos", LOADED, PHOTOS[1], TO),
    # ten clients of 906 images in all, two epochs each, three rounds
    "federated": Workload("3 federated rounds, 10 clients", "federated", PLAIN, 3 * 2 * 906, batch=25, lr=0.1),
    "sweep": Workload("20 fine-tunings of 30 updates", "sweep", PLAIN, 20 * 30 * 50, updates=30, batch=50),
}
CLIENTS, ROUNDS, LOCAL_EPOCHS = 10, 3, 2
RUNS = 20  # of the sweep
LABELS_PER_CLASS = 5


@dataclass(frozen=True)
class Job:
    """What one contestant is asked to do in one round."""

    workload: str
    contestant: str
    seed: int
    device: str = "cpu"

    @property
    def settings(self) -> Workload:
        return WORKLOADS[self.workload]

    @property
    def workers(self) -> int:
        return CONTESTANTS[self.contestant].workers

    def tensors(self) -> dict[str, Any]:
        """Read what `prepare` wrote: images, labels, first weights."""
        import torch

        return torch.load(prepared(self.workload, self.seed), weights_only=True)


def prepared(workload: str, seed: int) -> Path:
    return WORK / f"{workload}-{seed}.pt"


def real_data() -> Path | None:
    """Return the folder of photographs and ImageNet weights; what is in it does not come with the course."""
    named = os.environ.get("TLCOURSE_REAL_DATA")
    return Path(named) if named else None


PHOTO_MODEL = WORK / "groceries"  # a classifier that `tlcourse finetune` made, to predict with
NEED_PHOTOS = ("probe", "photos", "photo answers")
