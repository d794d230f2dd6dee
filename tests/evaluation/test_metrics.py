import pytest
import sklearn.metrics as sk
import torch

from tlcourse.evaluation.metrics import (
    class_report,
    confusion_matrix,
    roc_curve,
)

DRAWS = torch.Generator().manual_seed(0)
LABELS = torch.randint(5, (200,), generator=DRAWS)
LOGITS = torch.randn(200, 5, generator=DRAWS) + 1.5 * torch.nn.functional.one_hot(LABELS, 5)
ANSWERS = LOGITS.argmax(1)
POSITIVE, SURE = LABELS == 2, LOGITS.softmax(1)[:, 2]
TIED = (10 * SURE).round() / 10  # many equal scores


@pytest.mark.parametrize("answers", [ANSWERS, torch.where(ANSWERS == 3, 1, ANSWERS), torch.zeros_like(ANSWERS)])
@pytest.mark.parametrize("labels", [LABELS, torch.where(LABELS == 4, 0, LABELS)])
def test_report_agrees_with_scikit_learn_also_where_it_divides_by_nothing(labels, answers):
    report = class_report(confusion_matrix(labels, answers, 5))
    theirs = sk.precision_recall_fscore_support(labels, answers, labels=range(5), zero_division=0)
    for ours, expected in zip((report.precision, report.recall, report.f1, report.support), theirs, strict=True):
        assert ours.numpy() == pytest.approx(expected)
    macro = sk.precision_recall_fscore_support(labels, answers, labels=range(5), average="macro", zero_division=0)[:3]
    assert report.macro() == pytest.approx(macro)


@pytest.mark.parametrize("sure", [SURE, TIED, -SURE])
def test_the_curve_agrees_with_scikit_learn(sure):
    roc = roc_curve(POSITIVE, sure)
    theirs = sk.roc_curve(POSITIVE, sure.double(), drop_intermediate=False)
    for ours, expected in zip((roc.x, roc.y, roc.thresholds), theirs, strict=True):
        assert ours.numpy() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (confusion_matrix, (LABELS, ANSWERS[:9], 5), r"Expected one answer for each.*logits.argmax\(1\)"),
        (confusion_matrix, (LABELS[:0], ANSWERS[:0], 5), "Expected one answer for each"),
        (confusion_matrix, (LABELS, LOGITS, 5), "Expected one answer for each"),
        (confusion_matrix, (LABELS, ANSWERS, 4), "go from 0 to 4, but 0 to 3 was expected"),
        (confusion_matrix, (LABELS - 1, ANSWERS, 5), "go from -1 to 4"),
        (roc_curve, (torch.zeros(200, dtype=torch.bool), SURE), "0 of 200 images are positive"),
        (roc_curve, (POSITIVE, SURE * torch.inf), "finite"),
        (roc_curve, (LABELS, SURE), r"Expected bool \[N\]"),
        (roc_curve, (POSITIVE, LOGITS), "one score an image"),
        (class_report, (torch.zeros(2, 3, dtype=torch.int64),), r"got shape \[2, 3\]"),
    ],
)
def test_what_does_not_fit_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
