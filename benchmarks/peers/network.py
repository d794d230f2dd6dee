"""The course's TinyResNet in plain PyTorch, so that its peers need not import the course; a test compares both."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Two convolutions and a way around."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut_conv = nn.Conv2d(before, after, 1, stride, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut_bn(self.shortcut_conv(x)))


class Network(nn.Module):
    """A stem, four blocks and a head, for images of 32x32 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block1, self.block2 = Block(16, 16, 1), Block(16, 32, 2)
        self.block3, self.block4 = Block(32, 64, 2), Block(64, 128, 2)
        self.head = nn.Linear(128, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block4(self.block3(self.block2(self.block1(self.stem(x)))))
        return self.head(x.mean((2, 3)))


def network(classes: int, weights: dict[str, torch.Tensor], device: str = "cpu") -> Network:
    """Return the network with these weights."""
    model = Network(classes)
    model.load_state_dict(weights)
    return model.to(device)
