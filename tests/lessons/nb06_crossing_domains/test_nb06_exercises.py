"""What the checks of notebook 06 draw and recognise."""

import pytest
import torch

from tlcourse.adaptation.mcc import class_confusion
from tlcourse.data.worlds import load
from tlcourse.exercises.held_out import began_with_digits, held_out, permuted, unlabelled
from tlcourse.lessons.nb06_crossing_domains import checks as ex
from tlcourse.lessons.nb06_crossing_domains.unlabelled_target import SHIFT, two_domains
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import seeded


def test_the_confusion_that_is_asked_for_is_that_of_the_library():
    confusion = ex.q3.made_by(ex.q3.reference)
    for seed in range(3):
        for case in ex.q3.cases(seed):
            assert float(confusion(*case.arguments)) == pytest.approx(float(class_confusion(*case.arguments)), abs=1e-6)


def test_a_mended_baseline_does_not_know_the_target():
    network, source, labels, target = ex.q2.cases(0)[0].arguments
    for code, independent in ((ex.q2.starter, False), (ex.q2.reference, True)):
        loss, other = (ex.q2.made_by(code)(network, source, labels, images)[0] for images in (target, 9 - target))
        assert torch.equal(loss, other) is independent


@pytest.mark.parametrize(
    "written", [("Covariate shift", 80.0, 80), ["covariate", torch.tensor(80), 80], ["COVARIATE-SHIFT", 80, 80.0]]
)
def test_a_shift_is_named_in_any_spelling(written):
    assert ex.read_shifts([written] * 3) == [("covariate", 80.0, 80.0)] * 3


@pytest.mark.parametrize("written", [None, 3, "covariate", [], [1, 2, 3], [["concept", 1]] * 3, [["label", 1, 2]] * 2])
def test_what_is_no_three_shifts_stays_as_it_is(written):
    assert ex.read_shifts(written) is written


def test_two_domains_share_no_image_with_the_exam_and_the_target_has_no_label():
    source, images = two_domains(0)
    assert source.labels.bincount().tolist() == [500] * 10
    assert (images.dtype, images.shape) == (torch.uint8, (906, 3, 32, 32))
    assert not torch.equal(images, two_domains(1)[1])
    shuffled, same = permuted(two_domains)(0)
    assert torch.equal(images, same)
    assert not (shuffled.labels == source.labels).any()
    exam = held_out(0, SHIFT)
    assert torch.equal(unlabelled(0, SHIFT)[0].images, exam.images)
    assert not torch.equal(exam.images, held_out(0).images)
    assert exam.shared_with(load("handwritten-photo", shift=SHIFT)) == 0


def test_the_digits_network_is_told_by_its_filters():
    digits, letters = (pretrained("tiny_resnet", source) for source in ("digits", "letters"))
    assert began_with_digits(digits.state_dict())
    assert not began_with_digits(letters.state_dict())
    assert not began_with_digits({"weight": torch.zeros(2)})
    with seeded("trained a little", 0), torch.no_grad():
        for weights in digits.parameters():
            weights += 0.3 * weights.std(correction=0) * torch.randn_like(weights)
    assert began_with_digits(digits.state_dict()), "after a training, too"
