"""Where does the network look? Gradients of the logit, covering the image piece by piece, and Grad-CAM."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.predict import evaluation_mode, predict

COARSEST = 4  # height and width of the maps that Grad-CAM looks at by itself


def gradient_saliency(model: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Say for every pixel how strongly a small change of it would move the logit of a class.

    Images are uint8 `[N, 3, H, W]`; `classes`, int64 `[N]`, are for example the answers, to see why they were given.
    Returns the largest change among the three colours, float32 `[N, H, W]`, never negative.

    Source: Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks: visualising image classification
    models and saliency maps", 2014, ICLR workshop.
    """
    _check(images, classes)
    with evaluation_mode(model) as device:
        x = scale(images.to(device)).requires_grad_()
        logits = model(x).gather(1, classes.to(device)[:, None])  # [N, 1]
        (gradient,) = torch.autograd.grad(logits.sum(), x)  # no image touches the logit of another
    return gradient.abs().amax(1).cpu()


def occlusion_map(
    model: nn.Module, images: torch.Tensor, classes: torch.Tensor, patch: int = 8, stride: int = 4
) -> torch.Tensor:
    """Cover a square of the image, see how far the probability of a class falls, and move on to the next square.

    The square of `patch` pixels takes the image's mean colour, so that covering adds as little as possible. Returns for
    every pixel the mean fall over the squares that covered it, float32 `[N, H, W]` from -1 to 1.

    Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, ECCV.
    """
    _check(images, classes)
    height, width = images.shape[2:]
    if not 1 <= stride <= patch <= min(height, width):
        raise ValueError(
            f"got a square of {patch} pixels moved by {stride}, for images of {height}x{width}. Expected 1 <= stride "
            "<= patch <= the image's side, so that every pixel gets covered."
        )
    masks = _squares(height, width, patch, stride)  # [P, H, W]
    covered = torch.where(masks[:, None, None], _mean_colour(images), images)  # [P, N, 3, H, W]
    before = _probability(model, images, classes)
    after = _probability(model, covered.flatten(0, 1), classes.repeat(len(masks))).reshape(len(masks), -1)  # [P, N]
    falls = torch.einsum("pn,phw->nhw", before - after, masks.float())
    return falls / masks.sum(0)


def grad_cam(model: nn.Module, images: torch.Tensor, classes: torch.Tensor, stage: str | None = None) -> torch.Tensor:
    """Say which places speak for a class, by the maps of a stage: each map counts as much as its mean gradient says.

    Images are uint8 `[N, 3, H, W]`, or floats that are prepared for the network already. `stage` is one of
    `model.stages()`; by default the last whose maps are at least 4 x 4. Late stages know more of classes, early ones of
    places: the 2 x 2 of TinyResNet's `block4` are too coarse to look at. Returns float32 `[N, H, W]`, enlarged from the
    stage's own size and never negative; sizes may be compared within a map, not between maps.

    Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", 2017,
    ICCV.
    """
    stages = model.stages()
    if stage is not None and stage not in stages:
        raise ValueError(f"{stage!r} is not a stage. Expected one of: {', '.join(map(repr, stages))}.")
    _check(images, classes, prepared=True)
    found: list[torch.Tensor] = []  # what the stages make, in order
    ends = [_end(part) for name, part in stages.items() if stage in (None, name)]
    hooks = [end.register_forward_hook(lambda _, __, out: found.append(out)) for end in ends]
    try:
        with evaluation_mode(model) as device:
            x = images.to(device)
            x = (x if x.is_floating_point() else scale(x)).requires_grad_()  # a frozen network has gradients, too
            logits = model(x).gather(1, classes.to(device)[:, None])  # [N, 1]
            seen = [out for out in found if out.ndim == 4 and (stage or min(out.shape[2:]) >= COARSEST)]
            maps = seen[-1]  # [N, K, h, w]
            (gradient,) = torch.autograd.grad(logits.sum(), maps)
    finally:
        for hook in hooks:
            hook.remove()
    weights = gradient.mean((2, 3), keepdim=True)  # [N, K, 1, 1]
    places = F.relu((weights * maps).sum(1, keepdim=True)).detach()  # [N, 1, h, w]
    return F.interpolate(places, images.shape[2:], mode="bilinear", align_corners=False)[:, 0].float().cpu()


def hide(images: torch.Tensor, importance: torch.Tensor, share: float) -> torch.Tensor:
    """Cover the share of the pixels that a map `[N, H, W]` calls most important with the image's mean colour.

    A map that says something about the network must do more harm here than a random one.
    """
    if importance.shape != (len(images), *images.shape[2:]) or not 0 <= share <= 1:
        raise ValueError(
            f"got maps of shape {list(importance.shape)} for images {list(images.shape)}, and a share of {share}. "
            "Expected [N, H, W] and a share from 0 to 1."
        )
    ranks = importance.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(1)  # 0 is the most important
    covered = (ranks < round(share * ranks.shape[1])).reshape(importance.shape)
    return torch.where(covered[:, None], _mean_colour(images), images)


def patch_map(rows: torch.Tensor, columns: torch.Tensor, side: int = 32) -> torch.Tensor:
    """Return maps `[N, side, side]` that know nothing of the image: importance falls with the distance from a place.

    What `hide` covers by such a map is one round patch, a fair control for maps whose important pixels lie together.
    """
    pixels = torch.arange(side) + 0.5
    y, x = rows[:, None, None] - pixels[:, None], columns[:, None, None] - pixels
    return -(y**2 + x**2)


def _squares(height: int, width: int, patch: int, stride: int) -> torch.Tensor:
    """Return every place of the square as a mask, bool `[P, H, W]`; the last row and column always touch the border."""
    masks = []
    for top in sorted({*range(0, height - patch, stride), height - patch}):
        for left in sorted({*range(0, width - patch, stride), width - patch}):
            mask = torch.zeros(height, width, dtype=torch.bool)
            mask[top : top + patch, left : left + patch] = True
            masks.append(mask)
    return torch.stack(masks)


def _mean_colour(images: torch.Tensor) -> torch.Tensor:
    """Return the mean colour of every image, uint8 `[N, 3, 1, 1]`."""
    return images.float().mean((2, 3), keepdim=True).round().to(torch.uint8)


def _probability(model: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the softmax probability of one class an image, float32 `[N]`."""
    unnamed = tuple(map(str, range(int(classes.max()) + 1)))
    logits = predict(model, ImageSet(images.cpu(), classes.cpu(), unnamed))
    return F.softmax(logits, 1).gather(1, classes.cpu()[:, None])[:, 0]


def _end(stage: nn.Module) -> nn.Module:
    """Return the module whose output is that of the stage; a stage of torchvision's networks is a list of modules."""
    return stage[-1] if isinstance(stage, nn.ModuleList) else stage


def _check(images: torch.Tensor, classes: torch.Tensor, prepared: bool = False) -> None:
    if images.dtype != torch.uint8 and not (prepared and images.is_floating_point()):
        raise TypeError(f"images are {images.dtype}, but uint8 from 0 to 255 was expected, as in ImageSet.images.")
    if images.ndim != 4 or classes.shape != images.shape[:1] or not len(images):
        raise ValueError(
            f"got images of shape {list(images.shape)} and classes {list(classes.shape)}. Expected [N, 3, H, W] and "
            "one class number for each, with N at least 1."
        )
