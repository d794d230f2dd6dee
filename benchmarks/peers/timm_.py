"""timm as its training script has it: its loader, which normalises whole batches of bytes, and its optimiser."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.data import ToNumpy, create_loader
from timm.optim import create_optimizer_v2
from torchvision import transforms

from benchmarks.peers.clock import Clock
from benchmarks.peers.network import network
from benchmarks.peers.tutorial import PilImages, varied
from benchmarks.peers.workloads import Job


class Repeated(PilImages):
    """As many images as the updates need, so that one epoch is the whole training."""

    wanted = 0

    def __len__(self) -> int:
        return self.wanted

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return super().__getitem__(index % len(self.images))


def train(job: Job) -> dict[str, Any]:
    given, clock, settings = job.tensors(), Clock(job), job.settings
    torch.manual_seed(job.seed)
    data = Repeated(given["images"], given["labels"], None)
    data.wanted = settings.updates * settings.batch
    model = network(settings.classes, given["weights"], job.device)
    clock.start(given["test_images"], given["test_labels"])
    device = torch.device(job.device)
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    loader = create_loader(
        data, (3, 32, 32), settings.batch, is_training=True, num_workers=job.workers, device=device, **half
    )
    data.transform = transforms.Compose([*varied(settings.light), ToNumpy()])  # the same strength as for the others
    optimizer = create_optimizer_v2(model, opt="adamw", lr=settings.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=settings.updates, cycle_momentum=False
    )
    model.train()
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        clock.update(model)
    clock.stop()
    return clock.result()
