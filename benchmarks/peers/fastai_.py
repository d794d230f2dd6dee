"""fastai as its documentation has it: a DataBlock, aug_transforms on batches, a Learner and fit_one_cycle."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.vision.all import (
    CategoryBlock,
    CrossEntropyLossFlat,
    DataBlock,
    ImageBlock,
    ImageDataLoaders,
    IndexSplitter,
    Learner,
    Normalize,
    OptimWrapper,
    Resize,
    accuracy,
    aug_transforms,
    imagenet_stats,
    vision_learner,
)
from fastai.vision.learner import default_split, model_meta
from torchvision.models import mobilenet_v2

from benchmarks.peers.clock import Clock
from benchmarks.peers.network import network
from benchmarks.peers.workloads import Job, real_data

ADAMW = partial(OptimWrapper, opt=torch.optim.AdamW)
PROBE_EPOCHS = 5  # with the body frozen
SAME = (0.9, 0.9, 0.9)  # momentum, which fit_one_cycle would vary


class Watch(Callback):
    """Tells the clock of every update."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def after_batch(self) -> None:
        if self.training:
            self.clock.update(self.learn.model)


def train(job: Job) -> dict[str, Any]:
    given, clock, settings = job.tensors(), Clock(job), job.settings
    torch.manual_seed(job.seed)
    images = given["images"].permute(0, 2, 3, 1).contiguous().numpy()
    labels = given["labels"].tolist()
    wanted = settings.updates * settings.batch
    items = torch.cat([torch.randperm(len(images)) for _ in range(-(-wanted // len(images)))])[:wanted].tolist()
    model = network(settings.classes, given["weights"], job.device)
    clock.start(given["test_images"], given["test_labels"])
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=list(range(settings.classes)))),
        get_x=lambda i: images[i],
        get_y=lambda i: labels[i],
        splitter=IndexSplitter([]),
        batch_tfms=[
            *aug_transforms(
                **{"do_flip": False, "max_rotate": 10.0, "min_zoom": 0.82, "max_zoom": 1.22, "max_warp": 0.2},
                max_lighting=settings.light,
            ),
            Normalize.from_stats([0.5] * 3, [0.5] * 3),
        ],
    )
    dls = block.dataloaders(items, bs=settings.batch, num_workers=job.workers, device=torch.device(job.device))
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), opt_func=ADAMW, cbs=Watch(clock))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, settings.lr, div_final=250_000, pct_start=0.3, wd=0.01, moms=SAME)
    clock.stop()
    return clock.result()


def probe(job: Job) -> dict[str, Any]:
    return _photos(job, lambda learn: learn.fit_one_cycle(PROBE_EPOCHS, 3e-3))


def finetune(job: Job) -> dict[str, Any]:
    def all_of_it(learn: Learner) -> None:
        learn.unfreeze()
        learn.fit_one_cycle(2, 1e-3)

    return _photos(job, all_of_it)


def imagenet(pretrained: bool = True) -> torch.nn.Module:
    """The architecture as `vision_learner` asks for it, with weights from a file instead of a download."""
    net = mobilenet_v2()
    net.load_state_dict(torch.load(real_data() / "imagenet_weights" / "mobilenet_v2.pth", weights_only=True))
    return net


# what vision_learner must know of an architecture that fastai does not: where its head begins, and how it is normalised
model_meta[imagenet] = {"cut": -1, "split": default_split, "stats": imagenet_stats}


def _photos(job: Job, teach: Any) -> dict[str, Any]:
    clock = Clock(job)
    torch.manual_seed(job.seed)
    clock.start()
    dls = ImageDataLoaders.from_folder(
        Path(real_data()) / "groceries",
        train="train",
        valid="test",
        item_tfms=Resize(224),
        batch_tfms=aug_transforms(),
        bs=16,
        device=torch.device(job.device),
    )
    learn = vision_learner(dls, imagenet, metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        teach(learn)
        percent = 100 * float(learn.recorder.values[-1][-1])
    clock.stop()
    return clock.result(percent)
