import numpy as np
import pytest
import sklearn.metrics as sk
import torch

from tlcourse.evaluation.metrics import (
    area_under,
    average_precision,
    class_report,
    confusion_matrix,
    pr_curve,
    roc_curve,
    top_k_accuracy,
)

DRAWS = torch.Generator().manual_seed(0)
LABELS = torch.randint(5, (200,), generator=DRAWS)
SCORES = torch.randn(200, 5, generator=DRAWS) + 1.5 * torch.nn.functional.one_hot(LABELS, 5)
ANSWERS = SCORES.argmax(1)
POSITIVE, SURE = LABELS == 2, SCORES.softmax(1)[:, 2]
TIED = (10 * SURE).round() / 10  # many equal scores


def test_confusion_agrees_with_counting_and_with_scikit_learn():
    ours = confusion_matrix(LABELS, ANSWERS, 5)
    naive = [
        [sum(1 for t, a in zip(LABELS, ANSWERS, strict=True) if (t, a) == (r, c)) for c in range(5)] for r in range(5)
    ]
    assert ours.tolist() == naive == sk.confusion_matrix(LABELS, ANSWERS).tolist()
    assert ours.sum() == 200


def test_a_class_that_never_comes_up_has_its_row_and_column():
    assert confusion_matrix(torch.tensor([0, 2]), torch.tensor([0, 0]), 4).tolist() == [
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
    ]


@pytest.mark.parametrize("answers", [ANSWERS, torch.where(ANSWERS == 3, 1, ANSWERS), torch.zeros_like(ANSWERS)])
@pytest.mark.parametrize("labels", [LABELS, torch.where(LABELS == 4, 0, LABELS)])
def test_report_agrees_with_scikit_learn_also_where_it_divides_by_nothing(labels, answers):
    report = class_report(confusion_matrix(labels, answers, 5))
    theirs = sk.precision_recall_fscore_support(labels, answers, labels=range(5), zero_division=0)
    for ours, expected in zip((report.precision, report.recall, report.f1, report.support), theirs, strict=True):
        assert ours.numpy() == pytest.approx(expected)
    macro = sk.precision_recall_fscore_support(labels, answers, labels=range(5), average="macro", zero_division=0)[:3]
    assert report.macro() == pytest.approx(macro)


def test_report_at_its_limits():
    perfect = class_report(torch.diag(torch.tensor([3, 4])))
    assert perfect.macro() == (1, 1, 1)
    swapped = class_report(torch.tensor([[0, 3], [4, 0]]))
    assert swapped.macro() == (0, 0, 0)


@pytest.mark.parametrize("k", [1, 2, 4, 5])
@pytest.mark.parametrize("scores", [SCORES, SCORES.round(), torch.zeros_like(SCORES)])
def test_top_k_agrees_with_scikit_learn_ties_included(scores, k):
    theirs = sk.top_k_accuracy_score(LABELS, scores, k=k, labels=range(5)) if k < 5 else 1.0
    assert top_k_accuracy(scores, LABELS, k) == pytest.approx(100 * theirs)


@pytest.mark.parametrize("sure", [SURE, TIED, -SURE])
def test_roc_agrees_with_scikit_learn(sure):
    curve = roc_curve(POSITIVE, sure)
    false, true, thresholds = sk.roc_curve(POSITIVE, sure.double(), drop_intermediate=False)
    assert curve.x.numpy() == pytest.approx(false)
    assert curve.y.numpy() == pytest.approx(true)
    assert curve.thresholds.numpy() == pytest.approx(thresholds)
    assert area_under(curve) == pytest.approx(sk.roc_auc_score(POSITIVE, sure))


@pytest.mark.parametrize("sure", [SURE, TIED, -SURE])
def test_precision_recall_agrees_with_scikit_learn(sure):
    curve = pr_curve(POSITIVE, sure)
    precision, recall, thresholds = sk.precision_recall_curve(POSITIVE, sure.double())
    assert curve.y.flip(0).numpy() == pytest.approx(precision)
    assert curve.x.flip(0).numpy() == pytest.approx(recall)
    assert curve.thresholds[1:].flip(0).numpy() == pytest.approx(thresholds)
    assert average_precision(curve) == pytest.approx(sk.average_precision_score(POSITIVE, sure))


def test_the_area_is_how_often_a_positive_outranks_a_negative():
    inside, outside = TIED[POSITIVE].numpy(), TIED[~POSITIVE].numpy()
    wins = np.mean((inside[:, None] > outside) + 0.5 * (inside[:, None] == outside))
    assert area_under(roc_curve(POSITIVE, TIED)) == pytest.approx(wins)


def test_curves_at_their_limits():
    sorted_right = POSITIVE.float()
    assert area_under(roc_curve(POSITIVE, sorted_right)) == 1
    assert area_under(roc_curve(POSITIVE, -sorted_right)) == 0
    assert area_under(roc_curve(POSITIVE, torch.zeros(200))) == 0.5
    assert average_precision(pr_curve(POSITIVE, sorted_right)) == 1
    assert average_precision(pr_curve(POSITIVE, torch.zeros(200))) == pytest.approx(POSITIVE.double().mean().item())


@pytest.mark.parametrize(("labels", "answers"), [(LABELS, ANSWERS[:9]), (LABELS[:0], ANSWERS[:0]), (LABELS, SCORES)])
def test_confusion_needs_one_answer_an_image(labels, answers):
    with pytest.raises(ValueError, match=r"Expected one answer for each.*scores.argmax\(1\)"):
        confusion_matrix(labels, answers, 5)


def test_confusion_refuses_numbers_outside_the_classes():
    with pytest.raises(ValueError, match="go from 0 to 4, but 0 to 3 was expected"):
        confusion_matrix(LABELS, ANSWERS, 4)
    with pytest.raises(ValueError, match="go from -1 to 4"):
        confusion_matrix(LABELS - 1, ANSWERS, 5)


def test_report_needs_a_square():
    with pytest.raises(ValueError, match=r"got shape \[2, 3\]"):
        class_report(torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("k", [0, 6])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=f"k is {k}, but a number from 1 to 5"):
        top_k_accuracy(SCORES, LABELS, k)


def test_scores_and_labels_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"Expected \[N, classes\] and \[N\]"):
        top_k_accuracy(SCORES, LABELS[:3], 1)
    with pytest.raises(ValueError, match="there are scores for 0 to 3"):
        top_k_accuracy(SCORES[:, :4], LABELS, 1)


@pytest.mark.parametrize("curve", [roc_curve, pr_curve])
def test_curves_need_some_of_both_kinds(curve):
    with pytest.raises(ValueError, match="0 of 200 images are positive"):
        curve(torch.zeros(200, dtype=torch.bool), SURE)
    with pytest.raises(ValueError, match="finite"):
        curve(POSITIVE, SURE * torch.inf)
    with pytest.raises(ValueError, match=r"Expected bool \[N\]"):
        curve(LABELS, SURE)
    with pytest.raises(ValueError, match="one score an image"):
        curve(POSITIVE, SCORES)
