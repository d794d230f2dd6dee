"""PyTorch as its tutorials have it: a Dataset of PIL images, a DataLoader, torchvision's transforms, the plain loop."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from benchmarks.peers.clock import Clock, accuracy
from benchmarks.peers.network import network
from benchmarks.peers.workloads import LOCAL_EPOCHS, PHOTO_MODEL, ROUNDS, Job, real_data

PLAIN = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
PHOTO_BATCH = 16  # as the course's recipes for photographs


class PilImages(Dataset):
    """Images in memory as PIL images, which is kinder to the loader than files would be."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, transform: transforms.Compose) -> None:
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        self.labels, self.transform = labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def varied(light: float) -> list[nn.Module]:
    """Return the kinds and strengths of the course's augmentation that torchvision has; it bends nothing."""
    move = transforms.RandomAffine(10, translate=(0.08, 0.08), scale=(0.82, 1.22), shear=11)
    return [move, transforms.ColorJitter(brightness=light, contrast=light)]


def endless(data: Dataset, job: Job) -> DataLoader:
    """Return a loader of as many shuffled batches as there are updates, so that no epoch starts workers anew."""
    sampler = RandomSampler(data, num_samples=job.settings.updates * job.settings.batch)
    return DataLoader(data, job.settings.batch, sampler=sampler, num_workers=job.workers)


def one_cycle(model: nn.Module, updates: int, lr: float) -> tuple[torch.optim.Optimizer, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=updates, cycle_momentum=False)
    return optimizer, schedule


def train(job: Job) -> dict[str, Any]:
    given, clock = job.tensors(), Clock(job)
    torch.manual_seed(job.seed)
    data = PilImages(given["images"], given["labels"], transforms.Compose([*varied(job.settings.light), PLAIN]))
    model = network(job.settings.classes, given["weights"], job.device)
    clock.start(given["test_images"], given["test_labels"])
    learn(model, endless(data, job), job.settings.updates, job.settings.lr, clock)
    clock.stop()
    return clock.result()


def learn(model: nn.Module, loader: Iterable, updates: int, lr: float, clock: Clock | None = None) -> None:
    device = next(model.parameters()).device
    optimizer, schedule = one_cycle(model, updates, lr)
    model.train()
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        schedule.step()
        if clock is not None:
            clock.update(model)


def predict(job: Job) -> dict[str, Any]:
    given, clock = job.tensors(), Clock(job)
    data = PilImages(given["test_images"], given["test_labels"], PLAIN)
    model = network(job.settings.classes, given["weights"], job.device)
    clock.start()
    hits = right(model, DataLoader(data, 64, num_workers=job.workers))
    clock.stop()
    return clock.result(100 * hits / len(data))


def right(model: nn.Module, loader: DataLoader) -> int:
    device, hits = next(model.parameters()).device, 0
    model.eval()
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
    return hits


def federated(job: Job) -> dict[str, Any]:
    """Federated averaging as one writes it by hand: a copy of the network a client, then the mean of the weights."""
    given, clock = job.tensors(), Clock(job)
    torch.manual_seed(job.seed)
    look = transforms.Compose([*varied(job.settings.light), PLAIN])
    clients = [PilImages(client["images"], client["labels"], look) for client in given["clients"]]
    model = network(job.settings.classes, given["weights"], job.device)
    clock.start()
    for _ in range(ROUNDS):
        states = [at_home(model, client, job) for client in clients]
        model.load_state_dict(mean(states, [len(client) for client in clients]))
    clock.stop()
    return clock.result(accuracy(model, *tested(given)))


def at_home(model: nn.Module, data: PilImages, job: Job) -> dict[str, torch.Tensor]:
    local = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(local.parameters(), lr=job.settings.lr)
    for _ in range(LOCAL_EPOCHS):
        for x, y in DataLoader(data, job.settings.batch, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(local(x.to(job.device)), y.to(job.device)).backward()
            optimizer.step()
    return local.state_dict()


def mean(states: list[dict[str, torch.Tensor]], counts: list[int]) -> dict[str, torch.Tensor]:
    whole = sum(counts)
    return {key: sum(n / whole * state[key] for n, state in zip(counts, states, strict=True)) for key in states[0]}


def tested(given: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return given["test_images"].float().div(127.5).sub(1), given["test_labels"]


def sweep(job: Job) -> dict[str, Any]:
    given, clock, percent = job.tensors(), Clock(job), []
    torch.manual_seed(job.seed)
    look = transforms.Compose([*varied(job.settings.light), PLAIN])
    test = PilImages(given["test_images"], given["test_labels"], PLAIN)
    clock.start()
    for run in given["runs"]:
        data = PilImages(run.pop("images"), run.pop("labels"), look)
        model = network(job.settings.classes, given["weights"] | run, job.device)
        learn(model, endless(data, job), job.settings.updates, job.settings.lr)
        percent.append(100 * right(model, DataLoader(test, 64)) / len(test))
    clock.stop()
    return clock.result(sum(percent) / len(percent))


def probe(job: Job) -> dict[str, Any]:
    """Features of the frozen network, and scikit-learn's logistic regression on all photographs."""
    clock = Clock(job)
    clock.start()
    net = imagenet(job.device)
    net.classifier = nn.Identity()
    (x, y), (x_test, y_test) = (features(net, real_data() / "groceries" / part, job) for part in ("train", "test"))
    head = LogisticRegression(max_iter=5000).fit(x, y)
    percent = 100 * head.score(x_test, y_test)
    clock.stop()
    return clock.result(percent)


def imagenet(device: str) -> nn.Module:
    net = mobilenet_v2()
    net.load_state_dict(torch.load(real_data() / "imagenet_weights" / "mobilenet_v2.pth", weights_only=True))
    return net.eval().to(device)


@torch.no_grad()
def features(net: nn.Module, folder: Path, job: Job) -> list[torch.Tensor]:
    photos = ImageFolder(folder, MobileNet_V2_Weights.DEFAULT.transforms())
    pairs = [(net(x.to(job.device)).cpu(), y) for x, y in DataLoader(photos, 32, num_workers=job.workers)]
    return [torch.cat(part) for part in zip(*pairs, strict=True)]


def finetune(job: Job) -> dict[str, Any]:
    """The tutorial of transfer learning: a fresh head, and all weights move; two epochs."""
    clock, groceries = Clock(job), real_data() / "groceries"
    torch.manual_seed(job.seed)
    clock.start()
    net = imagenet(job.device)
    net.classifier[1] = nn.Linear(net.last_channel, job.settings.classes).to(job.device)
    normal = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    crop = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(), normal]
    loader = DataLoader(
        ImageFolder(groceries / "train", transforms.Compose(crop)),
        batch_size=PHOTO_BATCH,
        shuffle=True,
        num_workers=job.workers,
    )
    learn(net, _twice(loader), 2 * len(loader), 1e-3)
    test = ImageFolder(groceries / "test", MobileNet_V2_Weights.DEFAULT.transforms())
    percent = 100 * right(net, DataLoader(test, PHOTO_BATCH, num_workers=job.workers)) / len(test)
    clock.stop()
    return clock.result(percent)


def _twice(loader: DataLoader) -> Iterable:
    for _ in range(2):
        yield from loader


def predict_photos(job: Job) -> dict[str, Any]:
    """A script that reads weights and asks about a folder."""
    from safetensors.torch import load_file

    clock = Clock(job)
    clock.start()
    net = mobilenet_v2(num_classes=job.settings.classes)
    saved = load_file(next(PHOTO_MODEL.glob("*.safetensors")))
    names = {"head": "classifier.1", "body.": ""}
    net.load_state_dict({_renamed(key, names): value for key, value in saved.items()})
    test = ImageFolder(real_data() / "groceries" / "test", MobileNet_V2_Weights.IMAGENET1K_V1.transforms())
    percent = 100 * right(net.to(job.device), DataLoader(test, 32, num_workers=job.workers)) / len(test)
    clock.stop()
    return clock.result(percent)


def _renamed(key: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if key.startswith(old):
            return new + key[len(old) :]
    return key
