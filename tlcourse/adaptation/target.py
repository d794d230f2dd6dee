"""The target of an adaptation: images alone, so that no method can learn from its labels, or be chosen by them."""

import torch

from tlcourse.data.imageset import ImageSet


def unlabelled(target: torch.Tensor) -> ImageSet:
    """Return images, uint8 `[N, 3, H, W]`, as a set in which every label is the same and says nothing.

    Raises TypeError for whatever is not bytes of images, such as a data set or labels; ValueError for fewer than two.
    """
    if isinstance(target, ImageSet):
        raise TypeError(
            f"the target is {target!r}, which carries labels, but images alone were expected: adaptation may not know "
            "the answers. Pass its .images."
        )
    if not isinstance(target, torch.Tensor):
        raise TypeError(
            f"the target is a {type(target).__name__}, but images alone were expected, a uint8 tensor [N, 3, H, W]. "
            "Adaptation may not know the answers: leave out whatever else there is."
        )
    images = ImageSet(target, torch.zeros(target.shape[:1], dtype=torch.int64), ("unknown",), name="target")
    if len(images) < 2:
        raise ValueError(
            f"the target has {len(images)} images. Expected at least 2; a domain is more than one picture."
        )
    return images
