"""What the challenge of notebook 04 is made of: an archive, and a score that counts only when the promise is kept."""

import numpy as np
import pytest

from tlcourse.evaluation.intervals import t_interval
from tlcourse.lessons.nb04_evaluation import archives
from tlcourse.lessons.nb04_evaluation import checks as ex


def by_t(seed):
    intervals = [t_interval(row) for row in archives.archive(seed)[0].tolist()]
    return np.array([[i.low, i.high] for i in intervals])


def test_an_archive_is_drawn_by_its_seed():
    differences, truths = archives.archive(0)
    assert (differences.shape, truths.shape) == ((2000, 5), (2000,))
    assert differences.mean(1) - truths == pytest.approx(0, abs=8)
    assert abs((differences.mean(1) - truths).mean()) < 0.15  # points: the truths are the means
    archives.archive.cache_clear()
    assert np.array_equal(archives.archive(0)[0], differences)
    assert not np.array_equal(archives.archive(1)[0], differences)


def test_t_intervals_hold_what_they_promise_and_score_0():
    ends = by_t(3)
    assert archives.percent_narrower(ends, 3) == 0
    assert archives.percent_holding(ends, 3) == pytest.approx(95, abs=1.5)
    assert archives.t_width(3) == pytest.approx((ends[:, 1] - ends[:, 0]).mean())


def test_a_width_counts_only_when_the_promise_is_kept():
    truths = archives.archive(2)[1]
    half = archives.t_width(2) / 4
    told = np.stack([truths - half, truths + half], axis=1)  # half as wide, and all of them hold the truth
    assert archives.percent_narrower(told, 2) == pytest.approx(50)
    told[: 2000 * 8 // 100] += 100  # eight in a hundred miss it
    assert archives.percent_holding(told, 2) == pytest.approx(92)
    assert archives.percent_narrower(told, 2) == -100
    details = dict(archives.held_and_width(told, 2))
    assert details["hold the truth"] == "92.0 % of 2,000 intervals"
    assert "t intervals" in details["mean width"]


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_goal_is_reached_whatever_archive_is_drawn(seed):
    differences = archives.archive(seed)[0]
    for source in (ex.q4.reference, ex.q4.alternative):
        ends = ex.q4.made_by(source)(differences.copy())
        assert archives.percent_narrower(ends, seed) > ex.q4.goal + 2


@pytest.mark.parametrize("errors", [(90, 75, 50), (90, 0, 25), (15, 0, 50)])
def test_a_confidence_in_place_of_an_error_is_named_in_whichever_pair(errors):
    assert ex.q1.check([[75, error] for error in errors]).mistake == "takes confidence for the error"


@pytest.mark.parametrize("seed", range(3))
def test_cases_leave_nothing_to_taste(seed):
    """In the mending exercise no two networks tie where a choice is made; in peeking no interval ends at 0."""
    for case in ex.q2.cases(seed):
        hits, fold_of = case.arguments
        sizes = fold_of.unique(return_counts=True)[1]
        assert sizes.unique().numel() == 1  # a mean over folds is the mean over images
        for fold in fold_of.unique() if len(hits) > 1 else ():
            best, second = hits[:, fold_of != fold].sum(1).topk(2).values.tolist()
            assert best > second
    for case in ex.q3.cases(seed):
        (differences,) = case.arguments
        for n in range(3, len(differences) + 1):
            seen = t_interval(differences[:n])
            assert min(abs(seen.low), abs(seen.high)) > 1e-3
