"""What the checks of notebook 03 draw and how they score."""

import torch

from tlcourse.exercises.held_out import held_out
from tlcourse.lessons.nb03_fine_tuning import checks as ex
from tlcourse.lessons.nb03_fine_tuning.experiment import evaluation_sets
from tlcourse.models.pretrained import pretrained

HALF = 382


def test_both_worlds_hold_the_same_digits_near_and_far_and_none_of_the_notebook():
    images = ex.both_worlds(0)
    assert len(images) == 2 * HALF
    assert torch.equal(images.labels[:HALF], images.labels[HALF:])
    assert torch.equal(images.images[:HALF], held_out(0).images)
    assert not torch.equal(images.images[:HALF], images.images[HALF:])
    for shown in evaluation_sets()[:2]:
        assert images.shared_with(shown) == 0


def test_what_the_sandbox_gets_has_no_labels():
    (images,) = ex.unlabelled_worlds(0)
    assert torch.equal(images.images, ex.both_worlds(0).images)
    assert not images.labels.any()


def test_the_score_is_the_mean_of_both_accuracies():
    scores = torch.nn.functional.one_hot(ex.both_worlds(0).labels, 10).float()
    assert ex.percent_of_both({"scores": scores}, 0) == 100
    scores[HALF:] = scores[HALF:].roll(1, dims=1)  # every shifted image is taken for the next digit
    assert ex.percent_of_both({"scores": scores}, 0) == 50


def test_an_untouched_backbone_is_told_by_its_weights():
    network = pretrained("tiny_resnet", "letters")
    assert ex.backbone_is_old(network.state_dict())
    with torch.no_grad():
        network.stem[0].weight += 0.01
    assert not ex.backbone_is_old(network.state_dict())
    assert not ex.backbone_is_old({"weight": torch.zeros(2)})
