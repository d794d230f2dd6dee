"""Per-channel mean and standard deviation, whole or in a stream, and what normalising by them does."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and spread of every colour channel, of pixels from 0 to 1.

    Attributes:
        mean: float64 `[3]`.
        std: standard deviation (dividing by the number of pixels), float64 `[3]`.
        pixels: how many pixels a channel they were computed from.
    """

    mean: torch.Tensor
    std: torch.Tensor
    pixels: int

    def __str__(self) -> str:
        """Show both with three decimals."""
        mean, std = (", ".join(f"{value:.3f}" for value in values.tolist()) for values in (self.mean, self.std))
        return f"mean ({mean}), std ({std})"


# What `tlcourse.scale` does, and what the course's networks were trained with: 0..255 becomes -1..1.
HALF = ChannelStatistics(torch.full((3,), 0.5, dtype=torch.float64), torch.full((3,), 0.5, dtype=torch.float64), 0)


def channel_statistics(images: torch.Tensor) -> ChannelStatistics:
    """Compute mean and standard deviation of every channel over all images and places.

    Args:
        images: uint8 `[N, 3, H, W]`.

    Returns:
        The statistics of `images / 255`.

    Raises:
        TypeError: the images are not bytes.
        ValueError: there are no images.
    """
    return streamed_statistics([images])


def streamed_statistics(batches: Iterable[torch.Tensor]) -> ChannelStatistics:
    """Compute the same from batches of any sizes, none of which need be in memory together.

    The mean of the batches' standard deviations would be too small, since it misses how the batches differ. What can be
    merged are counts, means and sums of squared deviations.

    Args:
        batches: uint8 images `[B, 3, H, W]`, one batch after the other.

    Returns:
        The statistics of all images divided by 255.

    Raises:
        TypeError: the images are not bytes.
        ValueError: there are no images.

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
    """Divide by 255, take away the mean, divide by the standard deviation, channel by channel.

    Args:
        images: uint8 `[N, 3, H, W]`.
        statistics: what to normalise by, as a rule that of the data the network was trained on.

    Returns:
        float32 `[N, 3, H, W]`, on the same device.

    Raises:
        TypeError: the images are not bytes.
        ValueError: a standard deviation is not above 0: that channel is the same everywhere.
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
    """Turn what a network gets back into bytes that can be looked at.

    Args:
        x: float `[N, 3, H, W]`.
        statistics: what it was normalised by; by default that of the course's networks.

    Returns:
        uint8 `[N, 3, H, W]`; values outside 0 to 255 are cut off.
    """
    mean, std = (v.to(x.device, torch.float32)[:, None, None] for v in (statistics.mean, statistics.std))
    return ((x * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def convert(x: torch.Tensor, before: ChannelStatistics, after: ChannelStatistics) -> torch.Tensor:
    """Turn images that were normalised in one way into the same images normalised in another.

    Args:
        x: float `[N, 3, H, W]`.
        before: what they were normalised by.
        after: what they shall be normalised by.

    Returns:
        float `[N, 3, H, W]`.
    """
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
