"""What all contestants of a workload share, made once: images on disk, first weights, a classifier to predict with.

    python -m benchmarks.peers.prepare WORKLOAD... --seeds N

The course makes both, as a learner does; its peers read them from files, since importing the course changes settings of
PyTorch that they shall not profit from, or suffer.
"""

import argparse
import shutil
import subprocess
import sys

import torch

import tlcourse as tl
from benchmarks.peers.workloads import (
    CLIENTS,
    LABELS_PER_CLASS,
    PHOTO_MODEL,
    ROOT,
    RUNS,
    WORK,
    WORKLOADS,
    prepared,
    real_data,
)
from tlcourse.federated.clients import by_label
from tlcourse.training.pretrain import RECIPE

HELD_OUT = {"scratch": 1_000, "answers": 10_000}  # images of printed letters; of handwriting all there are


def labelled(workload: str, seed: int) -> tl.ImageSet:
    """Return the images to learn from."""
    if workload == "scratch":
        return tl.load("printed-photo", "letters", count=10_000)
    pool = tl.load("handwritten-photo")
    return pool.few(LABELS_PER_CLASS, seed) if workload == "few" else pool


def held_out(workload: str) -> tl.ImageSet:
    """Return the images to ask about."""
    if workload in HELD_OUT:
        return tl.load("printed-photo", "letters", "test", count=HELD_OUT[workload])
    return tl.load("handwritten-photo", split="test")


def starting(workload: str, seed: int) -> torch.nn.Module:
    """Return the network to begin with: random, pretrained on letters, or that with a fresh head for digits."""
    with tl.seeded("benchmark", seed):
        if workload == "scratch":
            return tl.TinyResNet(WORKLOADS[workload].classes)
        model = tl.pretrained("tiny_resnet", "letters")
        if workload != "answers":
            tl.reset_classifier(model, WORKLOADS[workload].classes)
    return model


def scratch_recipe() -> tl.Recipe:
    """Return `tl.train`'s recipe with batches and augmentation of the course's pretraining, for 300 updates."""
    return tl.Recipe(epochs=6, steps=50, batch=RECIPE.batch, augment=RECIPE.augment)


def write(workload: str, seed: int) -> None:
    """Write a workload's tensors for one seed."""
    test, model = held_out(workload), starting(workload, seed)
    parts = {"test_images": test.images, "test_labels": test.labels, "weights": model.state_dict()}
    if workload != "answers":
        data = labelled(workload, seed)
        parts |= {"images": data.images, "labels": data.labels}
    if workload == "federated":
        clients = by_label(data, CLIENTS, float("inf"), seed=seed)
        parts["clients"] = [{"images": client.data.images, "labels": client.data.labels} for client in clients]
    if workload == "sweep":
        parts["runs"] = [_run(data, number) for number in range(RUNS * seed, RUNS * (seed + 1))]
    torch.save(parts, prepared(workload, seed))


def _run(pool: tl.ImageSet, seed: int) -> dict[str, torch.Tensor]:
    """Return one run of the sweep: its labelled images, and a fresh head."""
    few, head = pool.few(LABELS_PER_CLASS, seed), starting("sweep", seed).head
    fresh = {f"head.{name}": value for name, value in head.state_dict().items()}
    return {"images": few.images, "labels": few.labels} | fresh


def write_classifier() -> None:
    """Let the command make a classifier of groceries, and keep its weights as a plain script would have them."""
    shutil.rmtree(PHOTO_MODEL, ignore_errors=True)
    groceries = real_data() / "groceries"
    words = ["finetune", groceries / "train", "--test", groceries / "test", "--probe-only", "--out", PHOTO_MODEL]
    words += ["--weights", real_data() / "imagenet_weights" / "mobilenet_v2.pth", "--device", "cpu"]
    subprocess.run(
        [sys.executable, "-m", "tlcourse", *map(str, words)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what the contestants of some workloads share.")
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    for workload in options.workloads:
        if workload == "photo answers":
            write_classifier()
        elif workload not in ("probe", "photos"):
            for seed in range(options.seeds):
                write(workload, seed)


if __name__ == "__main__":
    main()
