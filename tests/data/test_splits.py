import pytest
import torch

from tlcourse.data.splits import (
    few_per_class,
    grouped_folds,
    grouped_split,
    sees_held_out,
    stratified_folds,
    stratified_group_folds,
    stratified_split,
)
from tlcourse.repro import generator

LABELS = torch.tensor([0] * 10 + [1] * 20 + [3] * 5)  # no class 2


def test_few_takes_the_same_number_from_every_class_without_repeats():
    chosen = few_per_class(LABELS, 4, generator(0))
    assert LABELS[chosen].tolist() == [0] * 4 + [1] * 4 + [3] * 4
    assert len(set(chosen.tolist())) == 12


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.8, 0.01, 0.99])
def test_split_is_disjoint_complete_and_stratified(fraction):
    first, second = stratified_split(LABELS, fraction, generator(0))
    assert sorted(torch.cat([first, second]).tolist()) == list(range(len(LABELS)))
    for c, count in ((0, 10), (1, 20), (3, 5)):
        taken = int((LABELS[first] == c).sum())
        assert taken == min(max(round(fraction * count), 1), count - 1)


GROUPS = torch.tensor([4] * 7 + [0] * 12 + [9] * 3 + [2] * 12 + [6] * 5 + [5])


def complete(parts, count):
    """Every image is held out once, and trained on everywhere else."""
    held_out = torch.cat([held for _, held in parts])
    assert sorted(held_out.tolist()) == list(range(count))
    for train, held in parts:
        assert sorted(torch.cat([train, held]).tolist()) == list(range(count))
        assert train.tolist() == sorted(train.tolist())
        assert train.dtype == held.dtype == torch.int64


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_folds_have_the_property_of_scikit_learns(folds, seed):
    from sklearn.model_selection import StratifiedKFold

    labels = LABELS[torch.randperm(len(LABELS), generator=generator(seed))]
    ours = stratified_folds(labels, folds, generator(seed))
    complete(ours, len(labels))
    theirs = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels.numpy(), labels.numpy())
    theirs = [labels[torch.from_numpy(held)] for _, held in theirs]
    for c in (0, 1, 3):
        counts = sorted(int((labels[held] == c).sum()) for _, held in ours)
        assert counts == sorted(int((held == c).sum()) for held in theirs)
        assert counts[-1] - counts[0] <= 1
    assert sorted(len(held) for _, held in ours) == sorted(len(held) for held in theirs)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_a_grouped_split_tears_no_group(fraction, seed):
    first, second = grouped_split(GROUPS, fraction, generator(seed))
    assert sorted(torch.cat([first, second]).tolist()) == list(range(len(GROUPS)))
    assert len(first) and len(second)  # noqa: PT018
    assert not set(GROUPS[first].tolist()) & set(GROUPS[second].tolist())
    assert abs(len(first) / len(GROUPS) - fraction) <= 12 / len(GROUPS) / 2 + 0.15


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_stratified_group_folds_tear_no_group_and_deal_every_class_evenly(folds, seed):
    groups = torch.randint(0, 25, (80,), generator=generator("groups", seed))
    labels = groups % 3
    mixed = stratified_group_folds(labels, groups, folds, generator(seed))
    complete(mixed, len(labels))
    assert not any(set(groups[train].tolist()) & set(groups[held].tolist()) for train, held in mixed)
    for c in range(3):
        counts = [len(groups[held][labels[held] == c].unique()) for _, held in mixed]
        assert max(counts) - min(counts) <= 1
    alone = torch.arange(len(LABELS))
    for ours, plain in zip(
        stratified_group_folds(LABELS, alone, folds, generator(seed)),
        stratified_folds(LABELS, folds, generator(seed)),
        strict=True,
    ):
        assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


def test_a_class_of_few_groups_is_refused():
    labels = torch.tensor([0] * 6 + [1] * 6)
    groups = torch.tensor([0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 7, 7])
    with pytest.raises(ValueError, match="3 folds were asked for, and class number 1 has 2 images"):
        stratified_group_folds(labels, groups, 3, generator(0))


@pytest.mark.parametrize("folds", [2, 3, 4, 6])
def test_grouped_folds_are_as_even_as_scikit_learns(folds):
    from sklearn.model_selection import GroupKFold

    ours = grouped_folds(GROUPS, folds, generator(0))
    complete(ours, len(GROUPS))
    assert not any(set(GROUPS[train].tolist()) & set(GROUPS[held].tolist()) for train, held in ours)
    theirs = GroupKFold(folds).split(GROUPS.numpy(), groups=GROUPS.numpy())
    assert sorted(len(held) for _, held in ours) == sorted(len(held) for _, held in theirs)


def test_a_preparation_that_looks_at_held_out_rows_is_caught():
    x = torch.rand(35, 4, generator=generator("x"))
    train, held_out = stratified_split(LABELS, 0.7, generator(0))
    draws = generator("check")
    assert sees_held_out(lambda x, labels, train: x.mean(0), x, LABELS, train, draws)
    assert not sees_held_out(lambda x, labels, train: x[train].mean(0), x, LABELS, train, draws)
    assert sees_held_out(lambda x, labels, train: labels.bincount(), x, LABELS, train, draws)
    assert not sees_held_out(lambda x, labels, train: labels[train].bincount(), x, LABELS, train, draws)
    assert sees_held_out(lambda x, labels, train: x[held_out].amax(), x, LABELS, train, draws)


@pytest.mark.parametrize(
    "choose",
    [
        lambda draws: few_per_class(LABELS, 3, draws),
        lambda draws: stratified_split(LABELS, 0.5, draws)[0],
        lambda draws: stratified_folds(LABELS, 5, draws)[0][1],
        lambda draws: grouped_split(GROUPS, 0.5, draws)[0],
    ],
    ids=["few", "split", "folds", "grouped"],
)
def test_a_choice_depends_on_the_generator_alone(choose):
    assert torch.equal(choose(generator(1)), choose(generator(1)))
    assert not torch.equal(choose(generator(1)), choose(generator(2)))


ALONE = torch.tensor([0, 0, 1])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        *((few_per_class, (LABELS, k), f"{k!r} labels per class .*from 1 to 5.*3, has 5") for k in (0, 6, 2.5, "5")),
        *((stratified_split, (LABELS, f), "strictly between 0 and 1") for f in (0, 1, -0.1, float("nan"))),
        (stratified_split, (ALONE, 0.5), "class number 1 has one image"),
        *((stratified_folds, (LABELS, k), f"{k} folds were asked for, and class number 3 has 5") for k in (1, 0, 6)),
        (grouped_split, (torch.zeros(4, dtype=torch.int64), 0.5), "there are 1 groups in 4 images, but at least 2"),
        (grouped_split, (GROUPS, 1.5), "strictly between 0 and 1"),
        (grouped_folds, (GROUPS, 7), "there are 6 groups in 40 images, but at least 7"),
        (grouped_folds, (GROUPS, 1), "1 folds were asked for"),
        (sees_held_out, (min, torch.zeros(35, 1), LABELS, torch.arange(35)), "all 35 rows are in"),
    ],
)
def test_what_cannot_be_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments, generator(0))
