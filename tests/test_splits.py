import pytest
import torch

from tlcourse.repro import generator
from tlcourse.splits import few_per_class, stratified_split

LABELS = torch.tensor([0] * 10 + [1] * 20 + [3] * 5)  # no class 2


def test_few_takes_the_same_number_from_every_class_without_repeats():
    chosen = few_per_class(LABELS, 4, generator(0))
    assert LABELS[chosen].tolist() == [0] * 4 + [1] * 4 + [3] * 4
    assert len(set(chosen.tolist())) == 12


def test_few_depends_on_the_generator_alone():
    assert torch.equal(few_per_class(LABELS, 3, generator(1)), few_per_class(LABELS, 3, generator(1)))
    assert not torch.equal(few_per_class(LABELS, 3, generator(1)), few_per_class(LABELS, 3, generator(2)))


@pytest.mark.parametrize("per_class", [0, -1, 6])
def test_few_refuses_what_cannot_be(per_class):
    with pytest.raises(ValueError, match=f"{per_class} labels a class were asked for.*3 has 5.*from 1 to 5"):
        few_per_class(LABELS, per_class, generator(0))


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.8, 0.01, 0.99])
def test_split_is_disjoint_complete_and_stratified(fraction):
    first, second = stratified_split(LABELS, fraction, generator(0))
    assert sorted(torch.cat([first, second]).tolist()) == list(range(len(LABELS)))
    for c, count in ((0, 10), (1, 20), (3, 5)):
        taken = int((LABELS[first] == c).sum())
        assert taken == min(max(round(fraction * count), 1), count - 1)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_split_refuses_fractions_out_of_range(fraction):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        stratified_split(LABELS, fraction, generator(0))


def test_split_refuses_a_single_image():
    with pytest.raises(ValueError, match="class number 1 has one image"):
        stratified_split(torch.tensor([0, 0, 1]), 0.5, generator(0))
