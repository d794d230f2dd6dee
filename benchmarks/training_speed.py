"""The course's data path and training loop beside the usual ones, measured in one run.

    python benchmarks/training_speed.py

Close other programs first. Every comparison takes turns, and the median of the turns is shown.
"""

import statistics
import time
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import tlcourse as tl

IMAGES, BATCH, EPOCHS, RATE = 5_000, 128, 8, 0.1
# The same kinds of variation on both sides: turn, shift, zoom, shear, brightness and contrast.
AUGMENT = tl.Augment(degrees=10, shift=0.08, zoom=0.1, shear=0.1, bend=0, light=0.2)
TUTORIAL = transforms.Compose(
    [
        transforms.RandomAffine(10, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=6),
        transforms.ColorJitter(brightness=0.2, contrast=0.2),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
)


class PilImages(Dataset):
    """Images as the usual tutorials have them: PIL images, varied one by one."""

    def __init__(self, images: tl.ImageSet) -> None:
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images.images]
        self.labels = images.labels.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return TUTORIAL(self.images[index]), self.labels[index]


def seconds(work: Callable[[], object]) -> float:
    """Time one call, to the end of what a GPU still has to do."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def drain(batches: Iterable) -> None:
    for _ in batches:
        pass


def fresh(epochs: int) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    with tl.seeded("benchmark"):
        model = tl.TinyResNet(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    steps = epochs * -(-IMAGES // BATCH)
    return model, optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)


def tutorial_training(data: Dataset, device: torch.device) -> torch.nn.Module:
    """The loop of the usual tutorial."""
    model, optimizer, schedule = fresh(EPOCHS)
    model.to(device).train()
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=2)
    for _ in range(EPOCHS):
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
    return model


def course_training(images: tl.ImageSet) -> torch.nn.Module:
    model, optimizer, schedule = fresh(EPOCHS)
    batches = images.batches(BATCH, transform=AUGMENT)
    tl.fit(model, batches, epochs=EPOCHS, optimizer=optimizer, schedule=schedule, progress=False)
    return model


def compare_data_paths(images: tl.ImageSet, device: torch.device) -> None:
    ours = images.to(device).batches(BATCH, transform=AUGMENT)
    theirs = PilImages(images)
    rows = {"resident batches": [], "DataLoader, no workers": [], "DataLoader, 2 workers": []}
    for turn in range(4):
        times = (
            seconds(lambda: drain(ours)),
            seconds(lambda: drain(DataLoader(theirs, BATCH, shuffle=True))),
            seconds(lambda: drain(DataLoader(theirs, BATCH, shuffle=True, num_workers=2))),
        )
        if turn:  # the first turn warms up
            for row, value in zip(rows.values(), times, strict=True):
                row.append(value)
    base = statistics.median(rows["resident batches"])
    for name, values in rows.items():
        value = statistics.median(values)
        print(f"  {name:24s} {value:7.3f} s   {value / base:5.1f} x")


def compare_trainings(images: tl.ImageSet, device: torch.device) -> None:
    test = tl.load("printed-photo", "digits", "test", count=4000)
    results: dict[str, list[tuple[float, float]]] = {"course": [], "tutorial": []}
    data = PilImages(images)
    for _ in range(3):
        for name, work in (
            ("course", lambda: course_training(images.to(device))),
            ("tutorial", lambda: tutorial_training(data, device)),
        ):
            start = time.perf_counter()
            model = work()
            taken = time.perf_counter() - start
            results[name].append((taken, tl.accuracy(model, test)))
    base = statistics.median(taken for taken, _ in results["course"])
    for name, pairs in results.items():
        taken, percent = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"  {name:24s} {taken:7.2f} s   {taken / base:5.2f} x   {percent:.1f} % on held-out images")


def compare_loops(images: tl.ImageSet, device: torch.device) -> None:
    """`fit` against the same loop written bare: same batches, same layout, no history, no checks, no bar."""

    def bare() -> None:
        model, optimizer, schedule = fresh(2)
        model.to(device, memory_format=torch.channels_last).train()
        for _ in range(2):
            for x, y in images.to(device).batches(BATCH, transform=AUGMENT):
                x = x.to(memory_format=torch.channels_last)
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                schedule.step()

    def fitted() -> None:
        model, optimizer, schedule = fresh(2)
        batches = images.to(device).batches(BATCH, transform=AUGMENT)
        tl.fit(model, batches, epochs=2, optimizer=optimizer, schedule=schedule, mixed_precision=False)

    turns = [(seconds(bare), seconds(fitted)) for _ in range(9)][1:]
    medians = [statistics.median(column) for column in zip(*turns, strict=True)]
    ratios = sorted(b / a for a, b in turns)
    print(f"  bare loop {medians[0]:.3f} s, fit with its bar {medians[1]:.3f} s")
    print(f"  fit adds {100 * (statistics.median(ratios) - 1):+.1f} % (median of {len(ratios)} turns)")


def main() -> None:
    device = tl.pick_device()
    images = tl.load("printed-photo", "digits", count=IMAGES)
    print(tl.describe_machine(), end="\n\n")
    print(f"augmented batches of {IMAGES:,} images of 32x32, one epoch")
    compare_data_paths(images, device)
    print(f"training TinyResNet on {IMAGES:,} images for {EPOCHS} epochs")
    compare_trainings(images, device)
    print("the loop itself")
    compare_loops(images, device)


if __name__ == "__main__":
    main()
