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
PHOTO_MODEL = WORK / "groceries"  # a classifier that `tlcourse finetune` made, to predict with
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
    note: str = ""  # what the title does not say


CLIENTS, ROUNDS, LOCAL_EPOCHS = 10, 3, 2  # of the federation
RUNS, RUN_UPDATES = 20, 20  # of the sweep
LABELS_PER_CLASS, HANDWRITTEN = 5, 906  # labels of a fine-tuning, and images of handwriting in all
GROCERIES = (296, 250)  # photographs to train on, and to test on
PLAIN = (COURSE, "tutorial", "expert")
LOADED = (COURSE, "tutorial, 2 workers")
WORKLOADS = {
    "few": Workload(
        "fine-tune on 50 labels",
        "train",
        tuple(CONTESTANTS),
        images=100 * 50,
        updates=100,
        batch=50,
        target=80.0,
        note="digits over a photograph, 5 a class, from the network that knows letters, by the course's default recipe",
    ),
    "scratch": Workload(
        "train from scratch on 10,000 letters",
        "train",
        tuple(CONTESTANTS),
        images=300 * 128,
        classes=35,
        updates=300,
        batch=128,
        light=0.5,
        target=85.0,
        note="batch and augmentation of the course's pretraining, optimiser and schedule of its recipes",
    ),
    "probe": Workload(
        f"probe, {GROCERIES[0]} photographs",
        "probe",
        (*LOADED, "fastai"),
        images=sum(GROCERIES),
        compared=TO,
        note="MobileNetV2 at 224 pixels on ten groceries, tested on 250 more: `tlcourse finetune --probe-only`, a "
        "script with scikit-learn's LogisticRegression, and 5 epochs of fastai's vision_learner, its body frozen",
    ),
    "photos": Workload(
        f"fine-tune all, {GROCERIES[0]} photographs",
        "finetune",
        (*LOADED, "fastai"),
        images=2 * GROCERIES[0],
        compared=TO,
        note="2 epochs of the whole network in batches of 16, each with its own recipe, the course's with its probe "
        "and its report",
    ),
    "answers": Workload(
        "predict 10,000 images",
        "predict",
        (COURSE, "tutorial", "tutorial, 2 workers", "expert"),
        images=10_000,
        classes=35,
    ),
    "photo answers": Workload(
        f"predict {GROCERIES[1]} photographs",
        "predict_photos",
        LOADED,
        images=GROCERIES[1],
        compared=TO,
        note="`tlcourse predict` and a script, with the same classifier",
    ),
    "federated": Workload(
        f"{ROUNDS} federated rounds, {CLIENTS} clients",
        "federated",
        PLAIN,
        images=ROUNDS * LOCAL_EPOCHS * HANDWRITTEN,
        batch=25,
        lr=0.1,
        note=f"FedAvg, {LOCAL_EPOCHS} epochs of plain SGD at home in batches of 25; Flower, which notebook 08 uses, "
        "needs other versions of packages than the rest",
    ),
    "sweep": Workload(
        f"{RUNS} fine-tunings on 50 labels",
        "sweep",
        PLAIN,
        images=RUNS * RUN_UPDATES * 50,
        updates=RUN_UPDATES,
        batch=50,
        note="one seed each, its test included; the course does several at a time with `tl.grid`",
    ),
}
NEED_PHOTOS = ("probe", "photos", "photo answers")


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
