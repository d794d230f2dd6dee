"""Which images to use: few labels per class, halves and folds. Everything here returns indices, never copies."""

from collections.abc import Callable

import torch


def few_per_class(labels: torch.Tensor, per_class: int, generator: torch.Generator) -> torch.Tensor:
    """Choose the same number of images from every class that occurs; indices, int64, grouped by class."""
    smallest, rarest = min((int((labels == c).sum()), int(c)) for c in labels.unique())
    if not isinstance(per_class, int) or not 1 <= per_class <= smallest:
        raise ValueError(
            f"{per_class!r} labels per class were asked for. Expected a whole number from 1 to {smallest}: the rarest "
            f"class, number {rarest}, has {smallest} images."
        )
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == c][:per_class] for c in labels.unique()])


def stratified_split(
    labels: torch.Tensor, fraction: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split into two disjoint parts in which every class has the same share, and at least one image.

    ValueError when a class has a single image, which cannot be in both parts.
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


def stratified_folds(
    labels: torch.Tensor, folds: int, generator: torch.Generator
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Deal the images out to folds like cards, class after class, and hold each fold out once.

    Because the dealing goes on where the class before it ended, neither the images of a class nor all images together
    differ by more than one between two folds. Returns, for every fold, the indices to train on and those held out, each
    in ascending order. ValueError when a class has fewer images than folds, which some fold would lack.
    """
    smallest, rarest = min((int((labels == c).sum()), int(c)) for c in labels.unique())
    if not 2 <= folds <= smallest:
        raise ValueError(
            f"{folds} folds were asked for, and class number {rarest} has {smallest} images. Expected at least 2 "
            "folds, and in every class at least one image a fold. Choose fewer folds, or label more images."
        )
    order = torch.randperm(len(labels), generator=generator)
    by_class = order[labels[order].argsort(stable=True)]  # class after class, shuffled within
    fold_of = torch.empty(len(labels), dtype=torch.int64)
    fold_of[by_class] = torch.arange(len(labels)) % folds
    return _hold_out_in_turn(fold_of, folds)


def grouped_split(
    groups: torch.Tensor, fraction: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split into two parts so that each group is on one side as a whole; `fraction` is met as closely as that allows.

    A group is whatever must not be torn apart: the digits of one sheet of paper, the photographs of one patient, an
    image and its near duplicates. Indices are in ascending order. ValueError when there is a single group.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, but a share strictly between 0 and 1 was expected, such as 0.8.")
    sizes = _group_sizes(groups, at_least=2)
    order = torch.randperm(len(sizes), generator=generator)
    filled = sizes[order].cumsum(0)[:-1]  # images in the first part after 1, 2, ... groups; never all of them
    cut = int((filled - fraction * len(groups)).abs().argmin()) + 1
    is_first = torch.isin(groups, groups.unique()[order[:cut]])
    return is_first.nonzero()[:, 0], (~is_first).nonzero()[:, 0]


def stratified_group_split(
    labels: torch.Tensor, groups: torch.Tensor, fraction: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split into two parts, class by class, so that each group is on one side as a whole.

    ValueError when the images of a class all belong to one group, or are otherwise tied to one side.
    """
    group, firsts = _numbered(groups)
    home = labels[firsts]  # a group of several classes counts with that of its first image
    is_first = torch.zeros(len(labels), dtype=torch.bool)
    for c in labels.unique():
        members = (home[group] == c).nonzero()[:, 0]
        if len(group[members].unique()) > 1:
            is_first[members[grouped_split(group[members], fraction, generator)[0]]] = True
    for c in labels.unique():
        share = is_first[labels == c]
        if share.all() or not share.any():
            raise ValueError(
                f"class number {int(c)} has {len(share)} images, which cannot be on both sides: they belong together. "
                "Expected at least two groups in every class; add other images or drop the class."
            )
    return is_first.nonzero()[:, 0], (~is_first).nonzero()[:, 0]


def grouped_folds(
    groups: torch.Tensor, folds: int, generator: torch.Generator
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Divide whole groups among folds of about the same size, and hold each out once; returns as `stratified_folds`.

    The largest group goes first, and each goes to the fold that has the fewest images so far; the generator decides
    between groups of the same size.
    """
    if folds < 2:
        raise ValueError(f"{folds} folds were asked for. Expected at least 2, such as 5.")
    sizes = _group_sizes(groups, at_least=folds)
    order = torch.randperm(len(sizes), generator=generator)
    largest_first = order[sizes[order].argsort(descending=True, stable=True)]
    filled, fold_of_group = torch.zeros(folds, dtype=torch.int64), torch.empty(len(sizes), dtype=torch.int64)
    for group in largest_first.tolist():
        lightest = int(filled.argmin())
        fold_of_group[group] = lightest
        filled[lightest] += sizes[group]
    return _hold_out_in_turn(fold_of_group[torch.unique(groups, return_inverse=True)[1]], folds)


def stratified_group_folds(
    labels: torch.Tensor, groups: torch.Tensor, folds: int, generator: torch.Generator
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Deal whole groups out to folds, class after class, and hold each fold out once; returns as `stratified_folds`.

    A group counts with the class of its first image, and as one however large it is. ValueError when a class has fewer
    groups than folds.
    """
    group, firsts = _numbered(groups)
    fold_of_group = torch.empty(len(firsts), dtype=torch.int64)
    for fold, (_, held_out) in enumerate(stratified_folds(labels[firsts], folds, generator)):
        fold_of_group[held_out] = fold
    return _hold_out_in_turn(fold_of_group[group], folds)


def _numbered(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number the groups from 0; return the number of every image's group `[N]`, and every group's first image."""
    group = groups.unique(return_inverse=True)[1]
    firsts = torch.empty(int(group.max()) + 1, dtype=torch.int64)
    firsts[group.flip(0)] = torch.arange(len(group)).flip(0)  # what is written last stays
    return group, firsts


def _group_sizes(groups: torch.Tensor, at_least: int) -> torch.Tensor:
    """Count the images of every group, in ascending order of the group numbers, int64 `[groups]`."""
    names, sizes = groups.unique(return_counts=True)
    if len(names) < at_least:
        raise ValueError(
            f"there are {len(names)} groups in {len(groups)} images, but at least {at_least} were expected, since a "
            "group cannot be torn apart. Ask for fewer parts, or find a finer grouping."
        )
    return sizes


def _hold_out_in_turn(fold_of: torch.Tensor, folds: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Turn fold numbers `[N]` into one pair of indices a fold: all others, and its own."""
    return [((fold_of != fold).nonzero()[:, 0], (fold_of == fold).nonzero()[:, 0]) for fold in range(folds)]


def sees_held_out(
    prepare: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    labels: torch.Tensor,
    train: torch.Tensor,
    generator: torch.Generator,
) -> bool:
    """Check whether a preparation looks at rows outside `train`: change those rows, and see whether its answer changes.

    `prepare` takes `x` (float `[N, F]`), `labels` and `train`, and returns what it computes from them: a mean, a choice
    of features. True is leakage.
    """
    held_out = torch.ones(len(x), dtype=torch.bool)
    held_out[train] = False
    if not held_out.any():
        raise ValueError(f"all {len(x)} rows are in the training part. Expected some to be held out.")
    other_x, other_labels = x.clone(), labels.clone()
    other_x[held_out] = x.max() + torch.rand(x[held_out].shape, generator=generator)
    other_labels[held_out] = labels[torch.randint(len(labels), (int(held_out.sum()),), generator=generator)]
    return not torch.equal(prepare(x, labels, train), prepare(other_x, other_labels, train))
