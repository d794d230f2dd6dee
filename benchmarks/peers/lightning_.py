"""Lightning as its documentation has it: a LightningModule, and a Trainer without logs, checkpoints or bars."""

import warnings
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import transforms

from benchmarks.peers.clock import Clock
from benchmarks.peers.network import network
from benchmarks.peers.tutorial import PLAIN, PilImages, endless, one_cycle, varied
from benchmarks.peers.workloads import Job

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


class Classifier(lightning.LightningModule):
    """A network, its loss and its optimiser."""

    def __init__(self, model: nn.Module, job: Job) -> None:
        super().__init__()
        self.model, self.job = model, job

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self.model(x), y)

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer, schedule = one_cycle(self.model, self.job.settings.updates, self.job.settings.lr)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Watch(lightning.Callback):
    """Tells the clock of every update."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, trainer: object, module: Classifier, *what: object) -> None:
        self.clock.update(module.model)


def train(job: Job) -> dict[str, Any]:
    given, clock = job.tensors(), Clock(job)
    lightning.seed_everything(job.seed, verbose=False)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")  # on two cores they make it slower
    data = PilImages(given["images"], given["labels"], transforms.Compose([*varied(job.settings.light), PLAIN]))
    module = Classifier(network(job.settings.classes, given["weights"]), job)
    clock.start(given["test_images"], given["test_labels"])
    trainer = lightning.Trainer(
        max_steps=job.settings.updates, accelerator=job.device, devices=1, callbacks=[Watch(clock)], **QUIET
    )
    trainer.fit(module, endless(data, job))
    clock.stop()
    return clock.result()
