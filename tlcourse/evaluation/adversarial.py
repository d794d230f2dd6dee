"""The worst change of a few grey levels: images that a network's own gradient turns against it."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.predict import evaluation_mode
from tlcourse.repro import generator

STEPS = 10
AT_A_TIME = 256  # images that have a gradient together


def fgsm(model: nn.Module, data: ImageSet, levels: int) -> torch.Tensor:
    """Move every pixel by `levels` of 255 grey levels, up or down as raises the loss; return uint8 `[N, 3, H, W]`.

    One step of the fast gradient sign method: `x + levels * sign(gradient)`, cut off at 0 and 255. The network is
    asked in evaluation mode and stays as it is.

    Source: Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples", 2015, ICLR.
    """
    _check(levels)
    x = data.images.float()
    return to_bytes(project(x + levels * uphill(model, x, data.labels).sign(), x, levels))


def pgd(model: nn.Module, data: ImageSet, levels: int, steps: int = STEPS, seed: int = 0) -> torch.Tensor:
    """Climb the loss in small steps and stay within `levels` grey levels of every pixel; return uint8 `[N, 3, H, W]`.

    Projected gradient descent on the negative loss: it begins anywhere in that range, drawn by the seed, and after
    every step what left the range is put back onto its border. A step is 2.5 times what would just reach from the
    middle to the border, so that the border is met.

    Source: Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018, ICLR.
    """
    _check(levels)
    if steps < 1:
        raise ValueError(f"{steps} steps were asked for. Expected at least 1; 10 are usual.")
    clean = data.images.float()
    x = clean + levels * (2 * torch.rand(clean.shape, generator=generator("pgd", seed)).to(clean.device) - 1)
    x = project(x, clean, levels)
    for _ in range(steps):
        x = project(x + 2.5 * levels / steps * uphill(model, x, data.labels).sign(), clean, levels)
    return to_bytes(x)


def uphill(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the gradient of each image's cross-entropy with respect to its pixels, for float `[N, 3, H, W]`, 0..255.

    Logits become float64 before the softmax: in float32 the gradient of a very sure answer is exactly 0, has no sign,
    and an attack that does nothing looks like a network that withstands it (Athalye, Carlini and Wagner, "Obfuscated
    gradients give a false sense of security", 2018, ICML).
    """
    slopes = []
    with evaluation_mode(model) as device:
        for pixels, wanted in zip(x.split(AT_A_TIME), labels.split(AT_A_TIME), strict=True):
            pixels = pixels.to(device).detach().requires_grad_()
            logits = model(scale(pixels.clone()))
            loss = F.cross_entropy(logits.double(), wanted.to(device), reduction="sum")
            slopes.append(torch.autograd.grad(loss, pixels)[0].to(x.device))
    return torch.cat(slopes)


def project(x: torch.Tensor, clean: torch.Tensor, levels: float) -> torch.Tensor:
    """Return the images nearest to `x` that differ by at most `levels` from the clean ones and lie within 0 to 255."""
    return torch.clamp(x, min=clean - levels, max=clean + levels).clamp(0, 255)


def to_bytes(x: torch.Tensor) -> torch.Tensor:
    """Round to whole grey levels, as a file keeps them; with a whole number of levels this leaves the range to none."""
    return x.round().to(torch.uint8)


def _check(levels: int) -> None:
    if levels != int(levels) or not 0 <= levels <= 255:
        raise ValueError(
            f"levels is {levels}, but a whole number of grey levels was expected, from 0 to 255, such as 4."
        )
