"""A small residual network with batch normalisation, quick enough to train on two cores."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.transfer.heads import check_input


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to what came in; a stride of 2 halves the resolution."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        # the way around: same stride, and a 1x1 convolution because the number of channels changes
        self.shortcut_conv = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn `[B, in, H, W]` into `[B, out, H / stride, W / stride]`."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut_bn(self.shortcut_conv(x)))


class TinyResNet(nn.Module):
    """A stem and four residual blocks, 309,000 weights and 4.1 million multiply-adds a 32x32 image.

    Source: He et al., "Deep residual learning for image recognition", 2016, CVPR.
    """

    head_name = "head"
    sizes = (16, 16, 32, 64, 128)  # channels of the stem and the four blocks

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        stem, one, two, three, four = self.sizes
        self.num_features = four
        # halving the resolution at once saves the largest maps, which cost the most time and add the least
        conv = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(stem), nn.ReLU())
        self.block1 = ResidualBlock(stem, one, stride=1)
        self.block2 = ResidualBlock(one, two)
        self.block3 = ResidualBlock(two, three)
        self.block4 = ResidualBlock(three, four)
        self.head = nn.Linear(four, classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, H, W]`, into features `[B, num_features]`: all of the network but its head."""
        check_input(x, "TinyResNet")
        x = self.stem(x)  # [B, 16, 16, 16]
        x = self.block1(x)  # [B, 16, 16, 16]
        x = self.block2(x)  # [B, 32, 8, 8]
        x = self.block3(x)  # [B, 64, 4, 4]
        x = self.block4(x)  # [B, 128, 2, 2]
        return x.mean((2, 3))  # the average over all places

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, H, W]`, into logits `[B, classes]`."""
        return self.head(self.forward_features(x))

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts of the backbone in order, from pixels to features, for freezing and for layer-wise rates."""
        return {name: getattr(self, name) for name in ("stem", "block1", "block2", "block3", "block4")}


class NarrowResNet(TinyResNet):
    """A `TinyResNet` of about half the channels: a quarter of its multiply-adds, for the student of a distillation."""

    sizes = (8, 8, 16, 32, 56)  # multiples of 8, which processors like; with 64 at the end it would be over a quarter
