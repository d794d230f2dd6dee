"""Pairs of domains on which notebook 06 measures: a labelled source, a target without labels, and images to test on."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.repro import generator

SOURCE, TARGET = "printed-photo", "handwritten-photo"
HELD_OUT = 2000
RARE, RARER = 5, 10  # of the classes from this one on, one image in ten is kept


class Case(NamedTuple):
    """What adaptation is given, with labels of the target that it will not see, and what it is judged by."""

    source: ImageSet
    target: ImageSet
    test: ImageSet
    held_out: ImageSet  # of the source, for those who choose by it


def photo(shift: float) -> Case:
    """Printed digits over one photograph, handwritten ones over another."""
    return _case(load(SOURCE), SOURCE, TARGET, shift)


def plain(shift: float) -> Case:
    """Printed and handwritten digits without any photograph."""
    return _case(load("printed"), "printed", "handwritten", shift)


def letters_too(shift: float) -> Case:
    """Printed letters beside the printed digits: the target lacks 35 of the source's 45 classes."""
    both = [_with_letters(load(SOURCE, split=split), load(SOURCE, "letters", split)) for split in ("train", "test")]
    known, case = both[0].classes, photo(shift)
    return case._replace(
        source=both[0],
        target=replace(case.target, classes=known),
        test=replace(case.test, classes=known),
        held_out=both[1],
    )


def two_sources(shift: float) -> Case:
    """Printed digits with and without the photograph, shuffled together."""
    case = photo(shift)
    return case._replace(source=joined(case.source, load("printed")))


def rare_classes(shift: float) -> Case:
    """Label shift: of the digits from 5 on, the target has a tenth; the test images keep all."""
    case = photo(shift)
    chosen = (case.target.labels < RARE) | (torch.rand(len(case.target), generator=generator("rare")) < 1 / RARER)
    return case._replace(target=case.target.subset(chosen))


def half_the_classes(shift: float) -> Case:
    """The target has the digits 0 to 4 alone, and so have the test images."""
    case = photo(shift)
    kept = {name: getattr(case, name) for name in ("target", "test")}
    return case._replace(**{name: data.subset(data.labels < RARE) for name, data in kept.items()})


CASES: dict[str, Callable[[float], Case]] = {
    "photo": photo,
    "plain": plain,
    "two sources": two_sources,
    "letters too": letters_too,
    "rare classes": rare_classes,
    "half the classes": half_the_classes,
}


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    """Put two image sets of the same classes into one."""
    images, labels = torch.cat([first.images, second.images]), torch.cat([first.labels, second.labels])
    return ImageSet(images, labels, first.classes, name=f"{first.name} and {second.name}")


def _with_letters(digits: ImageSet, letters: ImageSet) -> ImageSet:
    """Put letters behind digits, as classes of their own."""
    known = digits.classes + letters.classes
    moved = replace(letters, labels=letters.labels + len(digits.classes), classes=known)
    return joined(replace(digits, classes=known), moved)


def _case(source: ImageSet, source_world: str, target_world: str, shift: float) -> Case:
    target, test = (load(target_world, split=split, shift=shift) for split in ("train", "test"))
    return Case(source, target, test, load(source_world, split="test", count=HELD_OUT))
