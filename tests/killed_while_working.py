"""Fine-tunes and saves classifiers, and is killed at random moments; says what lay on disk after each.

    python tests/photos/killed_while_working.py FOLDER MOMENTS

A process that was killed by signal 9 cleans nothing up. After it, a training goes on from its checkpoint to the same
bits as one that was never stopped, and a classifier is the older one or the newer one, whole. The next write deletes
what was left half-written. Ends with status 0 then.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tlcourse.photos.classifier import load_classifier, save_classifier
from tlcourse.photos.networks import COURSE_PREPROCESSING, photo_network
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.loop import fit

X, Y = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


def train(checkpoint):
    """Train for three epochs, each of which ends with a checkpoint; return the weights."""
    model = photo_network("small_cnn", 3, None).model
    fit(model, [(X, Y)], epochs=3, checkpoint=checkpoint, device="cpu", progress=False)
    return copy_weights(model)


def save(folder, temperature):
    model = photo_network("small_cnn", 3, None).model
    options = {"backbone": "small_cnn", "classes": "abc", "preprocessing": COURSE_PREPROCESSING}
    save_classifier(folder, model, temperature=temperature, **options)


def killed(work, seconds):
    """Do some work in a process of its own, and kill that after so many seconds; say whether it was still at it."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def save_often(folder):
    for temperature in range(1, 1000):
        save(folder, float(temperature))


def main(folder, moments):
    torch.set_num_threads(1)
    begin = time.perf_counter()
    whole = train(None)
    length, stopped, going_on = time.perf_counter() - begin, 0, 0
    for moment in range(moments):
        checkpoint, model = folder / f"{moment}.pth", folder / f"model{moment}"
        stopped += killed(lambda path=checkpoint: train(path), random.Random(moment).uniform(0, 1.5 * length))
        going_on += checkpoint.exists()
        again = train(checkpoint)
        assert all(torch.equal(whole[name], again[name]) for name in whole), f"another training at moment {moment}"
        save(model, 0.5)
        stopped += killed(lambda path=model: save_often(path), random.Random(-moment).uniform(0, length))
        assert load_classifier(model).temperature in (0.5, *map(float, range(1, 1000)))
        save(model, 0.5)
    assert not list(folder.glob(".*")), "the next write deletes what a killed one left"
    print(f"{stopped} of {2 * moments} were stopped, {going_on} went on from a checkpoint, and all was whole")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
