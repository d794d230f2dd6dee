"""Features computed once: the head learns from them exactly what it would learn from images, many times sooner."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb10_efficiency.machine import threads
from tlcourse.lessons.nb10_efficiency.ways import PROBE, prepared
from tlcourse.repro import generator
from tlcourse.transfer.freezing import freeze, training_mode
from tlcourse.transfer.heads import get_classifier

BATCH, RATE = 50, 0.5


def draws(count: int, updates: int, seed: int = 0) -> torch.Tensor:
    """Choose the images of every update, int64 `[updates, 50]`: the same for whoever asks with the same seed."""
    return torch.randint(count, (updates, BATCH), generator=generator("head", seed))


def train_looping(model: nn.Module, data: ImageSet, updates: int) -> nn.Linear:
    """Train the head of a frozen network on images: every one goes through the whole network in every update."""
    freeze(model)
    training_mode(model)
    head, images = get_classifier(model), scale(data.images)
    optimizer = torch.optim.SGD(head.parameters(), lr=RATE)
    for chosen in draws(len(data), updates):
        loss = F.cross_entropy(model(images[chosen]), data.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head


def train_cached(model: nn.Module, data: ImageSet, updates: int) -> nn.Linear:
    """Do the same, with every image going through the network once."""
    return train_on(extract_features(model, data), data.labels, get_classifier(model), updates)


@torch.no_grad()
def train_on(features: torch.Tensor, labels: torch.Tensor, head: nn.Linear, updates: int) -> nn.Linear:
    """Train a head in place on features `[N, num_features]`, by the same updates, with the gradient by hand."""
    wanted = F.one_hot(labels, head.out_features).float()
    for chosen in draws(len(features), updates):
        x = features[chosen]  # [50, num_features]
        slope = (head(x).softmax(1) - wanted[chosen]) / BATCH  # of the loss by the logits, as in notebook 03
        head.weight -= RATE * slope.T @ x
        head.bias -= RATE * slope.sum(0)
    return head


def race(data: ImageSet, updates: int = 200, clock: Callable[[], float] = time.thread_time) -> "Race":
    """Train the head of the network that knows letters in both ways, and time both on one core."""
    heads, seconds, models = [], [], []
    for train in (train_looping, train_cached):
        model = prepared(PROBE, 0)
        with threads(1):
            started = clock()
            heads.append(train(model, data, updates))
            seconds.append(clock() - started)
        models.append(model)
    apart = (heads[0].weight - heads[1].weight).abs().max().item()
    return Race(*seconds, apart, *models)


@dataclass(frozen=True)
class Race:
    """What looping and caching took, and what came of it."""

    looping: float  # seconds
    cached: float
    apart: float  # the largest difference of two weights of the heads
    looped: nn.Module
    quick: nn.Module


@torch.no_grad()
def features_in_training_mode(model: nn.Module, data: ImageSet) -> torch.Tensor:
    """Compute features as it should not be done: batch normalisation looks at the batch, and its statistics drift."""
    model.train()
    return torch.cat([model.forward_features(scale(images)) for images in data.images.split(BATCH)])
