"""Two tiny domains and a network for them: the class is a colour, and the target is darker and noisier."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe

COLOURS = ("red", "green", "blue")
FEW = Recipe(epochs=1, steps=4, batch=8, augment=None)


class TinyNetwork(nn.Module):
    """One convolution with batch normalisation, and a head: what adaptation needs of a network, and no more."""

    head_name = "head"
    num_features = 6

    def __init__(self, classes=3):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, classes)

    def forward_features(self, x):
        return F.relu(self.norm(self.conv(x))).mean((2, 3))

    def forward(self, x):
        return self.head(self.forward_features(x))


def network(seed=0, classes=3):
    with seeded("tiny network", seed):
        return TinyNetwork(classes)


def coloured(name, count, bright, noise, seed=0):
    draws = generator(name, seed)
    labels = torch.arange(count) % len(COLOURS)
    images = noise * torch.rand(count, 3, 6, 6, generator=draws)
    images[torch.arange(count), labels] += bright
    return ImageSet(images.to(torch.uint8), labels, COLOURS, name=name)


def source(count=24, seed=0):
    return coloured("source", count, bright=150, noise=60, seed=seed)


def target(count=30, seed=0):
    return coloured("target", count, bright=70, noise=120, seed=seed)
