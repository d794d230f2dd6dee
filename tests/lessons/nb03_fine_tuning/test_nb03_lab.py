"""The training bench: what it trains and measures, what it shows, that it stops, and that nothing is swallowed."""

import csv
import io
import re
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import within_seeds
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tlcourse.data.worlds import load
from tlcourse.lessons.nb03_fine_tuning import lab as fine_tuning
from tlcourse.lessons.nb03_fine_tuning import lab_export as training_export
from tlcourse.lessons.nb03_fine_tuning import lab_figures as training_pictures
from tlcourse.lessons.nb03_fine_tuning import lab_records as training_records
from tlcourse.lessons.nb03_fine_tuning import lab_runs as compute
from tlcourse.lessons.nb03_fine_tuning import lab_table as training_table
from tlcourse.lessons.nb03_fine_tuning.figures import LINES
from tlcourse.lessons.nb03_fine_tuning.lab_readymade import ready_made
from tlcourse.lessons.nb03_fine_tuning.lab_records import (
    LABELS,
    OFFERED,
    RATES,
    SHORT,
    STRENGTHS,
    Measured,
    Run,
    Settings,
)
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training.lr_finder import RangeTest, range_test
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe

QUICK = Recipe(epochs=2, steps=2, batch=8)
FOUND = RangeTest((1e-3, 1e-2, 1e-1, 1.0), (2.0, 1.0, 0.5, 3.0), (2.0, 1.0, 0.5, 3.0))


def run(number=1, ends=50.0, state="finished", **settings):
    measured = tuple(Measured(1.0 / e, 60.0, 2.0 / e, a) for e, a in ((1, 20.0), (2, ends)))
    return Run(number, Settings(epochs=2, **settings), measured, state, 1000, 1.5)


def accuracies(history):
    return [m.watched_accuracy for m in history]


@pytest.fixture
def bench():
    made = fine_tuning.BenchLab()
    yield made
    assert made.close()


@pytest.fixture
def quick(monkeypatch):
    """Trainings and range tests that take a moment only, on few images."""
    half = load("handwritten-photo")
    monkeypatch.setattr(compute, "bench_images", lambda per_class: (half.few(per_class), half.few(1, seed=1)))
    train, find = compute.compute_run, compute.compute_range
    monkeypatch.setattr(compute, "compute_run", lambda *values: train(*values, QUICK))
    monkeypatch.setattr(compute, "compute_range", lambda *values: find(*values, QUICK))


class Gate:
    """Holds a training at the first update of an epoch until the test opens it."""

    def __init__(self, monkeypatch, epochs_before=0):
        self.reached, self.open = threading.Event(), threading.Event()
        real = compute.compute_run

        def gated(run, prepared):
            for count, step in enumerate(real(run, prepared), 1):
                if count > epochs_before * QUICK.steps and not self.reached.is_set():
                    self.reached.set()
                    assert self.open.wait(20)
                yield step

        monkeypatch.setattr(compute, "compute_run", gated)


# What is computed


@pytest.mark.parametrize("per_class", LABELS)
def test_what_is_watched_was_not_learned_from(per_class):
    learn, watch = compute.bench_images(per_class)
    assert len(learn) == 10 * per_class
    assert len(watch) == training_records.WATCHED
    assert watch.shared_with(learn) == 0
    assert watch.shared_with(load("handwritten-photo", split="test")) == 0


@pytest.mark.parametrize("strategy", OFFERED)
def test_every_strategy_is_trained_as_the_course_does_it(quick, strategy):
    """Looking on must not change what happens."""
    settings = Settings(strategy, 1, epochs=2)
    one, two = compute.prepare(settings), compute.prepare(settings)
    *_, ran = compute.compute_run(Run(3, settings), one)
    STRATEGIES[strategy].train(two.model, two.learn, 0, settings.rate, QUICK)
    assert (ran.number, ran.state, ran.settings) == (3, "finished", settings)
    assert len(ran.measured) == 2
    assert ran.measured[-1] == compute.measure(two)
    for mine, theirs in zip(one.model.state_dict().values(), two.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_depth_freezes_and_gradual_unfreezing_decides_for_itself(quick):
    def trained(*settings, **more):
        chosen = Settings(*settings, per_class=1, epochs=2, **more)
        return list(compute.compute_run(Run(1, chosen), compute.prepare(chosen)))[-1].trained

    assert (trained("fine-tuned", depth=0), trained("fine-tuned", depth=5)) == (309_114, 1290)
    assert trained("gradual unfreezing", depth=0) == trained("gradual unfreezing", depth=5)


def test_a_strong_pull_keeps_the_network_where_it_was(quick):
    def moved(strength):
        settings = Settings("L2-SP", 1, strength=strength, epochs=2)
        prepared = compute.prepare(settings)
        before = prepared.model.stem[0].weight.detach().clone()
        list(compute.compute_run(Run(1, settings), prepared))
        return (prepared.model.stem[0].weight - before).norm().item()

    assert moved(10.0) < moved(0.0)


def test_it_reports_every_update_and_every_epoch(quick):
    settings = Settings(per_class=1, epochs=2)
    seen = list(compute.compute_run(Run(1, settings), compute.prepare(settings)))
    assert [len(run.measured) for run in seen] == [0, 1, 1, 2, 2]
    assert [run.state for run in seen] == ["training"] * 4 + ["finished"]


@pytest.mark.parametrize("strategy", ["fine-tuned", "LP-FT", "L2-SP", "label smoothing", "scratch"])
def test_a_range_test_undoes_everything_and_reports_every_batch(quick, strategy):
    settings = Settings(strategy, 1)
    prepared = compute.prepare(settings)
    before = {name: tensor.clone() for name, tensor in prepared.model.state_dict().items()}
    seen = list(compute.compute_range(settings, prepared))
    found = seen[-1]
    assert found.rates[0] == pytest.approx(1e-4)
    assert [len(so_far.rates) for so_far in seen] == list(range(1, len(found.rates) + 1))
    head = {f"{prepared.model.head_name}.{kind}" for kind in ("weight", "bias")} if strategy == "LP-FT" else set()
    after = prepared.model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == head


def test_the_range_test_is_that_of_the_course(quick):
    settings = Settings(per_class=1)
    one, two = compute.prepare(settings), compute.prepare(settings)
    optimizer = torch.optim.AdamW(two.model.parameters(), weight_decay=QUICK.weight_decay, fused=True)
    batches = two.learn.batches(QUICK.batch, steps=compute.FOUND_IN, transform=QUICK.augment, seed=0)
    expected = range_test(two.model, batches, optimizer, low=1e-4, high=1.0, steps=compute.FOUND_IN)
    assert list(compute.compute_range(settings, one))[-1] == expected


@pytest.mark.parametrize("bad", [{"rate": 0.0}, {"per_class": 51}, {"depth": 6}, {"epochs": 0}])
def test_settings_out_of_range(bad):
    with pytest.raises(ValueError, match="Expected a rate above 0"):
        Settings(**bad)


def test_a_strategy_that_is_not_on_the_bench():
    with pytest.raises(ValueError, match="the bench has no strategy 'linear probe'"):
        Settings("linear probe")


def test_best_is_the_highest_end_of_the_finished_runs():
    runs = [run(1, 70.0), run(2, 80.0), run(3, 80.0), run(4, 99.0, state="stopped")]
    assert training_records.best_of(runs).number == 2
    assert training_records.best_of(runs[3:]) is None


@pytest.mark.parametrize(("rate", "nearest"), [(0.0081, 0.007), (0.0088, 0.01), (1e-9, 1e-4), (5.0, 0.1)])
def test_the_nearest_rate_is_nearest_by_ratio(rate, nearest):
    assert training_records.nearest_rate(rate) == nearest


def test_the_oldest_leaves_but_never_the_best():
    assert training_records.make_room([1, 2], 1, 3) is None
    assert training_records.make_room([1, 2, 3], 1, 3) == 2
    assert training_records.make_room([1, 2, 3], None, 3) == 1


# What is shown


def test_the_picture_shows_the_runs_that_have_a_place_and_lifts_the_best(ax):
    runs = [run(1, 90.0), run(2, 40.0, depth=5), run(3, 95.0, state="stopped")]
    training_pictures.draw_accuracy(ax, runs, {1: 0, 2: 3})
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["1: fine-tuned (best)", "2: fine-tuned, 5 frozen"]
    assert [line.get_linewidth() > 3 for line in lines.values()] == [True, False]
    assert list(lines["2: fine-tuned, 5 frozen"].get_ydata()) == [20.0, 40.0]
    assert to_hex(lines["2: fine-tuned, 5 frozen"].get_color()) == LINES[3][0].lower()
    assert "best" in [text.get_text() for text in ax.texts]


def test_the_loss_has_a_marked_and_a_thin_line_for_every_run(ax):
    training_pictures.draw_loss(ax, [run(1)], {1: 0})
    watched, learned = ax.lines
    assert (list(watched.get_ydata()), watched.get_marker()) == ([2.0, 1.0], "o")
    assert (list(learned.get_ydata()), learned.get_marker()) == ([1.0, 0.5], "None")


def test_the_axis_has_room_for_the_whole_run_while_it_grows(ax):
    training_pictures.draw_accuracy(ax, [replace(run(), settings=Settings(epochs=20), state="training")], {1: 0})
    assert ax.get_xlim()[1] > 20


def test_a_range_test_is_drawn_with_its_suggestion_and_the_chosen_rate(ax):
    training_pictures.draw_found(ax, FOUND, "LP-FT", 0.003)
    names = ax.get_legend_handles_labels()[1]
    assert names == ["lowest, 0.1", "a third, 0.033", "chosen, 0.003"]
    said = training_pictures.describe_found(FOUND, Settings("LP-FT", 1))
    assert "(LP-FT, 1 label): lowest at 0.1; a third, 0.033, is 0.03 on the slider" in said


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([], "No runs."),
        ([run(1, state="training")], "trains: after epoch 2 of 2 it reads 50 % of 300 watched images"),
        ([replace(run(1, state="training"), measured=())], "is in its first epoch"),
        ([replace(run(1, state="broke"), measured=())], "ended in its first epoch"),
        ([run(1, state="stopped")], "was stopped: after epoch 2"),
        ([run(1, state="broke")], "broke: after epoch 2"),
        ([run(1)], "moved 1,000 weights and reads 50 %"),
        ([run(1, 50.0), run(2, 60.0)], "Shown: 1 of 2. Best of 2 finished: run 2 with 60 %."),
        ([run(1, 60.0), run(2, 60.0)], "run 1 with 60 %; run 2 is as good."),
        ([run(1, 58.0), run(2, 60.0)], "run 2 with 60 %; 2.0 points above run 1, which can be chance."),
    ],
)
def test_the_sentence_says_how_it_went(runs, said):
    assert said in training_pictures.describe_runs(runs, {1: 0})


def test_the_csv_has_a_row_an_epoch():
    runs = [run(1), run(2, strategy="gradual unfreezing"), run(3, strategy="L2-SP", strength=1.0)]
    rows = list(csv.DictReader(io.StringIO(training_export.write_csv(runs))))
    assert [(row["run"], row["epoch"]) for row in rows] == [(str(n), str(e)) for n in (1, 2, 3) for e in (1, 2)]
    assert [row["frozen_stages"] for row in rows[::2]] == ["0", "", "0"]
    assert [row["l2sp_strength"] for row in rows[::2]] == ["", "", "1.0"]
    assert float(rows[1]["watched_accuracy"]) == 50.0
    assert float(rows[1]["learned_loss"]) == 0.5


# The widget


def test_it_begins_with_two_runs_and_nothing_is_trained_before_run_is_pressed(monkeypatch):
    monkeypatch.setattr(compute, "compute_run", lambda *_: 1 / 0)
    bench = fine_tuning.BenchLab()
    assert [r.number for r in bench.runs.values()] == [1, 2]
    assert "Best of 2 finished: run 2" in bench.text.value
    assert re.search(r'alt="[^"]*Best of 2', bench.picture.value)
    assert isinstance(bench.look()[0], Figure)
    assert not bench.background.running
    assert bench.close()


def test_the_ready_made_run_of_a_head_is_what_the_bench_computes():
    """A head alone is hardly moved by how another processor rounds."""
    shipped = ready_made()[0]
    *_, again = compute.compute_run(replace(shipped, measured=()), compute.prepare(shipped.settings))
    assert again.trained == shipped.trained
    for now, then in zip(again.measured, shipped.measured, strict=True):
        assert now.watched_accuracy == pytest.approx(then.watched_accuracy, abs=3)
        assert now.watched_loss == pytest.approx(then.watched_loss, abs=0.08)
        assert now.learned_loss == pytest.approx(then.learned_loss, abs=0.05)


def test_the_ready_made_run_of_everything_is_one_of_those_that_the_bench_computes():
    """Rounding changes where it ends, as another fresh head does; of that, five fresh runs show how much it can be."""
    shipped = ready_made()[1]
    prepared = compute.prepare(shipped.settings)
    start, device = STRATEGIES[shipped.settings.strategy].start, next(prepared.model.parameters()).device
    plan = [(replace(shipped, measured=()), replace(prepared, model=start(seed).to(device))) for seed in range(5)]
    fresh = side_by_side(lambda *run: list(compute.compute_run(*run))[-1], plan, progress=False)
    assert {run.trained for run in fresh} == {shipped.trained}
    for what in ("watched_accuracy", "watched_loss"):
        then, *now = ([getattr(m, what) for m in run.measured] for run in (shipped, *fresh))
        assert {len(run) for run in now} == {len(then)}
        assert within_seeds([np.mean(then)], [np.mean(run) for run in now]), what
        assert within_seeds(then[-1:], [run[-1] for run in now]), what


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("strategy", (OFFERED[0], OFFERED[4], OFFERED[-1])),
        ("labels", (LABELS[0], LABELS[2], LABELS[-1])),
        ("rate", (RATES[0], RATES[9], RATES[-1])),
        ("depth", (0, 2, 5)),
        ("strength", (STRENGTHS[0], STRENGTHS[3], STRENGTHS[-1])),
        ("epochs", (1, 10, 20)),
    ],
)
def test_every_control_at_its_ends_and_in_the_middle_changes_what_comes_next(bench, name, values):
    if name == "strength":
        bench.choices.strategy.value = "L2-SP"
    seen = set()
    for value in values:
        getattr(bench.choices, name).value = value
        assert f"Next: {bench.choices.settings()}" in bench.text.value
        seen.add(bench.text.value)
    assert len(seen) == 3
    assert len(bench.runs) == 2


def test_what_means_nothing_to_a_strategy_is_switched_off(bench):
    def off(strategy):
        bench.choices.strategy.value = strategy
        return bench.choices.depth.disabled, bench.choices.strength.disabled

    assert (off("fine-tuned"), off("gradual unfreezing"), off("L2-SP")) == ((False, True), (True, True), (False, False))


def test_a_run_in_the_background_grows_in_the_picture_and_joins_the_table(bench, quick, monkeypatch):
    gate = Gate(monkeypatch, epochs_before=1)
    bench.choices.epochs.value = 2
    before = bench.picture.value
    bench.go.click()
    assert gate.reached.wait(20)
    grown = bench.picture.value
    assert grown != before
    assert bench.runs[3].state == "training"
    assert "after epoch 1 of 2" in bench.text.value
    assert (bench.go.disabled, bench.finder.disabled, bench.halt.disabled) == (True, True, False)
    bench.choices.labels.value = 20  # other controls answer meanwhile
    assert "Next: LP-FT, 20 labels" in bench.text.value
    gate.open.set()
    assert bench.background.wait(20)
    assert bench.failure is None
    assert bench.picture.value != grown
    assert bench.runs[3].state == "finished"
    assert (bench.go.disabled, bench.halt.disabled) == (False, True)
    assert bench.bar.value == 5  # four updates, and the end


def test_run_pressed_twice_trains_once_and_says_so(bench, quick, monkeypatch):
    bench.choices.epochs.value = 2
    gate = Gate(monkeypatch)
    bench.go.click()
    bench.go.click()
    assert "run 3 is not over" in bench.note.value
    bench.finder.click()
    bench.clear.click()
    assert list(bench.runs) == [1, 2, 3]
    gate.open.set()
    assert bench.background.wait(20)
    assert list(bench.runs) == [1, 2, 3]
    assert bench.failure is None


@pytest.mark.parametrize("epochs", [0, 1])
def test_stop_takes_effect_at_the_next_batch(bench, quick, monkeypatch, epochs):
    gate = Gate(monkeypatch, epochs)
    bench.go.click()
    assert gate.reached.wait(20)
    bench.halt.click()
    gate.open.set()
    assert bench.background.wait(20)
    assert "was stopped" in bench.note.value
    assert bench.failure is None
    if epochs:
        assert (bench.runs[3].state, len(bench.runs[3].measured)) == ("stopped", 1)
    else:
        assert list(bench.runs) == [1, 2]


def test_after_a_stop_another_run_can_start(bench, quick, monkeypatch):
    for _ in range(2):
        gate = Gate(monkeypatch)
        bench.go.click()
        bench.halt.click()
        gate.open.set()
        assert bench.background.wait(20)
    assert list(bench.runs) == [1, 2]
    bench.choices.epochs.value = 2
    bench.go.click()
    assert bench.background.wait(20)
    assert bench.runs[3].state == "finished"


def test_closing_leaves_no_thread_and_no_widget(quick, monkeypatch):
    before = set(threading.enumerate())
    bench, gate = fine_tuning.BenchLab(), Gate(monkeypatch)
    bench.go.click()
    gate.open.set()
    assert bench.close()
    assert set(threading.enumerate()) == before
    assert bench.widget.comm is None
    assert bench.choices.rate.comm is None


def test_a_range_test_suggests_a_rate_and_one_click_takes_it(bench, quick):
    assert bench.taker.disabled
    before = bench.picture.value
    bench.finder.click()
    assert bench.background.wait(20)
    assert bench.failure is None
    assert bench.picture.value != before
    assert "Range test (LP-FT, 5 labels)" in bench.text.value
    bench.found = (FOUND, bench.choices.settings())
    before = bench.picture.value
    bench.taker.click()
    assert bench.choices.rate.value == 0.03
    assert bench.picture.value != before


def test_a_range_test_can_be_stopped(bench, quick, monkeypatch):
    reached, go_on = threading.Event(), threading.Event()
    real = compute.compute_range

    def gated(settings, prepared):
        for step in real(settings, prepared):
            reached.set()
            assert go_on.wait(20)
            yield step

    monkeypatch.setattr(compute, "compute_range", gated)
    bench.finder.click()
    assert reached.wait(20)
    bench.halt.click()
    go_on.set()
    assert bench.background.wait(20)
    assert "The range test was stopped" in bench.note.value
    assert bench.found is None


def test_ticks_choose_what_is_laid_over(bench):
    before = bench.picture.value
    bench.table.ticks[1].value = False
    assert bench.picture.value != before
    assert "Shown: 1 of 2." in bench.text.value
    bench.table.ticks[2].value = False
    assert "Shown: 0 of 2." in bench.text.value
    bench.table.ticks[1].value = True
    assert "Shown: 1 of 2." in bench.text.value


def test_there_is_room_for_six_lines(bench):
    for number in range(3, 9):
        bench._put(run(number, 40.0))
        bench._draw()
    assert sorted(bench.table.places) == [2, 4, 5, 6, 7, 8]  # run 2 is the best and stays
    assert sorted(bench.table.places.values()) == list(range(6))
    bench.table.ticks[1].value = True
    assert not bench.table.ticks[1].value
    assert "room for 6 lines" in bench.note.value
    bench.table.ticks[4].value = False
    bench.table.ticks[1].value = True
    assert 1 in bench.table.places


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (run(1, 80.0), ["fine-tuned", "5", "0.003", "0", "–", "2", "1.00", "80 % best", "1.5 s"]),
        (ready_made()[0], ["fine-tuned", "5", "0.01", "5", "–", "8", "0.82", "74 % best", "shipped"]),
        (
            Run(1, Settings("gradual unfreezing")),
            ["gradual unfreezing", "5", "0.003", "by turns", "–", "0 of 8", "", " best", "training"],
        ),
    ],
)
def test_a_row_of_the_table(given, expected):
    assert training_table.cells(given, best=True) == expected
    assert len(expected) == len(training_table.COLUMNS)


def test_clear_begins_again(bench):
    bench.clear.click()
    assert bench.runs == {}
    assert "No runs." in bench.text.value
    assert "alt=" in bench.picture.value


def test_files_are_written_and_it_says_where(bench, tmp_path):
    bench.folder.value = str(tmp_path / "new")
    bench.csv.click()
    assert f"Wrote {tmp_path / 'new' / 'training-bench.csv'}." in bench.note.value
    assert (tmp_path / "new" / "training-bench.csv").read_text().startswith("run,state,strategy")
    bench.csv.click()
    assert "in place of the older one" in bench.note.value
    bench.png.click()
    assert (tmp_path / "new" / "training-bench.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_folder_the_current_one_is_meant(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench.folder.value = " "
    bench.csv.click()
    assert [path.name for path in tmp_path.iterdir()] == ["training-bench.csv"]


@pytest.mark.parametrize("folder", ["a file/inside", "~nobody-of-this-name", "a\0b"])
def test_what_cannot_be_written_is_said(bench, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("kept")
    bench.folder.value = folder
    for button in (bench.csv, bench.png):
        button.click()
        assert "Not written:" in bench.note.value
    assert (tmp_path / "a file").read_text() == "kept"


# Errors


def test_an_error_of_a_control_is_shown_and_raised(bench, monkeypatch):
    monkeypatch.setattr(training_pictures, "describe_plan", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.choices.labels.value = 20
    assert "The lab stopped: division by zero" in bench.text.value


def test_an_error_of_a_button_is_shown(bench, monkeypatch):
    monkeypatch.setattr(compute, "prepare", lambda *_: 1 / 0)
    bench.go.click()
    assert "The lab stopped: division by zero" in bench.text.value
    assert list(bench.runs) == [1, 2]


def test_an_error_in_the_background_is_shown_and_kept(bench, quick, monkeypatch):
    monkeypatch.setattr(compute, "compute_run", lambda *_: 1 / 0)
    bench.go.click()
    assert bench.background.wait(20)
    assert isinstance(bench.failure, ZeroDivisionError)
    assert "Run 3 ended with an error: division by zero" in bench.note.value
    assert list(bench.runs) == [1, 2]
    assert not bench.go.disabled


def test_an_error_while_the_picture_grows_is_shown_and_kept(bench, quick, monkeypatch):
    gate = Gate(monkeypatch)
    bench.go.click()
    assert gate.reached.wait(20)
    monkeypatch.setattr(training_pictures, "draw_loss", lambda *_: 1 / 0)
    gate.open.set()
    assert bench.background.wait(20)
    assert isinstance(bench.failure, ZeroDivisionError)
    assert "division by zero" in bench.text.value + bench.note.value
    assert not bench.background.running


def test_a_rate_that_breaks_the_training_is_explained(bench, quick, monkeypatch):
    real = STRATEGIES["fine-tuned"].steps
    endless = replace(STRATEGIES["fine-tuned"], steps=lambda *values: real(*values, loss=blow_up))
    monkeypatch.setitem(STRATEGIES, "fine-tuned", endless)
    bench.choices.strategy.value = "fine-tuned"
    bench.go.click()
    assert bench.background.wait(20)
    assert bench.runs[3].state == "broke"
    assert "the loss became inf in epoch 0" in bench.note.value
    assert "run 2 with 86 %" in bench.text.value


def blow_up(scores, labels):
    return scores.sum() * 0 + torch.inf


def test_every_control_has_a_name_and_says_what_it_does(bench):
    buttons = [bench.go, bench.halt, bench.finder, bench.taker, bench.csv, bench.png, bench.clear]
    for control in [*bench.choices.all, *buttons, *bench.table.ticks.values(), bench.folder]:
        assert control.description
        assert control.tooltip


def test_the_bench_is_one_widget():
    widget = fine_tuning.bench()
    assert "tlcourse-lab" in widget._dom_classes
    assert SHORT.epochs == 8
