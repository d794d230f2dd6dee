"""How the setting of every strategy was chosen: on sheets of the training half that gave no label."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, STRATEGIES
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.parallel import side_by_side
from tlcourse.training.trials import Recipe

CHOICES = shipped_table("strategy_settings")
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
PENALTIES = (0.05, 0.5, 5.0, 50.0)
KEPT_SHEETS = 5  # labels come from the first 5 of the training half's 7 sheets, and the others are measured on


@dataclass(frozen=True)
class Choice:
    """One training inside the training half, to choose a strategy's setting.

    Attributes:
        strategy: one of `STRATEGIES`.
        setting: learning rate, or penalty of the probe, as text (tables keep three decimals of numbers).
        seed: seed of everything random.
        accuracy: on the sheets that no label came from, in percent.
    """

    strategy: str
    setting: str
    seed: int
    accuracy: float


def try_setting(name: str, setting: float, seed: int, per_class: int = 5) -> Choice:
    """Train on some sheets of the training half and measure on the others, to choose a setting.

    Args:
        name: one of `STRATEGIES`.
        setting: learning rate, or penalty of the probe.
        seed: seed of everything random.
        per_class: labelled images per class.

    Returns:
        The choice.
    """
    half = load("handwritten-photo")
    first = half.attributes["sheet"] < KEPT_SHEETS
    learn, watch = half.subset(first), half.subset(~first)
    strategy = STRATEGIES[name]
    model = strategy.start(seed)
    strategy.train(model, learn.few(per_class, seed), seed, setting, Recipe())
    return Choice(name, f"{setting:g}", seed, accuracy(model, watch))


def strategy_settings(seeds: Sequence[int]) -> list[Choice]:
    """Try every setting of every strategy but the ready-made ones; the test half is not looked at."""
    names = [name for name in STRATEGIES if name not in BASELINES]
    grid = {name: PENALTIES if name == "linear probe" else RATES for name in names}
    return side_by_side(try_setting, [(n, s, 100 + seed) for n in names for s in grid[n] for seed in seeds])


def best_setting(choices: Sequence[Choice], name: str) -> float:
    """Return the setting of a strategy with the highest mean accuracy over the seeds."""
    means: dict[float, list[float]] = {}
    for choice in choices:
        if choice.strategy == name:
            means.setdefault(float(choice.setting), []).append(choice.accuracy)
    return max(means, key=lambda setting: sum(means[setting]) / len(means[setting]))


def read_choices(path: Path | str = CHOICES) -> list[Choice]:
    """Read how the settings were chosen; by default what came with the course."""
    return read_rows(path, Choice)
