"""A time budget: what is planned is what fits, the clock holds it, and with time enough nothing is otherwise."""

import itertools
import math
import re
import time
import types

import pytest
import torch

from tlcourse import cli
from tlcourse.cli import main
from tlcourse.data.worlds import load
from tlcourse.photos import pipeline
from tlcourse.photos.budget import AT_THE_END, CAREFUL, Budget, seconds_a_photograph, seconds_an_update
from tlcourse.photos.classifier import WEIGHTS, load_classifier
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import COURSE_PREPROCESSING, photo_network
from tlcourse.photos.pipeline import train_on_photos
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.scan import scan
from tlcourse.photos.views import RandomView
from tlcourse.training.checkpoint import copy_weights

CHANGES = {"epochs": 2, "view": RandomView(smallest=0.7, mirror=False)}
TEN = PhotoRecipe(epochs=10)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_image_folder(load("handwritten-photo").few(8), tmp_path_factory.mktemp("budget") / "digits")


@pytest.fixture(scope="module")
def photos(folder):
    return inspect(scan(folder), progress=False).photos


def train(photos, budget=None, **options):
    how = {"recipe": "full", "changes": CHANGES, "device": "cpu", "progress": False}
    return train_on_photos(photos, "tiny_resnet", budget=budget, **how | options)


@pytest.fixture(scope="module")
def at_leisure(photos):
    return train(photos)


# planning


def test_what_is_planned_fits_and_one_epoch_more_would_not():
    """By trying all numbers of epochs, on a clock that has run for a while."""
    for minutes, update, updates, validation, end in itertools.product((1, 3), (0.2, 2), (5, 30), (0.5, 6), (1, 9)):
        clock = Clock()
        budget = Budget(minutes, clock)
        clock.now += 11
        left = CAREFUL * (60 * minutes - 11 - end - AT_THE_END)
        cost = [epochs * (updates * update + validation) for epochs in range(11)]
        expected = max(epochs for epochs in range(11) if cost[epochs] <= left)
        fits = budget.plan(TEN, update, updates, validation, end)
        if expected:
            assert (fits.epochs, fits.steps) == (expected, None)
            assert f"{expected} of 10 epochs" in budget.in_words()["time budget"]
        elif fits.epochs:
            assert 5 <= fits.steps < updates
            assert fits.steps * update + validation <= left < (fits.steps + 1) * update + validation
        else:
            assert 5 * update + validation > left


def test_with_plenty_of_time_the_recipe_stays_as_it_is_and_with_none_there_is_no_training():
    assert Budget(1000, Clock()).plan(TEN, 1, 10, 1, 1) == TEN
    none = Budget(0.2, Clock())
    assert none.plan(TEN, 10, 10, 1, 1).epochs == 0
    assert "there was no time for a training" in none.in_words()["time budget"]


def test_the_clock_says_stop_where_only_what_is_kept_for_the_end_is_left():
    clock = Clock()
    budget = Budget(1, clock)
    budget.plan(TEN, 0.1, 10, 2, 5)  # the last epoch is validated still, then comes the end
    clock.now += 60 - 2 - 5 - AT_THE_END - 0.01
    assert not budget.over()
    clock.now += 0.02
    assert budget.over()
    assert str(budget).startswith("Of 1 minutes, 0.75 were used.")
    clock.now += 30
    assert "1.3 were used, more than planned" in str(budget)


def test_what_went_by_before_is_counted_and_a_plan_that_is_far_too_short_warns():
    clock = Clock()
    budget = Budget(1, clock, began=clock.now - 20)
    assert (budget.used, budget.left) == (20, 40)
    budget.plan(TEN, 1, 6, 0, 0)
    assert "4 of 10 epochs were planned" in budget.in_words()["time budget"]
    assert "seldom beats the linear probe" in budget.in_words()["time budget"]
    budget.plan(TEN, 1, 5, 0, 0)
    assert budget.in_words()["time budget"].endswith(
        "5 of 10 epochs were planned, 25 updates, of 1 s each as measured here"
    )


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_a_budget_is_a_number_above_0(minutes):
    with pytest.raises(ValueError, match=r"--budget is (0|-1|nan|inf), but a number of minutes above 0 was expected"):
        Budget(minutes)


def test_what_cannot_even_be_looked_at_is_refused_and_what_is_advised_is_enough():
    with pytest.raises(ValueError, match=r"--budget is 2 minutes.* 1,000 photographs .* about 208 s") as caught:
        Budget(2, Clock()).check(0.2, 1000)
    advised = float(re.search(r"at least ([\d.]+) minutes", str(caught.value))[1])
    assert 208 / 60 < advised < 5
    Budget(advised, Clock()).check(0.2, 1000)


# measuring


def test_what_is_measured_is_about_what_it_takes_and_leaves_the_network_as_it_was(photos):
    model = photo_network("tiny_resnet", 10).model
    before, source = copy_weights(model), open_photos(photos, COURSE_PREPROCESSING, progress=False)
    begin = time.perf_counter()
    update = seconds_an_update(model, source, TEN, "cpu", tried=4)
    taken = time.perf_counter() - begin
    assert 0 < 4 * update < taken
    assert 0 < seconds_a_photograph(model, photos, COURSE_PREPROCESSING) < 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# the whole way


def test_with_time_enough_a_budget_changes_nothing_but_what_is_said(photos, at_leisure):
    budgeted = train(photos, Budget(60))
    ours, theirs = budgeted.model.state_dict(), at_leisure.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    said = budgeted.in_words()
    assert said.pop("time budget").startswith("60 minutes; 2 of 2 epochs were planned, 8 updates")
    assert said == at_leisure.in_words()
    assert set(budgeted.seconds) - set(at_leisure.seconds) == {"planning"}


def test_half_the_time_is_half_the_training(photos, monkeypatch):
    """As if an update took 10 seconds, of which 4 are an epoch."""
    monkeypatch.setattr(pipeline, "seconds_an_update", lambda *_: 10.0)
    lines = []
    result = train(photos, Budget((AT_THE_END + 60) / 60, Clock()), tell=lines.append)
    assert len(result.tuned.history) == result.tuned.recipe.epochs == 1
    assert "1 of 2 epochs were planned, 4 updates, of 10 s each as measured here" in " ".join(lines)
    nothing = train(photos, Budget((AT_THE_END + 20) / 60, Clock()))
    assert nothing.tuned is None
    assert nothing.in_words()["what was kept"] == "the linear probe on the frozen network"


def test_a_part_of_an_epoch_is_so_many_updates(photos, monkeypatch):
    monkeypatch.setattr(pipeline, "seconds_an_update", lambda *_: 10.0)
    result = train(photos, Budget((AT_THE_END + 70) / 60, Clock()), changes=CHANGES | {"batch": 4})
    assert (result.tuned.recipe.epochs, result.tuned.recipe.steps) == (1, 6)
    assert "1 epochs of 6 updates, batches of 4" in str(result.tuned.recipe)
    assert result.tuned.recipe.budget(48)["updates"] == 6


def test_the_clock_ends_a_training_that_is_slower_than_it_was_measured_and_the_best_epoch_stays(photos):
    class Slow(Budget):
        """Asked after every update and epoch; time runs out after one epoch of four updates, and one more update."""

        asked = 0

        def over(self):
            self.asked += 1
            return self.asked >= 6

    result = train(photos, Slow(60), changes=CHANGES | {"epochs": 3})
    history = result.tuned.history
    assert len(history) == len(history.validation_loss) == 2
    assert history.stopped_early
    if result.tuned.kept == "fine-tuned":
        assert result.in_words()["stopped"] == "by the clock, in epoch 2 of 3"


def test_a_budget_and_photographs_without_labels_do_not_go_together(photos):
    with pytest.raises(ValueError, match=r"--budget plans one training, but --unlabelled needs two"):
        train(photos, Budget(60), unlabelled=photos)


# the command


def test_the_command_plans_says_and_holds(folder, tmp_path, capsys, monkeypatch):
    words = ["finetune", str(folder), "--backbone", "tiny_resnet", "--out", str(tmp_path / "m"), "--epochs", "1"]
    assert main([*words, "--budget", "5"]) == 0
    printed = capsys.readouterr().out
    assert re.search(
        r"5 minutes; 1 of 1 epochs were planned, 4 updates, of [\d.e-]+ s each as measured here\.", printed
    )
    assert re.search(r"Of 5 minutes, [\d.]+ were used\.\n", printed)
    assert load_classifier(tmp_path / "m").card.training["time budget"].startswith("5 minutes; 1 of 1 epochs")
    assert "time budget" in (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    monkeypatch.setattr(cli, "time", types.SimpleNamespace(monotonic=lambda: time.monotonic() - 30))
    assert main([*words, "--budget", "5"]) == 0
    assert float(re.search(r"Of 5 minutes, ([\d.]+) were used\.", capsys.readouterr().out)[1]) >= 0.5
    assert main([*words, "--budget", "0.001"]) == 1
    assert re.search(r"--budget is 0\.001 minutes, .* Expected at least [\d.]+ minutes", capsys.readouterr().err)


def test_probe_only_is_one_of_the_methods(folder, tmp_path):
    words = ["finetune", str(folder), "--backbone", "tiny_resnet", "--device", "cpu"]
    ways = {"old": ["--probe-only"], "new": ["--method", "probe"], "both": ["--method", "probe", "--probe-only"]}
    for name, way in ways.items():
        assert main([*words, *way, "--out", str(tmp_path / name)]) == 0
    weights = {(tmp_path / name / WEIGHTS).read_bytes() for name in ways}
    assert len(weights) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "0"], "--budget is 0, but a number of minutes above 0"),
        (["--budget", "nan"], "--budget is nan"),
        (["--budget", "5", "--unlabelled", "elsewhere"], "--budget plans one training"),
        (["--probe-only", "--method", "full"], "got --probe-only and --method full, but expected one of them"),
        (
            ["--recipe", "gentle", "--method", "lora"],
            "got --recipe gentle for --method lora, which has a recipe",
        ),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_done(folder, tmp_path, capsys, words, message):
    options = ["--backbone", "tiny_resnet", "--out", str(tmp_path / "m")]
    assert main(["finetune", str(folder), *options, *words]) == 1
    printed, said = capsys.readouterr()
    assert message in said
    assert not printed
    assert not list(tmp_path.iterdir())
