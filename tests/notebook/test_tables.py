import dataclasses

import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.lessons.__main__ import main
from tlcourse.lessons.shipped import SHIPPED
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import LESSONS, save_rows
from tlcourse.notebook.tables import (
    CURVE,
    GAIN_HEADER,
    SCORE_HEADER,
    gain_table,
    read_trials,
    score_table,
    scores,
    summarise,
)
from tlcourse.training.recipe import Recipe
from tlcourse.training.starts import STARTS, starting_model
from tlcourse.training.trials import LABELS_PER_CLASS, Trial, run_trial, run_trials
from tlcourse.transfer.heads import get_classifier

SHORT = Recipe(epochs=1, steps=2)


def state(model, but=()):
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(tuple(but))}


def same(a, b):
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


@pytest.mark.parametrize("network", ["tiny_resnet", "small_cnn"])
def test_starts_differ_in_their_weights_alone(network):
    scratch, probe, tuned = (starting_model(start, 0, network=network) for start in STARTS)
    source = pretrained(network, "letters")
    head = [f"{source.head_name}."]
    assert type(scratch) is type(probe) is type(tuned)
    assert same(state(probe, head), state(source)) and same(state(tuned), state(probe))  # noqa: PT018
    assert not same(state(scratch, head), state(source))
    assert get_classifier(scratch).out_features == get_classifier(tuned).out_features == 10
    assert {p.requires_grad for p in tuned.parameters()} == {True}
    assert [n for n, p in probe.named_parameters() if p.requires_grad] == [f"{head[0]}weight", f"{head[0]}bias"]


def test_a_seed_says_it_all():
    options = {"train": load("handwritten-photo"), "test": load("handwritten-photo", split="test", count=50)}
    (first, a), (again, b), (_, c) = (run_trial("fine-tuned", 2, s, recipe=SHORT, **options) for s in (0, 0, 1))
    assert same(state(a), state(b))
    assert not same(state(a), state(c))
    assert dataclasses.replace(first, seconds=0.0) == dataclasses.replace(again, seconds=0.0)


def test_trials_cover_the_plan_and_say_what_could_move():
    trials = run_trials(STARTS, [1, 2], [0, 1], recipe=SHORT, progress=False)
    assert [(t.per_class, t.seed, t.start) for t in trials] == [
        (k, s, n) for k in (1, 2) for s in (0, 1) for n in STARTS
    ]
    assert {t.start: t.trained for t in trials} == {"scratch": 309_114, "linear probe": 1290, "fine-tuned": 309_114}
    assert all(0 <= t.accuracy <= 100 and t.seconds > 0 for t in trials)


def test_writing_and_reading_give_the_same(tmp_path):
    trials = [Trial("scratch", 5, 1, 55.125, 1.25, 309_114), Trial("linear probe", 5, 0, 80.0, 0.5, 1290)]
    assert read_trials(save_rows(tmp_path / "t.csv", trials)) == trials


def test_scores_are_ordered_by_seed_and_summarised():
    trials = [Trial("scratch", 5, seed, value, 1.0, 1) for seed, value in ((2, 30.0), (0, 10.0), (1, 20.0))]
    assert scores(trials, "scratch", 5) == [10.0, 20.0, 30.0]
    assert scores(trials, "scratch", 6) == []
    assert summarise(trials)["scratch", 5].mean == 20


def test_table_has_means_of_every_start():
    trials = [Trial("scratch", 5, seed, 50.0 + seed, 1.0 + seed, 309_114) for seed in range(3)]
    assert score_table(trials) == [["scratch", "5", "51.0 [50.0, 52.0]", "2.0", "309,114"]]
    assert len(score_table(trials)[0]) == len(SCORE_HEADER)


def test_gain_table_pairs_the_seeds():
    trials = [Trial("scratch", 5, seed, 50.0 + 5 * seed, 1.0, 9) for seed in range(3)]
    trials += [Trial("linear probe", 5, seed, 40.0 + 5 * seed, 1.0, 9) for seed in range(3)]
    trials += [Trial("fine-tuned", 5, seed, 70.0 + 5 * seed, 1.0, 9) for seed in range(3)]
    assert gain_table(trials) == [["5", "-10.0 [-10.0, -10.0]", "20.0 [20.0, 20.0]"]]
    assert len(gain_table(trials)[0]) == len(GAIN_HEADER)


def test_what_ships_covers_every_start_and_number_of_labels():
    trials = read_trials()
    assert {(t.start, t.per_class) for t in trials} == {(s, k) for s in STARTS for k in LABELS_PER_CLASS}
    assert all(len(scores(trials, s, k)) == 10 for s in STARTS for k in LABELS_PER_CLASS)
    assert CURVE.stat().st_size < 10_000


def test_unknown_start():
    with pytest.raises(ValueError, match="'luck' is not a way to start"):
        starting_model("luck", 0)


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tlcourse.lessons.shipped.LABELS_PER_CLASS", (1,))
    monkeypatch.setattr("tlcourse.training.trials.train_on_target", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["experiments", "--out", str(tmp_path / "t.csv"), "--seeds", "2"])
    main()
    assert len(read_trials(tmp_path / "t.csv")) == 6
    assert "wrote 6 rows" in capsys.readouterr().out


def test_every_shipped_table_can_be_computed_again():
    assert {path.stem for path in LESSONS.glob("*/results/*.csv")} == set(SHIPPED)


@pytest.mark.parametrize("plan", [("scratch", [1], [0]), (STARTS, 1, [0]), (STARTS, [1], 0)])
def test_a_plan_is_made_of_lists(plan):
    with pytest.raises(TypeError, match="but a list was expected, such as"):
        run_trials(*plan)
