import pytest
import torch

from tlcourse.data.cleaning import contrasts
from tlcourse.data.defects import (
    CHANGES,
    plant_across,
    plant_defects,
)
from tlcourse.data.imageset import ImageSet
from tlcourse.repro import generator


@pytest.fixture(scope="module")
def clean():
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(60, 3, 4, 4, generator=draws) * 255
    images = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear").to(torch.uint8)
    return ImageSet(images, torch.arange(60) % 5, tuple("abcde"), {"sheet": torch.arange(60) // 10}, "clean")


@pytest.fixture(scope="module")
def planted(clean):
    return plant_defects(clean, generator("dirt", 1), exact=4, near=12, blank=6, wrong=9)


def places(dirty, image):
    return [i for i, other in enumerate(dirty.images) if torch.equal(image, other)]


def test_nothing_is_lost_and_kinds_of_defects_do_not_meet(clean, planted):
    dirty, truth = planted
    assert len(clean) == 60
    assert len(dirty) == 60 + 4 + 12 + 6
    assert all(places(dirty, image) for image in clean.images)
    assert clean.labels.tolist() == [i % 5 for i in range(60)]
    touched = [*truth.exact, *truth.exact.values(), *truth.near, *truth.near.values(), *truth.blank, *truth.wrong]
    assert len(touched) == len(set(touched)) == 2 * 4 + 2 * 12 + 6 + 9
    assert min([*truth.exact, *truth.near, *truth.blank]) < 40, "positions would give the copies away"
    assert all(later > earlier for later, earlier in truth.pairs(truth.near))
    assert {frozenset(pair) for pair in truth.pairs(truth.near)} == {frozenset(p) for p in truth.near.items()}
    found = contrasts(dirty.images[torch.tensor(truth.blank)])
    assert ((found < 5).sum(), (found < 15).sum(), (found < 40).sum()) == (2, 4, 6)


@pytest.mark.parametrize("way", CHANGES)
def test_the_truth_about_changed_copies(planted, way):
    dirty, truth = planted
    copies = [copy for copy, change in truth.changed.items() if change == way]
    assert len(copies) == 2
    for copy in copies:
        ours, theirs = dirty.images[copy], dirty.images[truth.near[copy]]
        assert not torch.equal(ours, theirs)
        assert dirty.labels[copy] == dirty.labels[truth.near[copy]]
        if way == "mirrored":
            assert torch.equal(ours.flip(2), theirs)
        elif way.startswith("moved"):
            by = int(way[-1])
            assert torch.equal(ours[:, :, by:], theirs[:, :, :-by])
            assert torch.equal(ours[:, :, 0], theirs[:, :, 0])
        elif way == "brighter":
            assert torch.equal(ours, (theirs.float() * 0.75 + 45).round().to(torch.uint8))
        else:
            assert (ours.float() - theirs.float()).abs().mean() < 20


def test_the_truth_about_labels(clean, planted):
    dirty, truth = planted
    assert len(truth.wrong) == 9
    originals = {places(dirty, image)[0]: int(label) for image, label in zip(clean.images, clean.labels, strict=True)}
    for i, right in originals.items():
        if i in truth.wrong:
            assert truth.wrong[i] == right != int(dirty.labels[i])
        elif i not in truth.exact:
            assert int(dirty.labels[i]) == right


def test_copies_across_the_split(clean):
    train, test = clean.subset(torch.arange(30)), clean.subset(torch.arange(30, 60))
    dirty, truth = plant_across(train, test, generator("across"), exact=3, near=6)
    assert len(dirty) == 39
    assert len(test) == 30
    for here, there in truth.exact.items():
        assert torch.equal(dirty.images[here], train.images[there])
    for here, there in {**truth.exact, **truth.near}.items():
        assert dirty.labels[here] == train.labels[there]
    assert list(truth.changed.values()) == list(CHANGES)
    assert dirty.shared_with(train) == 3


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (lambda clean: plant_defects(clean, generator(0), exact=61, near=0, blank=0, wrong=0), "61 of 60"),
        (lambda clean: plant_defects(clean, generator(0), exact=-1), "Expected numbers from 0"),
        (lambda clean: plant_across(clean, clean, generator(0), exact=20, near=60), r"20 \+ 60 copies of 60 training"),
    ],
)
def test_too_much_is_refused(clean, plant, message):
    with pytest.raises(ValueError, match=message):
        plant(clean)
