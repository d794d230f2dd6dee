"""The training bench: what it trains, what it compares, and that nothing is swallowed."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

mpl.use("agg")

from tlcourse.checkpoints import History
from tlcourse.data.domains import load
from tlcourse.experiments.trials import Recipe
from tlcourse.labs import fine_tuning as lab

QUICK = Recipe(epochs=2, steps=2, batch=8)


def run(number=1, ends=50.0, strategy="fine-tuned"):
    return lab.Run(number, strategy, 5, 0.003, 0, 1000, History([1.0, 0.5], validation_accuracy=[20.0, ends]))


@pytest.fixture
def quick(monkeypatch):
    """Runs that take a moment only, on few images."""
    real = lab.compute_run
    monkeypatch.setattr(lab, "compute_run", lambda *values: real(*values, QUICK))
    few = load("handwritten-photo").few(1)
    monkeypatch.setattr(lab, "bench_images", lambda per_class: (few, few))


@pytest.mark.parametrize("per_class", lab.LABELS)
def test_what_is_watched_was_not_learned_from(per_class):
    learn, watch = lab.bench_images(per_class)
    assert len(learn) == 10 * per_class
    assert len(watch) == lab.WATCHED
    assert watch.shared_with(learn) == 0
    assert watch.shared_with(load("handwritten-photo", split="test")) == 0


@pytest.mark.parametrize("strategy", lab.OFFERED)
def test_every_strategy_on_offer_runs(strategy):
    result = lab.compute_run(3, strategy, 1, 1e-3, 0, QUICK)
    assert result.number == 3
    assert len(result.history.validation_accuracy) == 2
    assert strategy in str(result)


def test_depth_freezes_and_gradual_unfreezing_decides_for_itself():
    shallow, deep = (lab.compute_run(1, "fine-tuned", 1, 1e-3, depth, QUICK).trained for depth in (0, 5))
    assert (shallow, deep) == (309_114, 1290)
    gradual = lab.compute_run(1, "gradual unfreezing", 1, 1e-3, 0, QUICK)
    assert gradual.depth is None
    assert "frozen" not in str(gradual)


def test_the_same_run_twice_is_the_same():
    one, two = (lab.compute_run(1, "LP-FT", 1, 3e-3, 2, QUICK) for _ in range(2))
    assert one.history.train_loss == two.history.train_loss


def test_a_strategy_that_is_not_on_the_bench():
    with pytest.raises(ValueError, match="the bench has no strategy 'linear probe'"):
        lab.compute_run(1, "linear probe", 5, 1e-3, 0)


def test_nothing_is_trained_before_run_is_pressed(monkeypatch):
    monkeypatch.setattr(lab, "compute_run", lambda *_: 1 / 0)
    bench = lab.BenchLab()
    assert bench.runs == []
    assert "No run yet" in bench.text.value
    assert "alt=" in bench.picture.value


def test_every_control_at_its_ends_and_in_the_middle(quick):
    bench = lab.BenchLab()
    for name in ("strategy", "labels", "rate"):
        control = getattr(bench, name)
        options = [o[1] if isinstance(o, tuple) else o for o in control.options]
        seen = set()
        for value in (options[0], options[len(options) // 2], options[-1]):
            control.value = value
            seen.add(bench.text.value)
        assert len(seen) == 3, name
    bench.strategy.value = "fine-tuned"
    for value in (0, 2, 5):
        bench.depth.value = value
        assert f"{value} of 5 stages frozen" in bench.text.value
    assert bench.runs == []
    bench.strategy.value = "gradual unfreezing"
    assert bench.depth.disabled


def test_runs_are_collected_and_compared(quick):
    bench = lab.BenchLab()
    pictures = {bench.picture.value}
    for strategy in ("scratch", "fine-tuned"):
        bench.strategy.value = strategy
        bench.go.click()
        pictures.add(bench.picture.value)
    assert [r.strategy for r in bench.runs] == ["scratch", "fine-tuned"]
    assert len(pictures) == 3
    assert "Best of 2 runs" in bench.text.value
    assert not bench.go.disabled
    bench.clear.click()
    assert bench.runs == []
    assert "No run yet" in bench.text.value


def test_an_error_is_shown_and_raised(monkeypatch):
    bench = lab.BenchLab()
    monkeypatch.setattr(lab, "compute_run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.run()
    assert "The run stopped: division by zero" in bench.text.value
    assert not bench.go.disabled
    monkeypatch.setattr(lab, "describe_runs", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.labels.value = 20
    assert "The lab stopped: division by zero" in bench.text.value
    plt.close("all")


def test_an_error_behind_the_button_is_shown(monkeypatch):
    """ipywidgets keeps errors of a button to its log, so the lab has to show them itself."""
    bench = lab.BenchLab()
    monkeypatch.setattr(lab, "draw_runs", lambda *_: 1 / 0)
    monkeypatch.setattr(lab, "compute_run", lambda *_: run())
    bench.go.click()
    assert "The run stopped: division by zero" in bench.text.value
    plt.close("all")


def test_a_rate_that_breaks_the_training_is_shown(monkeypatch):
    bench = lab.BenchLab()

    def broken(*_):
        raise ArithmeticError("the loss became nan in epoch 0")

    monkeypatch.setattr(lab, "compute_run", broken)
    with pytest.raises(ArithmeticError):
        bench.run()
    assert "the loss became nan in epoch 0" in bench.text.value


def test_the_picture_keeps_the_best_and_the_last_six():
    figure, ax = plt.subplots()
    runs = [run(1, 90.0), *(run(number, 40.0 + number) for number in range(2, 10))]
    lab.draw_runs(ax, runs)
    names = [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    assert len(names) == 6
    assert names[0].endswith("→ 90 % (best)")
    assert names[-1].startswith("9: ")
    thick = [line.get_linewidth() for line in ax.lines if line.get_linewidth() > 3]
    assert len(thick) == 1
    assert lab.describe_runs(runs).endswith("Best of 9 runs: 1: fine-tuned, 5 labels, rate 0.003, 0 frozen, with 90 %.")
    plt.close(figure)


def test_the_bench_is_one_widget():
    widget = lab.bench()
    assert all(control.description for control in widget.children[:4])
