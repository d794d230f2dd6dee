"""Where carried weights need surgery to fit: relatives of `TinyResNet`, and weights under other people's names."""

import torch
from torch import nn

from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import ResidualBlock, TinyResNet
from tlcourse.transfer.surgery import rename

# For a TinyResNet, the names that torchvision gives to the parts of its residual networks; for a SmallCNN, the places
# of its layers in an nn.Sequential, where ReLU, pooling and flattening have places too.
FOREIGN_NAMES = {
    "tiny_resnet": {
        "stem.0": "conv1",
        "stem.1": "bn1",
        "block1": "layer1",
        "block2": "layer2",
        "block3": "layer3",
        "block4": "layer4",
        "head": "fc",
    },
    "small_cnn": {"conv1": "0", "conv2": "3", "fc1": "7", "fc2": "9"},
}


class TinyResNetVariant(TinyResNet):
    """A `TinyResNet` with other input channels or `width` times as many channels in every layer."""

    def __init__(self, classes: int = 10, channels: int = 3, width: float = 1) -> None:
        if channels < 1 or width * TinyResNet.sizes[0] < 1:
            raise ValueError(
                f"got {channels} channels and width {width}. Expected at least 1 channel, and a width with which the "
                f"stem has one too: 1/{TinyResNet.sizes[0]} or more."
            )
        super().__init__(classes)
        sizes = [int(width * size) for size in TinyResNet.sizes]
        self.channels, self.num_features = channels, sizes[-1]
        conv = nn.Conv2d(channels, sizes[0], 3, stride=2, padding=1, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(sizes[0]), nn.ReLU())
        self.block1 = ResidualBlock(sizes[0], sizes[1], stride=1)
        self.block2 = ResidualBlock(sizes[1], sizes[2])
        self.block3 = ResidualBlock(sizes[2], sizes[3])
        self.block4 = ResidualBlock(sizes[3], sizes[4])
        self.head = nn.Linear(self.num_features, classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, channels, H, W]`, into features `[B, num_features]`."""
        if x.ndim != 4 or x.shape[1] != self.channels or not x.is_floating_point():
            raise ValueError(
                f"got {x.dtype} images of shape {list(x.shape)}, but floats [B, {self.channels}, H, W] were expected. "
                "Scale them with scale(images), then change the channels: mean(1, keepdim=True) makes colour grey."
            )
        for stage in self.stages().values():
            x = stage(x)
        return x.mean((2, 3))


def foreign_weights(network: str = "tiny_resnet") -> dict[str, torch.Tensor]:
    """Return pretrained weights (letters) as others might save them: names such as `module.layer1.conv1.weight`."""
    own = pretrained(network, "letters").state_dict()
    weights = rename(own, FOREIGN_NAMES[network])
    return {f"module.{name}": tensor for name, tensor in weights.items()}
