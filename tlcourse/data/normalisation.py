"""Per-channel mean and standard deviation, whole or in a stream, and what normalising by them does."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of every colour channel, of pixels from 0 to 1."""

    mean: torch.Tensor  # float64 [3]
    std: torch.Tensor  # dividing by the number of pixels, float64 [3]
    pixels: int  # how many a channel they were computed from

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:.3f}" for value in values.tolist()) for values in (self.mean, self.std))
        return f"mean ({mean}), std ({std})"


# What `tlcourse.scale` does, and what the course's networks were trained with: 0..255 becomes -1..1.
HALF = ChannelStatistics(torch.full((3,), 0.5, dtype=torch.float64), torch.full((3,), 0.5, dtype=torch.float64), 0)


def scale(images: torch.Tensor) -> torch.Tensor:
    """Turn bytes, uint8 `[B, 3, H, W]`, into what the course's networks were trained on: float32 from -1 to 1.

    This is `Normalize(0.5, 0.5)` of the classic recipes: divide by 255, subtract 0.5, divide by 0.5.
    """
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def channel_statistics(images: torch.Tensor) -> ChannelStatistics:
    """Compute mean and standard deviation of every channel of `images / 255`, uint8 `[N, 3, H, W]`."""
    return streamed_statistics([images])


def streamed_statistics(batches: Iterable[torch.Tensor]) -> ChannelStatistics:
    """Compute the same from batches, uint8 `[B, 3, H, W]`, none of which need be in memory together.

    The mean of the batches' standard deviations would be too small, since it misses how the batches differ. What can be
    merged are counts, means and sums of squared deviations.

    Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance: Analysis and recommendations", 1983,
    The American Statistician.
    """
    count, mean, squares = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for images in batches:
        pixels = _as_columns(images)  # [3, B * H * W]
        n, own_mean = pixels.shape[1], pixels.mean(1)
        gap = own_mean - mean
        squares += ((pixels - own_mean[:, None]) ** 2).sum(1) + gap**2 * count * n / (count + n)
        mean = mean + gap * n / (count + n)
        count += n
    if count == 0:
        raise ValueError("there are no images to compute statistics of. Expected at least one.")
    return ChannelStatistics(mean, (squares / count).sqrt(), count)


def normalise(images: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    """Turn bytes, uint8 `[N, 3, H, W]`, into `(x / 255 - mean) / std`, float32 on the same device.

    As a rule the statistics are those of the data that the network was trained on. ValueError where a standard
    deviation is 0.
    """
    _check_bytes(images)
    mean, std = (v.to(images.device, torch.float32)[:, None, None] for v in (statistics.mean, statistics.std))
    if not bool((std > 0).all()):
        raise ValueError(
            f"the standard deviations are {statistics.std.tolist()}, but numbers above 0 were expected. "
            "A channel with the same value everywhere says nothing; take the statistics of more images."
        )
    return (images.to(torch.float32) / 255 - mean) / std


def denormalise(x: torch.Tensor, statistics: ChannelStatistics = HALF) -> torch.Tensor:
    """Turn a network's input, float `[N, 3, H, W]`, back into bytes to look at; values outside 0 to 255 are cut off."""
    mean, std = (v.to(x.device, torch.float32)[:, None, None] for v in (statistics.mean, statistics.std))
    return ((x * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def convert(x: torch.Tensor, before: ChannelStatistics, after: ChannelStatistics) -> torch.Tensor:
    """Turn images normalised by `before`, float `[N, 3, H, W]`, into the same images normalised by `after`."""
    factor, shift = before.std / after.std, (before.mean - after.mean) / after.std
    factor, shift = (v.to(x.device, x.dtype)[:, None, None] for v in (factor, shift))
    return x * factor + shift


def _as_columns(images: torch.Tensor) -> torch.Tensor:
    """Turn bytes `[B, 3, H, W]` into one row of numbers from 0 to 1 a channel, float64 `[3, B * H * W]`."""
    _check_bytes(images)
    if images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise ValueError(
            f"images have shape {list(images.shape)}, but [B, 3, H, W] with at least one image was expected."
        )
    return images.transpose(0, 1).flatten(1).to(torch.float64) / 255


def _check_bytes(images: torch.Tensor) -> None:
    if images.dtype != torch.uint8:
        raise TypeError(
            f"images are {images.dtype}, but bytes from 0 to 255 (uint8) were expected. Were they normalised already? "
            "Normalising twice is a common mistake."
        )
