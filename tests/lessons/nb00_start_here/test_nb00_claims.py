"""What notebook 00 says about its own numbers, measured over several seeds; nothing was chosen on the test half.

Numbers in its prose come from here or from the tables that ship with the course, held against fresh runs below.
"""

from pathlib import Path

import numpy as np
import pytest
from agreement import within_seeds

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb00_start_here.experiment import shifted_trial, trial
from tlcourse.models.pretrained import manifest, pretrained
from tlcourse.notebook.results import as_dict, grid, paired, results
from tlcourse.training.parallel import side_by_side
from tlcourse.training.pretrain import HELD_OUT, NAMES, WORLD
from tlcourse.training.recipe import train as train_by_recipe
from tlcourse.training.starts import STARTS, starting_model

SEEDS = range(10)
FRESH_SEEDS = range(3)  # of trainings that are compared with a table


@pytest.fixture(scope="module")
def fresh():
    """Every start with 5 and with 50 labels per class, computed now: 60 trainings, about 80 seconds on two cores."""
    return grid(trial, progress=False, per_class=[5, 50], seed=SEEDS, start=STARTS)


@pytest.fixture(scope="module")
def shipped():
    return results("labels_curve")


def scores(trials, start, per_class):
    chosen = trials[(trials.start == start) & (trials.per_class == per_class)]
    return chosen.sort_values("seed").accuracy.tolist()


def gain(trials, start, per_class, over="scratch"):
    return as_dict(paired(trials, "accuracy", "start", start, over, by="per_class"))[per_class]


def mean(trials, start, per_class):
    return np.mean(scores(trials, start, per_class))


def test_with_5_labels_fine_tuning_is_far_above_scratch(fresh):
    """Letters to digits: other classes, so a new head."""
    interval = gain(fresh, "fine-tuned", 5)
    assert interval.mean >= 25
    assert interval.low >= 18


def test_with_50_labels_transfer_is_no_worse_than_scratch(fresh):
    assert gain(fresh, "fine-tuned", 50).low > 0


def test_with_50_labels_the_linear_probe_is_worse_than_scratch(fresh):
    """The honest exhibit of negative transfer in notebook 00."""
    assert gain(fresh, "linear probe", 50).high < 0


def test_the_gain_melts_to_less_than_a_third(fresh):
    assert gain(fresh, "fine-tuned", 50).mean < gain(fresh, "fine-tuned", 5).mean / 3


def test_fine_tuning_with_5_labels_does_about_as_well_as_scratch_with_50(fresh):
    assert mean(fresh, "fine-tuned", 5) == pytest.approx(mean(fresh, "scratch", 50), abs=4)


def test_every_linear_probe_with_5_labels_passes_the_exercise(fresh):
    assert min(scores(fresh, "linear probe", 5)) >= 70


@pytest.mark.parametrize("per_class", [5, 50])
@pytest.mark.parametrize("start", STARTS)
def test_the_shipped_table_agrees_with_a_fresh_run(fresh, shipped, start, per_class):
    ours, theirs = (scores(trials, start, per_class) for trials in (fresh, shipped))
    assert within_seeds(ours, theirs)
    if start == "linear probe":  # only a head is trained, so another processor changes little
        assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=2.5)


@pytest.mark.parametrize("per_class", [1, 2, 5, 10])
def test_up_to_10_labels_the_gain_is_more_than_20_points(shipped, per_class):
    assert gain(shipped, "fine-tuned", per_class).mean > 20


def test_with_2_labels_the_gain_is_largest(shipped):
    gains = {k: gain(shipped, "fine-tuned", k).mean for k in (1, 2, 5, 10, 20, 50)}
    assert max(gains, key=gains.get) == 2
    assert gain(shipped, "fine-tuned", 50).low > 0


def test_with_1_label_the_linear_probe_is_as_good_as_fine_tuning(shipped):
    interval = gain(shipped, "fine-tuned", 1, over="linear probe")
    assert interval.low < 0 < interval.high


@pytest.mark.parametrize("per_class", [2, 5, 10, 20, 50])
def test_from_2_labels_on_fine_tuning_is_clearly_above_the_linear_probe(shipped, per_class):
    assert gain(shipped, "fine-tuned", per_class, over="linear probe").low > 0


def test_with_20_labels_the_linear_probe_no_longer_beats_scratch(shipped):
    assert gain(shipped, "linear probe", 10).low > 0
    assert gain(shipped, "linear probe", 20).low <= 0


def test_a_source_with_the_same_classes_helps_about_as_much(fresh):
    digits = grid(trial, progress=False, start=["fine-tuned"], per_class=[5], seed=range(5), source=["digits"])
    assert mean(digits, "fine-tuned", 5) == pytest.approx(np.mean(scores(fresh, "fine-tuned", 5)[:5]), abs=4)


@pytest.mark.parametrize("name", NAMES)
def test_source_accuracy_is_what_the_manifest_says(name):
    """On the same 10,000 held-out images; only rounding on another processor may turn a few answers.

    A smaller or other draw would not do: images share fonts and patches of the photograph, so the accuracy of 2,000
    varies from draw to draw by more than that of 2,000 independent ones.
    """
    network, source = name.split("-")
    held_out = load(WORLD, source, "test", count=HELD_OUT, seed=manifest()[name]["seed"])
    assert accuracy(pretrained(network, source), held_out) == pytest.approx(
        manifest()[name]["source_accuracy"], abs=0.1
    )


def test_a_network_from_scratch_knows_its_labelled_images_by_heart():
    """The trap of notebook 00."""
    train, test = load("handwritten-photo"), load("handwritten-photo", split="test")

    def by_heart_and_new(seed):
        model, labelled = starting_model("scratch", seed), train.few(5, seed)
        train_by_recipe(model, labelled, seed=seed)
        return accuracy(model, labelled), accuracy(model, test)

    by_heart, new = np.mean(side_by_side(by_heart_and_new, [(seed,) for seed in FRESH_SEEDS], progress=False), 0)
    assert by_heart >= 98
    assert new <= 75
    assert test.shared_with(train) == 0


def test_fine_tuning_trains_about_240_times_as_many_weights(shipped):
    trained = shipped.groupby("start").trained.first()
    assert trained["fine-tuned"] / trained["linear probe"] == pytest.approx(240, rel=0.01)


def test_the_readme_repeats_the_shipped_table(shipped):
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    tuned, scratch = (mean(shipped, start, 5) for start in ("fine-tuned", "scratch"))
    assert f"With 5, fine-tuning it reads {tuned:.1f} % of new handwriting" in readme
    assert f"the same network from scratch reads {scratch:.1f} %" in readme


@pytest.mark.parametrize(("source", "start"), [("none", "scratch"), ("letters", "linear probe")])
def test_the_shipped_dial_agrees_with_fresh_turns(source, start):
    shifts = (0.0, 0.5, 1.0)
    plan = {"source": [source], "start": [start], "per_class": [5]}
    fresh = grid(shifted_trial, progress=False, **plan, seed=FRESH_SEEDS, shifts=[shifts])
    shipped = results("dial").query("source == @source and start == @start and per_class == 5")
    for shift in shifts:
        ours = fresh[fresh["shift"] == shift].accuracy.tolist()
        theirs = shipped[shipped["shift"] == shift].set_index("seed").accuracy
        assert within_seeds(ours, theirs.tolist()), shift
        if start == "linear probe":
            assert np.mean(ours) == pytest.approx(theirs[list(FRESH_SEEDS)].mean(), abs=2.5), shift
