"""What a careful user of PyTorch writes by hand: batches of tensors in memory, transforms.v2 on whole batches.

transforms.v2 draws once for a batch, so that all its images are moved alike: less variation than the others have.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import v2

from benchmarks.peers.clock import Clock
from benchmarks.peers.network import network
from benchmarks.peers.workloads import LOCAL_EPOCHS, ROUNDS, Job

NORMAL = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])


def varied(light: float) -> v2.Compose:
    move = v2.RandomAffine(10, translate=(0.08, 0.08), scale=(0.82, 1.22), shear=11)
    return v2.Compose([move, v2.ColorJitter(brightness=light, contrast=light), NORMAL])


def learn(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, job: Job, clock: Clock | None = None) -> None:
    settings, look = job.settings, varied(job.settings.light)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=settings.updates, cycle_momentum=False
    )
    wanted = settings.updates * settings.batch
    order = torch.cat([torch.randperm(len(images)) for _ in range(-(-wanted // len(images)))])[:wanted]
    model.train()
    for rows in order.to(images.device).split(settings.batch):
        x = look(images[rows]).to(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        with sixteen_bits(job):
            loss = F.cross_entropy(model(x), labels[rows])
        loss.backward()
        optimizer.step()
        schedule.step()
        if clock is not None:
            clock.update(model)


def sixteen_bits(job: Job) -> torch.autocast:
    """Compute in bfloat16 on a GPU, as one does there."""
    return torch.autocast(job.device, torch.bfloat16, enabled=job.device == "cuda")


def train(job: Job) -> dict[str, Any]:
    given, clock = job.tensors(), Clock(job)
    torch.manual_seed(job.seed)
    model = fast(job, given["weights"])
    clock.start(given["test_images"], given["test_labels"])
    learn(model, given["images"].to(job.device), given["labels"].to(job.device), job, clock)
    clock.stop()
    return clock.result()


def fast(job: Job, weights: dict[str, torch.Tensor]) -> nn.Module:
    return network(job.settings.classes, weights, job.device).to(memory_format=torch.channels_last)


@torch.inference_mode()
def answers(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    model.eval()
    device = next(model.parameters()).device
    batches = (NORMAL(x.to(device)).to(memory_format=torch.channels_last) for x in images.split(500))
    return torch.cat([model(x).argmax(1).cpu() for x in batches])


def predict(job: Job) -> dict[str, Any]:
    given, clock = job.tensors(), Clock(job)
    model = fast(job, given["weights"])
    clock.start()
    found = answers(model, given["test_images"])
    clock.stop()
    return clock.result(percent(found, given))


def percent(found: torch.Tensor, given: dict[str, Any]) -> float:
    return 100 * (found == given["test_labels"]).float().mean().item()


def federated(job: Job) -> dict[str, Any]:
    given, clock, look = job.tensors(), Clock(job), varied(job.settings.light)
    torch.manual_seed(job.seed)
    counts = torch.tensor([len(client["labels"]) for client in given["clients"]])
    model = fast(job, given["weights"])
    shared = model.state_dict()
    clock.start()
    for _ in range(ROUNDS):
        states = [at_home(model, shared, client, job, look) for client in given["clients"]]
        shares = counts / counts.sum()
        shared = {key: sum(share * state[key] for share, state in zip(shares, states, strict=True)) for key in shared}
    clock.stop()
    model.load_state_dict(shared)
    return clock.result(percent(answers(model, given["test_images"]), given))


def at_home(
    model: nn.Module, shared: dict[str, torch.Tensor], client: dict[str, torch.Tensor], job: Job, look: v2.Compose
) -> dict[str, torch.Tensor]:
    model.load_state_dict(shared)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=job.settings.lr)
    images, labels = client["images"].to(job.device), client["labels"].to(job.device)
    for _ in range(LOCAL_EPOCHS):
        for rows in torch.randperm(len(images), device=images.device).split(job.settings.batch):
            optimizer.zero_grad(set_to_none=True)
            x = look(images[rows]).to(memory_format=torch.channels_last)
            with sixteen_bits(job):
                loss = F.cross_entropy(model(x), labels[rows])
            loss.backward()
            optimizer.step()
    return {key: value.clone() for key, value in model.state_dict().items()}


def sweep(job: Job) -> dict[str, Any]:
    given, clock, found = job.tensors(), Clock(job), []
    torch.manual_seed(job.seed)
    clock.start()
    for run in given["runs"]:
        images, labels = run.pop("images").to(job.device), run.pop("labels").to(job.device)
        model = fast(job, given["weights"] | run)
        learn(model, images, labels, job)
        found.append(percent(answers(model, given["test_images"]), given))
    clock.stop()
    return clock.result(sum(found) / len(found))
