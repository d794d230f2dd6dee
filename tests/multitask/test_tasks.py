"""Tasks: their answers side by side, what is missing, and units."""

import numpy as np
import pytest
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.multitask.tasks import CLASS, Task, answers_to, in_its_own_unit, only, tasks_of


def characters(count=8, **attributes):
    """Images of three classes; attributes beside those that are given: `serif`, and an angle in degrees."""
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, 32, 32), generator=draws).byte()
    known = {"serif": torch.arange(count) % 2, "angle": torch.linspace(-20, 22, count)}
    return ImageSet(images, torch.arange(count) % 3, ("a", "b", "c"), known | attributes)


def test_answers_stand_side_by_side():
    data = characters()
    answers = answers_to(data, ["serif", CLASS, "angle"])
    expected = np.stack([data.attributes["serif"], data.labels, data.attributes["angle"]], 1)
    np.testing.assert_array_equal(answers.numpy(), expected.astype(np.float32))
    assert torch.equal(answers, answers_to(data, [Task("serif", 2), Task(CLASS, 3), Task("angle")]))


def test_a_missing_answer_is_nan_whatever_stands_for_it():
    serif = torch.tensor([0, 1, -1, 1, 0, -1, 0, 1])
    angle = torch.linspace(-20, 22, 8).where(torch.arange(8) != 3, torch.nan)
    answers = answers_to(characters(serif=serif, angle=angle), ["serif", "angle"])
    assert answers.isnan().nonzero().tolist() == [[2, 0], [3, 1], [5, 0]]


def test_tasks_are_made_as_training_data_suggest():
    data = characters()
    label, serif, angle = tasks_of(data, [CLASS, "serif", "angle"])
    assert (label, serif) == (Task(CLASS, 3), Task("serif", 2))
    assert [task.outputs for task in (label, serif, angle)] == [3, 2, 1]
    values = data.attributes["angle"].numpy()
    assert angle.middle == pytest.approx(values.mean(), abs=1e-5)
    assert angle.spread == pytest.approx(values.std(ddof=1), abs=1e-5)
    assert in_its_own_unit(angle) == Task("angle")


def test_missing_answers_have_no_say_in_a_task():
    angle = torch.linspace(-20, 22, 8)
    some = tasks_of(characters(angle=angle.where(angle < 0, torch.nan)), ["angle"])[0]
    assert some.middle == pytest.approx(angle[angle < 0].mean().item(), abs=1e-5)
    serif = torch.tensor([0, 1, -1, 1, 0, -1, 0, 1])
    assert tasks_of(characters(serif=serif), ["serif"]) == [Task("serif", 2)]


def test_only_some_images_keep_an_answer():
    answers = answers_to(characters(), [CLASS, "angle"])
    before = answers.clone()
    known = torch.arange(8) < 3
    kept = only(answers, 0, known)
    assert torch.equal(kept[:, 0].isnan(), ~known)
    assert torch.equal(kept[known], answers[known])
    assert torch.equal(kept[:, 1], answers[:, 1])
    assert torch.equal(answers, before), "what was given stays as it was"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: answers_to(characters(), ["weight"]), r"\['weight'\].* Expected some of: 'class', 'serif', 'angle'"),
        (lambda: answers_to(characters(), []), "no task at all"),
        (lambda: tasks_of(characters(serif=torch.zeros(8, dtype=torch.int64)), ["serif"]), "8 known .*1 different"),
        (lambda: tasks_of(characters(angle=torch.full((8,), torch.nan)), ["angle"]), "has 0 known answers"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
