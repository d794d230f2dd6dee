"""What the checks of notebook 11 draw and recognise is what the library and plain arithmetic give."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.weights import changed, copies
from tlcourse.evaluation.corruptions import CORRUPTIONS
from tlcourse.evaluation.selective import risk_coverage
from tlcourse.exercises.held_out import held_out
from tlcourse.lessons.nb11_robustness import checks as ex


def table(prompt):
    """The rows of numbers in a prompt, [rows, columns]."""
    lines = [line.strip("|").split("|") for line in prompt.splitlines() if line.startswith("| ")]
    return np.array([[float(cell) for cell in line] for line in lines[1:]])


def test_the_alpha_that_is_asked_for_follows_from_the_rule():
    alpha, plain, corrupted, _, reported = table(ex.q1.prompt).T
    allowed = plain >= plain[-1] - 2
    best = np.where(allowed, corrupted, 0).argmax()
    expected = [alpha[best], reported[best], reported[best] - reported[-1]]
    assert ex.q1.made_by(ex.q1.reference) == pytest.approx(expected)
    peeked = np.where(allowed, reported, 0).argmax()
    assert peeked != best, "else choosing on the test pool would not be seen"


@pytest.mark.parametrize("value", [(0.6, 64, 5), np.array([0.6, 64, 5]), torch.tensor([0.6, 64.0, 5.0])])
def test_three_numbers_may_be_written_in_any_way(value):
    assert ex.q1._right(ex.q1.reads(value))


def by_hand(before, after, alpha, x):
    """Logits of the mixed weights, each normalised by what it gives on these images."""
    for one, other in zip(before, after, strict=True):
        mixed = {
            name: (1 - alpha) * p.detach() + alpha * dict(other.named_parameters())[name].detach()
            for name, p in one.named_parameters()
        }
        if isinstance(one, nn.BatchNorm1d):
            mean, var = x.mean(0), x.var(0)  # the running variance divides by one image less
            x = mixed["weight"] * (x - mean) / (var + one.eps).sqrt() + mixed["bias"]
        else:
            x = F.linear(x, mixed["weight"], mixed["bias"])
    return x


@pytest.mark.parametrize("seed", range(3))
def test_what_lies_between_two_networks(seed):
    between = ex.q2.made_by(ex.q2.reference)
    for case in ex.q2.cases(seed):
        before, after, alpha, images = case.arguments
        kept = copies(before), copies(after)
        if not any(isinstance(layer, nn.BatchNorm1d) for layer in list(before)[2:]):  # a second one sees what came out
            torch.testing.assert_close(between(*case.arguments), by_hand(before, after, alpha, images))
        else:
            between(*case.arguments)
        assert not changed(before, kept[0]) | changed(after, kept[1])


@pytest.mark.parametrize("seed", range(3))
def test_how_much_may_be_answered_is_what_the_curve_says(seed):
    answerable = ex.q3.made_by(ex.q3.reference)
    for case in ex.q3.cases(seed):
        confidence, right, promise = case.arguments
        curve = risk_coverage(confidence, right)
        kept = curve.coverage[1 - curve.risk >= promise - 1e-12]
        assert answerable(*case.arguments) == round(len(right) * kept.max().item() if len(kept) else 0)


def test_every_image_of_the_exam_meets_one_corruption():
    plain, met = held_out(0), ex.corrupted_exam(0)
    assert torch.equal(plain.labels, met.labels)
    assert (plain.images != met.images).flatten(1).any(1).all()
    dark = met.images.float().mean((1, 2, 3)) - plain.images.float().mean((1, 2, 3))
    place = list(CORRUPTIONS).index("brightness")
    assert dark[place :: len(CORRUPTIONS)].min() > 50
    assert not ex.without_labels(0)[0].labels.any()


def test_a_score_is_the_share_that_is_read():
    labels = ex.corrupted_exam(1).labels
    answers = torch.where(torch.arange(len(labels)) < 191, labels, (labels + 1) % 10)
    assert ex.percent_read({"scores": F.one_hot(answers, 10)}, 1) == pytest.approx(50)
