"""The lab of notebook 03: what it trains and measures, what it shows, and what becomes of a run that does not end well.

What every lab promises is tested in `tests/notebook/test_labs.py`.
"""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from agreement import FRESH_SEEDS, within_seeds

from tests.weights import changed, copies, equal
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import evaluate
from tlcourse.lessons.nb03_fine_tuning import lab_figures as pictures
from tlcourse.lessons.nb03_fine_tuning import lab_runs as compute
from tlcourse.lessons.nb03_fine_tuning.lab import TrainingLab
from tlcourse.lessons.nb03_fine_tuning.lab_runs import LABELS, OFFERED, SHIPPED_RUNS, Found, Measured, Run, Settings
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training.lr_finder import RangeTest
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import freeze

QUICK = Recipe(epochs=2, steps=2, batch=8)
TEST = RangeTest((1e-3, 1e-2, 1e-1, 1.0), (2.0, 1.0, 0.5, 3.0), (2.0, 1.0, 0.5, 3.0))


def run(number=1, ends=50.0, state="finished", **settings):
    measured = tuple(Measured(1.0 / e, 60.0, 2.0 / e, a) for e, a in ((1, 20.0), (2, ends)))
    return Run(number, Settings(epochs=2, **settings), measured, state, 1000, 1.5)


@pytest.fixture
def quick(monkeypatch):
    """Trainings and range tests that take a moment only, on few images."""
    half = load("handwritten-photo")
    monkeypatch.setattr(compute, "choose_images", lambda per_class: (half.few(per_class), half.few(1, seed=1)))
    train, find = compute.compute_run, compute.compute_range
    monkeypatch.setattr(compute, "compute_run", lambda *values: train(*values, QUICK))
    monkeypatch.setattr(compute, "compute_range", lambda *values: find(*values, QUICK))


@pytest.fixture
def lab(quick):
    made = TrainingLab()
    made.epochs = 2
    yield made
    assert made.close()


def trained(settings):
    prepared = compute.prepare(settings)
    *_, last = compute.compute_run(Run(1, settings), prepared)
    return last, prepared.model


# What is computed


@pytest.mark.parametrize("per_class", LABELS)
def test_what_is_watched_was_not_learned_from(per_class):
    learn, watch = compute.choose_images(per_class)
    assert len(learn) == 10 * per_class
    assert len(watch) == compute.WATCHED
    assert watch.shared_with(learn) == 0
    assert watch.shared_with(load("handwritten-photo", split="test")) == 0


@pytest.mark.parametrize("strategy", OFFERED)
def test_every_strategy_is_trained_as_the_course_does_it(quick, strategy):
    settings = Settings(strategy, 1, epochs=2)
    last, model = trained(settings)
    other = compute.prepare(settings)
    STRATEGIES[strategy].train(other.model, other.learn, 0, settings.lr, QUICK)
    assert equal(model, other.model)
    assert (last.state, len(last.measured)) == ("finished", 2)
    assert last.measured[-1] == (*evaluate(model, other.check), *evaluate(model, other.watch))


def test_depth_freezes_and_gradual_unfreezing_decides_for_itself(quick):
    counts = {
        (strategy, depth): trained(Settings(strategy, 1, depth=depth, epochs=2))[0].trained
        for strategy in ("fine-tuned", "gradual unfreezing")
        for depth in (0, 5)
    }
    assert (counts["fine-tuned", 0], counts["fine-tuned", 5]) == (309_114, 1290)
    assert counts["gradual unfreezing", 0] == counts["gradual unfreezing", 5]


@pytest.mark.parametrize("strategy", ["fine-tuned", "LP-FT", "L2-SP"])
def test_a_range_test_undoes_everything_but_the_head_of_lp_ft(quick, strategy):
    settings = Settings(strategy, 1)
    prepared = compute.prepare(settings)
    before = copies(prepared.model)
    *_, found = compute.compute_range(settings, prepared)
    assert found.rates[0] == pytest.approx(1e-4)
    assert changed(prepared.model, before) == ({"head.weight", "head.bias"} if strategy == "LP-FT" else set())


def test_best_is_the_highest_end_of_the_finished_runs_with_as_many_labels():
    runs = [run(0, 99.0, per_class=50), run(1, 70.0), run(2, 80.0), run(3, 80.0), run(4, 99.0, state="stopped")]
    assert [one.number for one in compute.comparable(runs)] == [2, 3, 1]
    assert compute.comparable(runs[4:]) == []


@pytest.mark.parametrize(("lr", "nearest"), [(0.0081, 0.007), (0.0088, 0.01), (1e-9, 1e-4), (5.0, 0.1)])
def test_the_nearest_rate_is_nearest_by_ratio(lr, nearest):
    assert compute.nearest_lr(lr) == nearest


@pytest.mark.parametrize("shipped", SHIPPED_RUNS, ids=["head alone", "everything"])
def test_the_shipped_runs_are_some_of_those_that_the_lab_computes(shipped):
    """Rounding changes where one ends, as another fresh head does; of that, fresh runs show how much it can be."""
    prepared = compute.prepare(shipped.settings)

    def again(seed):
        model = STRATEGIES[shipped.settings.strategy].start(seed).to(next(prepared.model.parameters()).device)
        freeze(model, shipped.settings.depth)
        *_, last = compute.compute_run(replace(shipped, measured=()), prepared._replace(model=model))
        return last

    fresh = side_by_side(again, [(seed,) for seed in FRESH_SEEDS], progress=False)
    assert {run.trained for run in fresh} == {shipped.trained}
    for what in ("watched_accuracy", "watched_loss"):
        then, *now = ([getattr(m, what) for m in run.measured] for run in (shipped, *fresh))
        assert {len(run) for run in now} == {len(then)}
        assert within_seeds(then[-1:], [run[-1] for run in now]), what


# What is shown


def test_the_picture_shows_the_last_six_runs_and_lifts_the_best():
    runs = [run(n, 40.0) for n in range(1, 6)] + [run(6, 90.0), run(7, 40.0, strategy="L2-SP", strength=1.0)]
    accuracy, loss = pictures.draw_runs(runs, None, 0.003).axes
    names = [line.get_label() for line in accuracy.lines]
    assert len(names) == 6
    assert names[-2] == "6: fine-tuned, 5 per class, rate 0.003 (best)"
    assert names[-1] == "7: L2-SP, 5 per class, rate 0.003, pull 1"
    assert [line.get_linewidth() > 3 for line in accuracy.lines] == [False] * 4 + [True, False]
    assert list(accuracy.lines[0].get_ydata()) == [20.0, 40.0]
    assert 0 < accuracy.get_ylim()[0] < 20
    assert len({(line.get_color(), line.get_marker()) for line in accuracy.lines}) == 6
    watched, learned = loss.lines[:2]
    assert (list(watched.get_ydata()), list(learned.get_ydata())) == ([2.0, 1.0], [1.0, 0.5])


def test_a_range_test_is_drawn_with_its_suggestion_and_the_chosen_rate():
    found = Found(TEST, Settings("LP-FT", 1))
    names = pictures.draw_runs([], found, 0.003).axes[2].get_legend_handles_labels()[1]
    assert names == ["lowest, 0.1", "a third, 0.033", "chosen, 0.003"]
    said = pictures.describe_found(found)
    assert "(LP-FT, 1 label): lowest at 0.1; a third, 0.033, is 0.03 on the slider" in said


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([], "No runs."),
        ([run(1, state="training")], "trains: after epoch 2 of 2 it reads 50 % of 300 watched images"),
        ([replace(run(1, state="training"), measured=())], "is in its first epoch"),
        ([run(1, state="stopped")], "was stopped: after epoch 2"),
        ([run(1, state="broke")], "broke: after epoch 2"),
        ([run(1)], "moved 1,000 weights and reads 50 %"),
        ([run(1, 50.0), run(2, 60.0)], "Best of 2 runs with 5 labels per class: run 2, 60 %."),
        ([run(1, 60.0), run(2, 60.0)], "run 1, 60 %; not alone."),
        ([run(1, 58.0), run(2, 60.0)], "run 2, 60 %; 2.0 points above run 1, which can be chance."),
    ],
)
def test_the_sentence_says_how_it_went(runs, said):
    assert said in pictures.describe_runs(runs)


def test_the_table_has_a_row_a_run_the_newest_first():
    runs = [*SHIPPED_RUNS, run(3, 80.0), Run(4, Settings("gradual unfreezing"))]
    table = pictures.table_of(runs)
    assert table.run.tolist() == [4, 3, 2, 1]
    assert table.frozen.tolist() == ["by turns", 0, 0, 5]
    assert table.epochs.tolist() == ["0 of 8", 2, 8, 8]
    assert table.accuracy.tolist() == ["", "80.0 %", "86.0 %", "74.0 %"]
    assert table.took.tolist() == ["training", "1.5 s", "shipped", "shipped"]


# The widget


def test_it_begins_with_two_runs_and_trains_nothing_by_itself(lab):
    assert list(lab.runs) == [1, 2]
    assert "Best of 2 runs with 5 labels per class: run 2" in lab.sentence.value
    assert not lab.running


def test_what_means_nothing_to_a_strategy_is_switched_off(lab):
    def off(strategy):
        lab.strategy = strategy
        return lab.controls["depth"].disabled, lab.controls["strength"].disabled

    assert (off("fine-tuned"), off("gradual unfreezing"), off("L2-SP")) == ((False, True), (True, True), (False, False))


def steps_of(lab):
    """The job Run, to be gone through by hand on this thread."""
    return TrainingLab.run.function(lab)


def test_a_run_grows_in_the_picture_and_joins_the_table(lab):
    before, steps = lab.picture.value, steps_of(lab)
    assert next(steps) == 0
    assert 0 < next(steps) < next(steps)
    assert "after epoch 1 of 2" in lab.sentence.value
    assert lab.picture.value != before
    lab.per_class = 20  # other controls answer meanwhile
    assert "Next: LP-FT, 20 labels" in lab.controls["plan"].value
    assert all(0 < done <= 1 for done in steps)  # fewer updates than its budget, so it ends before the bar does
    assert (lab.runs[3].state, lab.runs[3].settings.per_class) == ("finished", 5)


@pytest.mark.parametrize("updates", [1, 3])
def test_a_stopped_run_is_kept_from_its_first_epoch_on(lab, updates):
    steps = steps_of(lab)
    for _ in range(updates + 1):
        next(steps)
    with pytest.raises(StopIteration) as end:
        steps.throw(GeneratorExit)
    if updates == 1:
        assert "before its first epoch was over" in end.value.value
        assert list(lab.runs) == [1, 2]
    else:
        assert "cannot be the best" in end.value.value
        assert (lab.runs[3].state, len(lab.runs[3].measured)) == ("stopped", 1)


def test_an_error_in_a_run_leaves_nothing_behind(lab, monkeypatch):
    monkeypatch.setattr(compute, "compute_run", lambda *_: 1 / 0)
    lab.run()
    with pytest.raises(ZeroDivisionError):
        lab.wait(20)
    assert list(lab.runs) == [1, 2]


def test_a_rate_that_breaks_the_training_is_explained(lab, monkeypatch):
    real = STRATEGIES["LP-FT"].steps

    def breaks(*values):
        losses = list(real(*values))
        yield from [*losses[:3], torch.tensor(torch.inf)]

    monkeypatch.setitem(STRATEGIES, "LP-FT", replace(STRATEGIES["LP-FT"], steps=breaks))
    lab.run()
    assert lab.wait(20)
    assert lab.runs[3].state == "broke"
    assert "the loss became inf in epoch 1" in lab.status.value
    assert "Run 3" in lab.sentence.value


def test_a_range_test_suggests_a_rate_and_one_click_takes_it(lab):
    assert lab.controls["take"].disabled
    lab.find()
    assert lab.wait(20)
    assert "Range test (LP-FT, 5 labels)" in lab.sentence.value
    lab.found = Found(TEST, lab.settings)
    lab.redraw()
    assert lab.controls["take"].description == "Take rate 0.03"
    lab.take()
    assert lab.lr == 0.03


def test_clear_begins_again(lab):
    lab.clear()
    assert lab.runs == {}
    assert "No runs." in lab.sentence.value
    lab.run()
    assert lab.wait(20)
    assert list(lab.runs) == [1]


def test_the_csv_has_a_row_an_epoch(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [run(1), run(2, strategy="gradual unfreezing"), run(3, strategy="L2-SP", strength=1.0)]
    lab.runs = {one.number: one for one in runs}
    lab.csv()
    assert f"Wrote {tmp_path / 'training-lab.csv'}." in lab.status.value
    rows = pd.read_csv(tmp_path / "training-lab.csv")
    assert list(zip(rows.run, rows.epoch, strict=True)) == [(n, e) for n in (1, 2, 3) for e in (1, 2)]
    assert rows.frozen_stages.fillna(-1).tolist() == [0, 0, -1, -1, 0, 0]
    assert rows.pull.fillna(-1).tolist() == [-1, -1, -1, -1, 1, 1]
    assert (rows.watched_accuracy[1], rows.learned_loss[1]) == (50, 0.5)


def test_what_cannot_be_written_is_said(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "training-lab.csv").mkdir()
    lab.csv()
    assert "Not written:" in lab.status.value
