"""The comparison of notebook 03: every strategy, the same budget, measured where it was trained for and elsewhere."""

import functools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.parallel import side_by_side
from tlcourse.training.trials import Recipe
from tlcourse.transfer.freezing import count_parameters, trainable
from tlcourse.transfer.heads import get_classifier

TABLE = shipped_table("strategies")
LABELS = (1, 5, 20)
WORLD = "handwritten-photo"
SHIFT = 0.5  # how far the shifted target lies, fixed before anything was measured
HEADER = ("strategy", "target %", "shifted %", "source %", "drift %", "seconds", "weights trained")
PAIRED_HEADER = ("labels per class", "target", "shifted target", "source")


@dataclass(frozen=True)
class Outcome:
    """One training by one strategy, and what it did.

    Attributes:
        strategy: one of `STRATEGIES`.
        per_class: labelled images per class.
        seed: seed of everything random.
        target: accuracy on the target's test half, in percent.
        shifted: accuracy on the same half, moved away by `SHIFT`, in percent.
        source: accuracy on new letters, with the trained backbone and the old head, in percent; not a number for
            networks that never knew letters.
        drift: how far the features of the target's test half moved, in percent of their length; as above.
        seconds: time to train.
        trained: how many weights could move.
    """

    strategy: str
    per_class: int
    seed: int
    target: float
    shifted: float
    source: float
    drift: float
    seconds: float
    trained: int


@functools.cache
def yardsticks(world: str = WORLD) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return what is measured on: the target's test half, the same half shifted, and 1,000 new letters."""
    return (
        train_test(world)[1],
        train_test(world, shift=SHIFT)[1],
        load("printed-photo", "letters", "test", count=1000),
    )


@functools.cache
def features_before(network: str, world: str = WORLD) -> torch.Tensor:
    """Return what a pretrained network makes of the target's test half before any training, float32 `[N, features]`."""
    return extract_features(pretrained(network, "letters"), yardsticks(world)[0])


def head_accuracy(head: nn.Linear, features: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the accuracy of a head on given features, in percent.

    Args:
        head: a linear layer.
        features: float32 `[N, features]`, on the CPU.
        labels: class numbers, int64 `[N]`.

    Returns:
        From 0 to 100.
    """
    with torch.inference_mode():
        answers = head(features.to(head.weight.device)).argmax(1).cpu()
    return 100 * (answers == labels).sum().item() / len(labels)


def source_accuracy(model: nn.Module, network: str, letters: ImageSet) -> float:
    """Return what a trained backbone still knows of its source: its accuracy with the old head put back.

    Args:
        model: the trained network; not changed.
        network: which pretrained network it came from.
        letters: images of the source.

    Returns:
        Percent.
    """
    return head_accuracy(
        get_classifier(pretrained(network, "letters")), extract_features(model, letters), letters.labels
    )


def feature_drift(before: torch.Tensor, after: torch.Tensor) -> float:
    """Return how far training moved features: the length of the difference over the length before, on average.

    Args:
        before: features of some images, float `[N, features]`.
        after: features of the same images after training, the same shape.

    Returns:
        Percent; 0 when nothing moved. About 140 would be two unrelated directions of equal length.

    Raises:
        ValueError: the shapes differ.
    """
    if before.shape != after.shape:
        raise ValueError(
            f"features have shapes {list(before.shape)} and {list(after.shape)}. Expected the same images."
        )
    return 100 * ((after - before).norm(dim=1) / before.norm(dim=1)).mean().item()


def run_strategy(
    name: str,
    per_class: int,
    seed: int,
    recipe: Recipe = Recipe(),
    setting: float | None = None,
    world: str = WORLD,
) -> tuple[Outcome, nn.Module]:
    """Choose a few labels, train by a strategy, and measure.

    Args:
        name: one of `STRATEGIES`.
        per_class: labelled images per class.
        seed: seed of everything random; the same for all strategies, which makes them comparable in pairs.
        recipe: the budget.
        setting: learning rate or penalty; by default the strategy's own.
        world: the target, with ten classes.

    Returns:
        The outcome, and the trained network.

    Raises:
        ValueError: there is no such strategy, or it needs more labels.
    """
    check_strategy(name, per_class)
    strategy, (target, shifted, letters) = STRATEGIES[name], yardsticks(world)
    model, labelled = strategy.start(seed), train_test(world)[0].few(per_class, seed)
    begin = time.perf_counter()
    strategy.train(model, labelled, seed, strategy.setting if setting is None else setting, recipe)
    seconds = time.perf_counter() - begin
    known, features = strategy.carried, extract_features(model, target)
    outcome = Outcome(
        strategy=name,
        per_class=per_class,
        seed=seed,
        target=head_accuracy(get_classifier(model), features, target.labels),
        shifted=accuracy(model, shifted),
        source=source_accuracy(model, strategy.network, letters) if known else math.nan,
        drift=feature_drift(features_before(strategy.network, world), features) if known else math.nan,
        seconds=seconds,
        trained=count_parameters([*get_classifier(model).parameters()] if name == "linear probe" else trainable(model)),
    )
    return outcome, model


def check_strategy(name: str, per_class: int) -> None:
    """Refuse a strategy that does not exist or cannot work with so few labels."""
    if name not in STRATEGIES:
        raise ValueError(f"there is no strategy {name!r}. Expected one of: {', '.join(map(repr, STRATEGIES))}.")
    if per_class < STRATEGIES[name].fewest:
        raise ValueError(
            f"{name} needs at least {STRATEGIES[name].fewest} labels per class, but {per_class} was asked for: it "
            "holds one of them back."
        )


def run_strategies(
    names: Sequence[str],
    labels: Iterable[int],
    seeds: Iterable[int],
    progress: bool = True,
    world: str = WORLD,
) -> list[Outcome]:
    """Run every possible combination, several at the same time.

    Args:
        names: some of `STRATEGIES`.
        labels: how many labelled images per class; a strategy that needs more is left out.
        seeds: seeds.
        progress: show a progress bar.
        world: the target, with ten classes.

    Returns:
        The outcomes, ordered by number of labels, then strategy, then seed.
    """
    plan = [(n, k, seed) for k in labels for n in names if k >= STRATEGIES[n].fewest for seed in seeds]
    yardsticks(world)  # once, before the threads ask
    return side_by_side(lambda *which: run_strategy(*which, world=world)[0], plan, progress)


def strategies(seeds: Sequence[int]) -> list[Outcome]:
    """Run the whole table of notebook 03."""
    return run_strategies(list(STRATEGIES), LABELS, seeds)


def values(outcomes: Iterable[Outcome], name: str, per_class: int, what: str = "target") -> list[float]:
    """Return one measure of a strategy, ordered by seed.

    Args:
        outcomes: outcomes.
        name: strategy.
        per_class: labels per class.
        what: a field of `Outcome`.

    Returns:
        One number a seed.
    """
    chosen = [o for o in outcomes if (o.strategy, o.per_class) == (name, per_class)]
    return [getattr(outcome, what) for outcome in sorted(chosen, key=lambda outcome: outcome.seed)]


def summary(outcomes: Sequence[Outcome], per_class: int, what: str = "target") -> dict[str, Interval]:
    """Return mean and 95 % interval of one measure for every strategy that has it with so many labels."""
    names = dict.fromkeys(o.strategy for o in outcomes if o.per_class == per_class)
    columns = {name: values(outcomes, name, per_class, what) for name in names}
    return {name: bootstrap_mean(column) for name, column in columns.items() if not any(map(math.isnan, column))}


def strategy_table(outcomes: Sequence[Outcome], per_class: int) -> list[list[str]]:
    """Return a row of text for every strategy with so many labels, to be shown under `HEADER`.

    The seconds are those of the fastest seed: whatever else a computer does can only make a training slower.
    """
    columns = {what: summary(outcomes, per_class, what) for what in ("target", "shifted", "source", "drift")}
    rows = []
    for name in columns["target"]:
        cells = [columns[what].get(name) for what in ("target", "shifted")]
        means = [f"{columns[what][name].mean:.0f}" if name in columns[what] else "–" for what in ("source", "drift")]
        trained = next(o.trained for o in outcomes if o.strategy == name)
        fastest = min(values(outcomes, name, per_class, "seconds"))
        rows.append([name, *map(str, cells), *means, f"{fastest:.2f}", f"{trained:,}"])
    return rows


def paired_table(outcomes: Sequence[Outcome], name: str, other: str) -> list[list[str]]:
    """Return a row of text for every number of labels: one strategy minus another, seed by seed, in points.

    Args:
        outcomes: outcomes of both strategies with the same seeds.
        name: a strategy.
        other: the strategy to compare it with.

    Returns:
        Rows to be shown under `PAIRED_HEADER`.
    """
    rows = []
    for k in sorted({o.per_class for o in outcomes if o.strategy == name}):
        pairs = [[values(outcomes, n, k, what) for n in (name, other)] for what in ("target", "shifted", "source")]
        known = [pair for pair in pairs if not math.isnan(sum(map(sum, pair)))]
        rows.append([str(k), *(str(paired_difference(*pair)) if pair in known else "–" for pair in pairs)])
    return rows


def read_outcomes(path: Path | str = TABLE) -> list[Outcome]:
    """Read outcomes from a file; by default those that came with the course."""
    return read_rows(path, Outcome)
