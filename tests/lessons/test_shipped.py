"""Every shipped table can be computed again, is small, and is whole: each cell of its plan with all its seeds."""

from functools import cache
from itertools import combinations, product

import pandas as pd
import pytest

from tlcourse.lessons.__main__ import main
from tlcourse.lessons.nb00_start_here import experiment as nb00
from tlcourse.lessons.nb00_start_here import tables
from tlcourse.lessons.nb00_start_here.experiment import DIAL_LABELS, LABELS_PER_CLASS, SHIFTS, SOURCES, UPDATES
from tlcourse.lessons.nb01_preprocessing import experiment as nb01
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import BASE, DEPTHS, LONG_SEEDS, WAYS
from tlcourse.lessons.nb02_weight_transfer.strategies import STRATEGIES as BEGINNINGS
from tlcourse.lessons.nb03_fine_tuning.batchnorm import KEPT, SIZES
from tlcourse.lessons.nb03_fine_tuning.experiment import HEADLINE, LABELS
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, STRATEGIES
from tlcourse.lessons.nb03_fine_tuning.strategy_settings import PENALTIES, RATES
from tlcourse.lessons.nb04_evaluation.experiment import NETWORKS, TRAINED
from tlcourse.lessons.nb05_choosing_a_source.experiment import LABELS as ZOO_LABELS
from tlcourse.lessons.nb05_choosing_a_source.experiment import SHIFTS as ZOO_SHIFTS
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, RANDOM
from tlcourse.lessons.nb06_crossing_domains import experiment as nb06
from tlcourse.lessons.nb06_crossing_domains import few_labels
from tlcourse.lessons.nb06_crossing_domains.cases import CASES
from tlcourse.lessons.nb07_without_labels import at_test_time, others, self_supervised
from tlcourse.lessons.nb07_without_labels import semi_supervised as nb07
from tlcourse.lessons.nb08_federated import experiment as nb08
from tlcourse.lessons.nb08_federated import private, served
from tlcourse.lessons.nb09_many_tasks import handwriting, interference, sharing, transfer
from tlcourse.lessons.nb09_many_tasks import ways as nb09
from tlcourse.lessons.nb10_efficiency import smaller as nb10_smaller
from tlcourse.lessons.nb10_efficiency import ways as nb10
from tlcourse.lessons.nb11_robustness import (
    alpha,
    attacks,
    choosing,
    selective_answers,
    spurious,
    stages,
    strange_inputs,
)
from tlcourse.lessons.nb11_robustness import experiment as nb11
from tlcourse.lessons.nb11_robustness import learning as nb11_learning
from tlcourse.lessons.nb11_robustness import sureness as nb11_sureness
from tlcourse.lessons.nb12_your_own_images.experiment import METHODS, SETTINGS
from tlcourse.lessons.shipped import shipped_tables
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.multitask.disagreement import WHOLE
from tlcourse.notebook.results import LESSONS, results
from tlcourse.training.starts import STARTS

# where trainings of so many updates were run with fewer seeds
LONGER = {"augmentation_worth": (300, nb01.LONGER_SEEDS), "normalisation_price": (300, nb01.LONGER_SEEDS)}
LONGER["layer_transfer"] = (450, len(LONG_SEEDS))
LONGER["time_saved"] = (nb00.LONGER, nb00.LONGER_SEEDS)


@cache
def plans():
    """By table: the columns that say what was run, and every combination of them that there should be."""
    conventions = list(nb01.conventions())
    measured = product([*(f"{network}, as it is" for network in nb01.NETWORKS), "linear probe"], conventions, [0])
    tuned = [*product(conventions, [100]), *product([nb01.TRAINED, "0..255"], [300])]
    heirs = [*product([150], WAYS, DEPTHS), *product([450], WAYS[:2], DEPTHS), (150, BASE, 0), (450, BASE, 0)]
    streams = (at_test_time.SHIFTS, at_test_time.ORDERS, at_test_time.BATCHES)
    tried = [name for name in STRATEGIES if name not in BASELINES]
    return {
        "labels_curve": ("start per_class", product(STARTS, LABELS_PER_CLASS)),
        "time_saved": ("start per_class updates", product(["scratch", "fine-tuned"], [5, 50], UPDATES)),
        "dial": ("start source per_class shift", (
            cell for cell in product(STARTS, SOURCES, DIAL_LABELS, SHIFTS)
            if (cell[0] == "scratch") == (cell[1] == "none")
        )),
        "augmentation_worth": ("augmentation start updates", product(nb01.NAMES, nb01.BEGINNINGS, [100, 300])),
        "normalisation_price": ("what convention updates", [*measured, *(("fine-tuned", *cell) for cell in tuned)]),
        "layer_transfer": ("updates way depth", heirs),
        "transfer_strategies": ("updates strategy", product([100, 600], BEGINNINGS)),
        "batchnorm": ("statistics", [*((f"groups of {size}",) for size in SIZES), (KEPT,)]),
        "strategies": ("strategy per_class", (
            (name, labels) for name, labels in product(STRATEGIES, LABELS) if labels >= STRATEGIES[name].fewest
        )),
        "strategies_longer": ("strategy per_class", product(HEADLINE, LABELS)),
        "strategy_settings": ("strategy setting", [
            *product(["linear probe"], PENALTIES), *product([name for name in tried if name != "linear probe"], RATES)
        ]),
        "short_answers": ("network", product(NETWORKS)),
        "evaluated": ("network", product(TRAINED)),
        "promises": ("", [()]),
        "zoo_truth": ("candidate per_class", product(CANDIDATES, ZOO_LABELS)),
        "zoo_longer": ("candidate updates", product(CANDIDATES, [600])),
        "zoo_shifted": ("candidate shift", product(CANDIDATES, ZOO_SHIFTS[1:])),
        "zoo_scores": ("candidate shift per_class", product(CANDIDATES, ZOO_SHIFTS, ZOO_LABELS)),
        "zoo_distances": ("candidate shift", product([name for name in CANDIDATES if name != RANDOM], ZOO_SHIFTS)),
        "adapted": ("method shift", product(nb06.ALL, nb06.NEAR)),
        "adapted_far": ("method shift", product(nb06.ALL, [shift for shift in nb06.SHIFTS if shift not in nb06.NEAR])),
        "adapted_weights": ("method weight", (
            (name, weight) for name, method in nb06.METHODS.items() for weight in method.tried
        )),
        "adapted_longer": ("method updates", product(nb06.TRAINED_LONGER, [1200])),
        "adapted_cases": ("case method", product([case for case in CASES if case != "photo"], nb06.ALL)),
        "few_target_labels": ("way per_class", product(few_labels.WAYS, few_labels.LABELS)),
        "semi": ("way source per_class", product([nb07.ALONE, nb07.FIXMATCH], ["scratch", "letters"], nb07.FEW)),
        "semi_digits": ("way source per_class", product([nb07.ALONE, nb07.FIXMATCH], ["digits"], nb07.FEW)),
        "semi_ways": ("way per_class", product([nb07.PSEUDO, nb07.TEACHER], nb07.FEW)),
        "semi_longer": ("way source per_class updates", [
            (way, source, labels, 1800) for way in (nb07.ALONE, nb07.FIXMATCH)
            for source, labels in (("letters", 1), ("letters", 5), ("scratch", 1))
        ]),
        "semi_settings": ("way setting", (
            (way, nb07.named(setting)) for way, (_, settings) in nb07.WAYS.items() if way != nb07.ALONE
            for setting in settings
        )),
        "answered_over_time": ("source updates digit", product(["scratch", "letters"], range(60, 601, 60), range(10))),
        "others": ("way kind share", [
            (nb07.ALONE, "other digits", 0), *product([nb07.FIXMATCH], ["other digits"], others.SHARES),
            (nb07.FIXMATCH, "letters", 0.5),
        ]),
        "self_supervised": ("task per_class", product(self_supervised.PRETEXTS, nb07.FEW)),
        "simclr_views": ("views", product(self_supervised.VIEWS)),
        "tent": ("method shift order batch passes", [
            *product([at_test_time.STILL, at_test_time.STATISTICS], *streams, [1]),
            *product([at_test_time.TENT], *streams, at_test_time.PASSES),
        ]),
        "tent_rates": ("batch lr", product([4, at_test_time.CHOSEN_FOR], at_test_time.RATES)),
        "shot": ("shift", product(at_test_time.SHIFTS)),
        "shot_weights": ("weight", product(at_test_time.SHOT_WEIGHTS)),
        "shot_longer": ("shift updates", product(at_test_time.SHIFTS, [1200])),
        "rounds": ("start place round", product(nb08.STARTS, nb08.PLACES, range(1, nb08.ROUNDS + 1))),
        "rounds_longer": ("start place round", product(["scratch"], nb08.FAR, range(1, nb08.LONGER * nb08.ROUNDS + 1))),
        "rounds_gently": ("start place round", product(["letters"], ["labels, much"], range(1, nb08.ROUNDS + 1))),
        "federated_settings": ("start place what", [
            *product(nb08.STARTS, nb08.CHOSEN_AT, [f"rate {rate:g}" for rate in nb08.RATES]),
            *product(["letters"], nb08.CHOSEN_AT, [f"mu {mu:g}" for mu in nb08.MUS]),
            *product(["letters"], nb08.CHOSEN_AT, [f"FedBN, rate {rate:g}" for rate in nb08.RATES]),
        ]),
        "alone_settings": ("place rate", product(nb08.CHOSEN_AT, nb08.RATES)),
        "federated": ("way start place", [
            (way, "letters", place) for way, place in product(served.WAYS, nb08.FAR)
            if (way, place) != (served.UNWEIGHTED, "look, much")
        ] + [
            (way, "scratch", "look, much") for way in (served.AVERAGE, *served.AFTER, served.LOCAL_BN)
        ]),
        "private": ("features epsilon", product(private.BACKBONES, private.EPSILONS)),
        "ways": ("way", product(nb09.WAYS)),
        "ways_longer": ("way updates", product(nb09.LONG, [900])),
        "ways_cost": ("way", product(nb09.WAYS)),
        "ways_settings": ("way setting", (
            (name, nb09.named(setting)) for name, way in nb09.WAYS.items() for setting in way.settings
        )),
        "few_answers": ("main beside labels", [
            *product(nb09.TASKS, [sharing.ALONE, sharing.ALL], sharing.FEW), ("class", sharing.ALONE, 1000)
        ]),
        "beside_letters": ("beside per_class", product([handwriting.ALONE, handwriting.BESIDE], handwriting.PER_CLASS)),
        "letters_longer": ("beside updates", product([handwriting.ALONE, handwriting.BESIDE], [900])),
        "interference": ("updates stage pair", product(
            interference.LOOKS,
            [*TinyResNet().stages(), WHOLE],
            [f"{a}, {b}" for a, b in combinations(nb09.TASKS, 2)],
        )),
        "task_sources": ("source per_class", product(transfer.SOURCES, transfer.FEW)),
        "efficient_ways": ("way per_class", product(nb10.NAMES, nb10.PER_CLASS)),
        "efficient_longer": ("way per_class updates", product([nb10.RANK4, nb10.FULL], [5], [1800])),
        "efficient_settings": ("way lr batchnorm updates", product(
            nb10.WAYS, nb10.RATES, nb10.STATISTICS, [10 * epochs for epochs in nb10.LOOKS]
        )),
        "efficient_cost": ("way", product(nb10.NAMES)),
        "smaller": ("network share", [
            *product([nb10_smaller.TEACHER, *nb10_smaller.STUDENTS, *nb10_smaller.IN_8_BITS], [0]),
            *product(nb10_smaller.CUTS, nb10_smaller.SHARES),
        ]),
        "compiling": ("size", product([50, 250])),
        "photo_transfer": ("data method", product(SETTINGS, METHODS)),
        **robustness(),
    }  # fmt: skip


def robustness():
    """The plans of notebook 11."""
    held = [*product(nb11.FULL, range(6)), *product(nb11.BRIEFLY, [0, 3])]
    answers = list(product([False, True]))
    probed, tuned = strange_inputs.PROBE, strange_inputs.FINE_TUNED
    scores = ["unsureness", "energy", "class distance", "neighbour distance"]
    rules, conditions = [selective_answers.PROVEN, selective_answers.SEEN], selective_answers.CONDITIONS
    made = [(attacks.ITSELF, method) for method in attacks.METHODS]
    made += [(name, attacks.PGD) for name in attacks.SURROGATES]
    tuned_twice = [nb11_learning.TUNED, nb11_learning.VARIED]
    return {
        "robust_rates": ("way lr", product(choosing.ALONE, choosing.TRIED)),
        "remedy_rates": ("way lr place by_batch", (
            (*cell, *answer)
            for cell in product(tuned_twice, choosing.TRIED, [choosing.STILL, choosing.MIDDLE]) for answer in answers
        )),
        "robust": ("way severity", held),
        "robust_many_labels": ("way severity", held),
        "robust_longer": ("way severity updates", product(
            [nb11_learning.SCRATCH, nb11_learning.TUNED, nb11.WISE, nb11_learning.LP_FT], [0, 3], [1800]
        )),
        "robust_dial": ("way shift", product(nb11.DIALLED, [0.0, *nb11.SHIFTS])),
        "line": ("alpha statistics half", product(alpha.ALPHAS, [alpha.ANEW, alpha.AVERAGED], alpha.HALVES)),
        "other_lines": ("source per_class alpha statistics half", (
            (*line, *cell)
            for line in ((alpha.DIGITS, 50), (alpha.LETTERS, 5), (alpha.LETTERS, 50))
            for cell in product(alpha.ALPHAS, [alpha.ANEW, alpha.AVERAGED], alpha.HALVES)
        )),
        "stages": ("change part", product(stages.CHANGES, stages.PARTS)),
        "stages_longer": ("change part updates", product(stages.SOME, stages.PARTS, [600])),
        "stage_rates": ("change part lr", product(stages.SOME, stages.RATES, stages.TRIED)),
        "sureness": ("way kind level", (
            (way, *condition) for way, condition in product(nb11_sureness.WAYS, nb11_sureness.CONDITIONS)
        )),
        "strange_inputs": ("start strange score", [
            *product([probed], strange_inputs.STRANGE, scores),
            *product([tuned], strange_inputs.STRANGE, [*scores, strange_inputs.OF_FIVE]),
        ]),
        "selective_answers": ("start promise rule kind level", (
            (*cell, *condition)
            for cell in product([probed, tuned], selective_answers.PROMISES, rules) for condition in conditions
        )),
        "attacks": ("made_on method levels", ((*each, level) for each in made for level in (0, *attacks.LEVELS))),
        "spurious": ("share way", [
            *product(spurious.SHARES, [probed, tuned]),
            *product([0.9], [spurious.REPEATED, spurious.NEW_HEAD]),
        ]),
    }  # fmt: skip


@pytest.mark.parametrize("table", shipped_tables())
def test_a_shipped_table_is_whole(table):
    columns, cells = plans()[table]
    rows, seeds = results(table).fillna({"updates": 0}), shipped_tables()[table][1]
    longer, fewer = LONGER.get(table, (None, seeds))
    assert not rows.duplicated([*columns.split(), "seed"]).any()
    assert rows.seed.nunique() == seeds
    found = rows.value_counts(columns.split()).to_dict() if columns else {(): len(rows)}
    assert found == {cell: fewer if longer in cell else seeds for cell in cells}


def test_every_shipped_table_can_be_computed_again_and_is_small():
    files = {path.stem: path for path in LESSONS.glob("*/results/*.csv")}
    assert set(files) == set(shipped_tables())
    assert all(path.stat().st_size < 120_000 for path in files.values())


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    rows = pd.DataFrame({"seed": [0, 1], "accuracy": [50, 60.1234]})
    asked = []
    monkeypatch.setitem(tables.TABLES, "dial", (lambda seeds: asked.append(seeds) or rows, 5))
    monkeypatch.setattr("sys.argv", ["lessons", "dial", "--out", str(tmp_path / "t.csv"), "--seeds", "2"])
    main()
    assert asked == [range(2)]
    assert (tmp_path / "t.csv").read_text() == "seed,accuracy\n0,50.000\n1,60.123\n"
    assert "wrote 2 rows" in capsys.readouterr().out
