import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as their_roc_curve
from sklearn.neighbors import NearestNeighbors

from tlcourse.evaluation.strange import auroc, class_distance, energy, missed, neighbour_distance, unsureness

DRAWS = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(50, 4, generator=DRAWS)
LABELS = torch.arange(120) % 3
KNOWN = torch.randn(120, 5, generator=DRAWS) @ torch.randn(5, 5, generator=DRAWS) + 4 * torch.eye(3, 5)[LABELS]
ASKED = 2 * torch.randn(30, 5, generator=DRAWS)


def test_scores_of_logits_are_those_of_numpy():
    raw = np.exp(LOGITS.numpy().astype(float))
    assert unsureness(LOGITS).numpy() == pytest.approx(1 - (raw / raw.sum(1, keepdims=True)).max(1))
    assert energy(LOGITS).numpy() == pytest.approx(-np.log(raw.sum(1)), rel=1e-5)
    assert energy(LOGITS, 2.0).numpy() == pytest.approx(-2 * np.log(np.sqrt(raw).sum(1)), rel=1e-5)


def test_a_sum_added_to_all_logits_is_seen_by_the_energy_alone():
    torch.testing.assert_close(unsureness(LOGITS + 5), unsureness(LOGITS), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(energy(LOGITS + 5), energy(LOGITS) - 5, rtol=1e-5, atol=1e-5)


def test_very_sure_answers_can_still_be_put_in_order():
    scores = unsureness(torch.tensor([[30.0, 0.0], [31.0, 0.0]]))
    assert scores[0] > scores[1] > 0


def test_class_distance_is_the_nearest_mahalanobis_distance():
    means = torch.stack([KNOWN[c == LABELS].mean(0) for c in range(3)])
    around = (KNOWN - means[LABELS]).numpy()
    theirs = EmpiricalCovariance(assume_centered=True).fit(around.astype(float))
    wanted = np.min([theirs.mahalanobis((ASKED - mean).numpy().astype(float)) for mean in means], axis=0)
    assert class_distance(ASKED, KNOWN, LABELS, shrinkage=0).numpy() == pytest.approx(wanted, rel=1e-4)
    shrunk = 0.7 * theirs.covariance_ + 0.3 * np.trace(theirs.covariance_) / 5 * np.eye(5)
    one = min(mahalanobis(ASKED[0], mean, np.linalg.inv(shrunk)) ** 2 for mean in means)
    assert class_distance(ASKED, KNOWN, LABELS, shrinkage=0.3)[0].item() == pytest.approx(one, rel=1e-4)


def test_fewer_images_than_features_still_have_a_distance():
    found = class_distance(ASKED, KNOWN[:4], LABELS[:4])
    assert torch.isfinite(found).all()


def test_neighbour_distance_is_that_of_scikit_learn():
    theirs = NearestNeighbors(n_neighbors=5).fit(KNOWN / KNOWN.norm(dim=1, keepdim=True))
    wanted = theirs.kneighbors(ASKED / ASKED.norm(dim=1, keepdim=True))[0][:, -1]
    assert neighbour_distance(ASKED, KNOWN).numpy() == pytest.approx(wanted, rel=1e-4)
    assert neighbour_distance(KNOWN, KNOWN, 1).numpy() == pytest.approx(0, abs=1e-6)


def test_what_is_far_from_all_classes_is_stranger():
    far = KNOWN.mean(0) - 30 * torch.ones(10, 5)
    assert class_distance(far, KNOWN, LABELS).min() > class_distance(KNOWN, KNOWN, LABELS).max()
    assert neighbour_distance(-KNOWN.mean(0)[None], KNOWN) > neighbour_distance(KNOWN, KNOWN).max()


def test_auroc_and_missed_are_those_of_scikit_learn():
    strange, familiar = (
        (torch.randn(70, generator=DRAWS) + 1).round(decimals=1),
        torch.randn(90, generator=DRAWS).round(decimals=1),
    )
    which, scores = np.r_[np.ones(70), np.zeros(90)], torch.cat([strange, familiar]).numpy()
    assert auroc(strange, familiar) == pytest.approx(100 * roc_auc_score(which, scores))
    false, true, _ = their_roc_curve(1 - which, -scores, drop_intermediate=False)  # familiar ones are positive
    assert missed(strange, familiar) == pytest.approx(100 * false[true >= 0.95][0])


def test_limits_of_telling_apart():
    low, high = torch.zeros(20), torch.ones(30)
    assert (auroc(high, low), auroc(low, high), auroc(low, low)) == (100, 0, 50)
    assert (missed(high, low), missed(low, high), missed(low, low)) == (0, 100, 100)
    assert missed(torch.tensor([0.5]), torch.arange(4.0), kept=0.25) == 0
    assert missed(torch.tensor([0.5]), torch.arange(4.0), kept=0.5) == 100


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy(LOGITS, 0.0), "temperature is 0.0, but a number above 0"),
        (lambda: class_distance(ASKED, KNOWN, LABELS[1:]), r"known ones \[120, 5\], labels \[119\].*a label for each"),
        (lambda: class_distance(ASKED, KNOWN[:3], LABELS[:3]), "do not scatter around their class means"),
        (lambda: class_distance(ASKED, KNOWN, LABELS, shrinkage=2), "shrinkage is 2, but a share from 0 to 1"),
        (lambda: neighbour_distance(ASKED[:, 1:], KNOWN), r"shape \[30, 4\], known ones \[120, 5\]"),
        (lambda: neighbour_distance(ASKED, KNOWN, 121), "neighbour 121 of 120 known images"),
        (lambda: auroc(LOGITS, LOGITS[:, 0]), r"shapes \[50, 4\] and \[50\]"),
        (lambda: auroc(torch.tensor([torch.nan]), torch.zeros(3)), "finite scores"),
        (lambda: missed(torch.ones(3), torch.ones(0)), "at least one image of either kind"),
        (lambda: missed(torch.ones(3), torch.ones(3), 95), "kept is 95, but a share"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
