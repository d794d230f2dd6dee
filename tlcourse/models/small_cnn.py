"""The classic beginner's network: two convolutions and two linear layers."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.transfer.heads import check_input


class SmallCNN(nn.Module):
    """Two 3x3 convolutions with pooling, then two linear layers; 32x32 images only.

    The layers are called `conv1`, `conv2`, `fc1` and `fc2`, so that a `pretrained_model.pth` of this network loads by
    name.
    """

    head_name = "fc2"
    num_features = 128

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc1 = nn.Linear(64 * 8 * 8, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, 32, 32]`, into features `[B, 128]`: all of the network but its head."""
        check_input(x, "SmallCNN", size=32)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # [B, 32, 16, 16]
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # [B, 64, 8, 8]
        return F.relu(self.fc1(x.flatten(1)))  # [B, 128]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, 32, 32]`, into logits `[B, classes]`."""
        return self.fc2(self.forward_features(x))

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts of the backbone in order, from pixels to features, for freezing and for layer-wise rates."""
        return {"conv1": self.conv1, "conv2": self.conv2, "fc1": self.fc1}
