"""The lab of notebook 03: what it trains and measures, what it shows, and what becomes of a run that does not end well.

What every lab promises is tested in `tests/notebook/test_labs.py`.
"""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import within_seeds
from matplotlib.colors import to_hex

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import evaluate
from tlcourse.lessons.nb03_fine_tuning import lab_figures as pictures
from tlcourse.lessons.nb03_fine_tuning import lab_runs as compute
from tlcourse.lessons.nb03_fine_tuning.figures import LINES
from tlcourse.lessons.nb03_fine_tuning.lab import TrainingLab
from tlcourse.lessons.nb03_fine_tuning.lab_runs import LABELS, OFFERED, SHIPPED_RUNS, Found, Measured, Run, Settings
from tlcourse.lessons.nb03_fine_tuning.lab_table import COLUMNS, cells
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training.lr_finder import RangeTest
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe

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
    for mine, theirs in zip(model.state_dict().values(), other.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
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


def test_a_strong_pull_keeps_the_network_where_it_was(quick):
    start = compute.prepare(Settings("L2-SP", 1)).model.stem[0].weight
    free, held = (trained(Settings("L2-SP", 1, strength=s, epochs=2))[1].stem[0].weight for s in (0.0, 10.0))
    assert (held - start).norm() < (free - start).norm()


@pytest.mark.parametrize("strategy", ["fine-tuned", "LP-FT", "L2-SP", "label smoothing", "scratch"])
def test_a_range_test_undoes_everything_but_the_head_of_lp_ft(quick, strategy):
    settings = Settings(strategy, 1)
    prepared = compute.prepare(settings)
    before = {name: tensor.clone() for name, tensor in prepared.model.state_dict().items()}
    *_, found = compute.compute_range(settings, prepared)
    assert found.rates[0] == pytest.approx(1e-4)
    after = prepared.model.state_dict()
    head = {"head.weight", "head.bias"} if strategy == "LP-FT" else set()
    assert {name for name in before if not torch.equal(before[name], after[name])} == head


def test_best_is_the_highest_end_of_the_finished_runs():
    runs = [run(1, 70.0), run(2, 80.0), run(3, 80.0), run(4, 99.0, state="stopped")]
    assert compute.best_of(runs).number == 2
    assert compute.best_of(runs[3:]) is None


@pytest.mark.parametrize(("lr", "nearest"), [(0.0081, 0.007), (0.0088, 0.01), (1e-9, 1e-4), (5.0, 0.1)])
def test_the_nearest_rate_is_nearest_by_ratio(lr, nearest):
    assert compute.nearest_lr(lr) == nearest


def test_the_shipped_run_of_a_head_is_what_the_lab_computes():
    """A head alone is hardly moved by how another processor rounds."""
    shipped = SHIPPED_RUNS[0]
    *_, again = compute.compute_run(replace(shipped, measured=()), compute.prepare(shipped.settings))
    assert again.trained == shipped.trained
    for now, then in zip(again.measured, shipped.measured, strict=True):
        assert now.watched_accuracy == pytest.approx(then.watched_accuracy, abs=3)
        assert now.watched_loss == pytest.approx(then.watched_loss, abs=0.08)
        assert now.learned_loss == pytest.approx(then.learned_loss, abs=0.05)


def test_the_shipped_run_of_everything_is_one_of_those_that_the_lab_computes():
    """Rounding changes where it ends, as another fresh head does; of that, five fresh runs show how much it can be."""
    shipped = SHIPPED_RUNS[1]
    prepared = compute.prepare(shipped.settings)
    start, device = STRATEGIES[shipped.settings.strategy].start, next(prepared.model.parameters()).device

    def again(seed):
        *_, last = compute.compute_run(replace(shipped, measured=()), prepared._replace(model=start(seed).to(device)))
        return last

    fresh = side_by_side(again, [(seed,) for seed in range(5)], progress=False)
    assert {run.trained for run in fresh} == {shipped.trained}
    for what in ("watched_accuracy", "watched_loss"):
        then, *now = ([getattr(m, what) for m in run.measured] for run in (shipped, *fresh))
        assert {len(run) for run in now} == {len(then)}
        assert within_seeds([np.mean(then)], [np.mean(run) for run in now]), what
        assert within_seeds(then[-1:], [run[-1] for run in now]), what


# What is shown


def test_the_picture_shows_the_runs_that_have_a_place_and_lifts_the_best():
    runs = [run(1, 90.0), run(2, 40.0, depth=5), run(3, 95.0, state="stopped")]
    accuracy, loss = pictures.draw_runs(runs, {1: 0, 2: 3}, None, 0.003).axes
    lines = {line.get_label(): line for line in accuracy.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["1: fine-tuned (best)", "2: fine-tuned, 5 frozen"]
    assert [line.get_linewidth() > 3 for line in lines.values()] == [True, False]
    assert list(lines["2: fine-tuned, 5 frozen"].get_ydata()) == [20.0, 40.0]
    assert to_hex(lines["2: fine-tuned, 5 frozen"].get_color()) == LINES[3][0].lower()
    assert "best" in [text.get_text() for text in accuracy.texts]
    watched, learned = loss.lines[:2]
    assert (list(watched.get_ydata()), watched.get_marker()) == ([2.0, 1.0], "o")
    assert (list(learned.get_ydata()), learned.get_marker()) == ([1.0, 0.5], "None")


def test_the_axis_has_room_for_the_whole_run_while_it_grows():
    growing = replace(run(), settings=Settings(epochs=20), state="training")
    assert pictures.draw_runs([growing], {1: 0}, None, 0.003).axes[0].get_xlim()[1] > 20


def test_a_range_test_is_drawn_with_its_suggestion_and_the_chosen_rate():
    found = Found(TEST, Settings("LP-FT", 1))
    names = pictures.draw_runs([], {}, found, 0.003).axes[2].get_legend_handles_labels()[1]
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
        ([run(1, 50.0), run(2, 60.0)], "Shown: 1 of 2. Best of 2 finished: run 2 with 60 %."),
        ([run(1, 60.0), run(2, 60.0)], "run 1 with 60 %; run 2 is as good."),
        ([run(1, 58.0), run(2, 60.0)], "run 2 with 60 %; 2.0 points above run 1, which can be chance."),
    ],
)
def test_the_sentence_says_how_it_went(runs, said):
    assert said in pictures.describe_runs(runs, {1: 0})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (run(1, 80.0), ["fine-tuned", "5", "0.003", "0", "–", "2", "1.00", "80 % best", "1.5 s"]),
        (SHIPPED_RUNS[0], ["fine-tuned", "5", "0.01", "5", "–", "8", "0.82", "74 % best", "shipped"]),
        (
            Run(1, Settings("gradual unfreezing")),
            ["gradual unfreezing", "5", "0.003", "by turns", "–", "0 of 8", "", " best", "training"],
        ),
    ],
)
def test_a_row_of_the_table(given, expected):
    assert cells(given, best=True) == expected
    assert len(expected) == len(COLUMNS)


# The widget


def test_it_begins_with_two_runs_and_trains_nothing_by_itself(lab):
    assert list(lab.runs) == [1, 2]
    assert "Best of 2 finished: run 2" in lab.sentence.value
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
    assert "run 2 with 86 %" in lab.sentence.value


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


def test_ticks_choose_what_is_laid_over(lab):
    ticks, before = lab.run_table.ticks, lab.picture.value
    ticks[1].value = False
    assert lab.picture.value != before
    assert "Shown: 1 of 2." in lab.sentence.value
    ticks[2].value = False
    assert "Shown: 0 of 2." in lab.sentence.value
    ticks[1].value = True
    assert "Shown: 1 of 2." in lab.sentence.value


def test_there_is_room_for_six_lines(lab):
    table = lab.run_table
    for number in range(3, 9):
        lab.runs[number] = run(number, 40.0)
        lab.redraw()
    assert sorted(table.places) == [2, 4, 5, 6, 7, 8]  # run 2 is the best and stays
    assert sorted(table.places.values()) == list(range(6))
    table.ticks[1].value = True
    assert not table.ticks[1].value
    assert "room for 6 lines" in lab.status.value
    table.ticks[4].value = False
    table.ticks[1].value = True
    assert 1 in table.places
    assert [row.children[0].description for row in table.rows.children] == [str(n) for n in range(8, 0, -1)]


def test_clear_begins_again(lab):
    lab.clear()
    assert lab.runs == {}
    assert "No runs." in lab.sentence.value
    lab.run()
    assert lab.wait(20)
    assert list(lab.runs) == [1]


def test_files_are_written_and_it_says_where(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lab.folder = " "
    lab.csv()
    assert f"Wrote {tmp_path / 'training-lab.csv'}." in lab.status.value
    lab.folder = str(tmp_path / "new")
    for button in (lab.csv, lab.csv, lab.png):
        button()
    assert "in place of the older one" not in lab.status.value
    assert (tmp_path / "new" / "training-lab.png").read_bytes().startswith(b"\x89PNG")
    lab.png()
    assert "in place of the older one" in lab.status.value


def test_the_csv_has_a_row_an_epoch(lab, tmp_path):
    runs = [run(1), run(2, strategy="gradual unfreezing"), run(3, strategy="L2-SP", strength=1.0)]
    lab.runs = {one.number: one for one in runs}
    lab.folder = str(tmp_path)
    lab.csv()
    with open(tmp_path / "training-lab.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["epoch"]) for row in rows] == [(str(n), str(e)) for n in (1, 2, 3) for e in (1, 2)]
    assert [row["frozen_stages"] for row in rows[::2]] == ["0", "", "0"]
    assert [row["l2sp_strength"] for row in rows[::2]] == ["", "", "1.0"]
    assert (float(rows[1]["watched_accuracy"]), float(rows[1]["learned_loss"])) == (50.0, 0.5)


@pytest.mark.parametrize("folder", ["a file/inside", "~nobody-of-this-name", "a\0b"])
def test_what_cannot_be_written_is_said(lab, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("kept")
    lab.folder = folder
    for button in (lab.csv, lab.png):
        button()
        assert "Not written:" in lab.status.value
    assert (tmp_path / "a file").read_text() == "kept"
