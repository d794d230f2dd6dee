"""Which images to use: few labels a class, and stratified halves. Everything here returns indices, never copies."""

import torch


def few_per_class(labels: torch.Tensor, per_class: int, generator: torch.Generator) -> torch.Tensor:
    """Choose the same number of images from every class at random.

    Args:
        labels: class numbers, int64 `[N]`.
        per_class: how many to take from each class that occurs, at least 1.
        generator: source of the random order.

    Returns:
        Indices, int64 `[classes * per_class]`, grouped by class.

    Raises:
        ValueError: `per_class` is below 1, or a class has fewer images than asked for.
    """
    smallest, rarest = min((int((labels == c).sum()), int(c)) for c in labels.unique())
    if not 1 <= per_class <= smallest:
        raise ValueError(
            f"{per_class} labels a class were asked for, but class number {rarest} has {smallest} images. "
            f"Choose from 1 to {smallest}."
        )
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == c][:per_class] for c in labels.unique()])


def stratified_split(
    labels: torch.Tensor, fraction: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split into two disjoint parts in which every class has the same share.

    Args:
        labels: class numbers, int64 `[N]`.
        fraction: share of every class in the first part, strictly between 0 and 1.
        generator: source of the random order.

    Returns:
        Indices of the first and of the second part, int64, together `[N]`. Each part gets at least one image of
        every class.

    Raises:
        ValueError: `fraction` is out of range, or a class has a single image, which cannot be in both parts.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, but a share strictly between 0 and 1 was expected, such as 0.8.")
    first, second = [], []
    order = torch.randperm(len(labels), generator=generator)
    for c in labels.unique():
        members = order[labels[order] == c]
        if len(members) < 2:
            raise ValueError(
                f"class number {int(c)} has one image, but a split needs two. Add images or drop the class."
            )
        cut = min(max(round(fraction * len(members)), 1), len(members) - 1)
        first.append(members[:cut])
        second.append(members[cut:])
    return torch.cat(first), torch.cat(second)
