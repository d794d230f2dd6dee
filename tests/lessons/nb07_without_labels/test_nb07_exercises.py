"""What the checks of notebook 07 draw and recognise."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tlcourse.data.worlds import load
from tlcourse.exercises.held_out import held_out, permuted
from tlcourse.lessons.nb07_without_labels import checks as ex
from tlcourse.lessons.nb07_without_labels.few_and_many import errors_gone, few_and_many, probe_percent
from tlcourse.unlabelled.fixmatch import sure_answers
from tlcourse.unlabelled.semi_supervised import Method, SemiSupervisedLoss
from tlcourse.unlabelled.simclr import nt_xent

LOG2 = np.log(2)


def test_what_is_foreseen_is_what_the_library_takes_and_learns():
    names = {}
    exec(f"{ex.q1.setup}\n{ex.q1.snippet}", names)
    for threshold, (*counts, right, loss) in zip((0.5, 0.9), names["result"], strict=True):
        answers = sure_answers(names["weak"], threshold)
        assert [int(count) for count in counts] == answers.sum(0).tolist()
        assert int(right) == answers[range(6), names["truth"]].sum()
        method = Method()
        method.weight = 1.0
        known = F.one_hot(torch.tensor([0]), 3).float()
        sure = torch.tensor([[100.0, 0, 0]])  # a labelled image that costs nothing
        both = SemiSupervisedLoss(method, labelled=1)(
            torch.cat([sure, names["strong"].log()]), torch.cat([known, answers])
        )
        assert float(loss) == pytest.approx(float(both) / LOG2, abs=1e-6)


def test_ten_numbers_by_threshold_may_be_a_dict_or_an_array():
    right = np.array([[2, 2, 1, 3, 8 / 6], [2, 0, 0, 1, 0.5]])
    for written in (right, torch.tensor(right), right.tolist(), dict(zip((0.5, 0.9), right.tolist(), strict=True))):
        assert ex._rows(written).tolist() == right.tolist()
    for written in (None, 3, "rows", right[:, :4], right > 1, [["a"] * 5] * 2, {0.5: 1, 0.9: 2}):
        assert ex._rows(written) is None


def test_the_weights_that_are_kept_reach_what_is_reported():
    for code, honest in ((ex.q2.starter, False), (ex.q2.reference, True)):
        network, batches, validation, test = ex.q2.cases(0)[0].arguments
        best, reached = ex.q2.made_by(code)(network, batches, validation, test)
        network.load_state_dict(best)
        assert (ex.accuracy(network, test) == reached) is honest


def test_the_loss_that_is_asked_for_is_that_of_the_library():
    loss = ex.q3.made_by(ex.q3.reference)
    for seed in range(3):
        for case in ex.q3.cases(seed):
            z, temperature = case.arguments
            assert z.norm(dim=1).min() > 0, "a row of zeros has no direction"
            assert float(loss(z, temperature)) == pytest.approx(float(nt_xent(z, temperature)), abs=1e-5)


def test_few_and_many_share_no_image_with_the_exam_and_the_many_have_no_label():
    few, images = few_and_many(0)
    assert few.labels.bincount().tolist() == [2] * 10
    assert (images.dtype, images.shape) == (torch.uint8, (906, 3, 32, 32))
    other = few_and_many(1)
    assert not torch.equal(images, other[1])
    assert not torch.equal(images, load("handwritten-photo").images)
    shuffled, same = permuted(few_and_many)(0)
    assert torch.equal(images, same)
    assert torch.equal(few.images, shuffled.images)
    assert not (shuffled.labels == few.labels).any()
    assert held_out(0).shared_with(load("handwritten-photo", seed=10_000)) == 0


def test_a_network_is_measured_against_a_probe_with_the_same_labels():
    labels, probe = held_out(0).labels, probe_percent(0)
    assert 50 < probe < 90
    right = F.one_hot(labels, 10)
    assert errors_gone({"scores": right}, 0) == pytest.approx(100)
    assert errors_gone({"scores": right.roll(1, 1)}, 0) == pytest.approx(-100 * probe / (100 - probe))
    half = right.clone()
    half[torch.arange(round(len(labels) * (1 - probe / 100) / 2))] = 0
    assert 45 < errors_gone({"scores": half}, 0) < 60, "those without a score are answered 0, and few are zeros"
