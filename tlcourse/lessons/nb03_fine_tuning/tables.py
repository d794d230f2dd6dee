"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb03_fine_tuning.experiment import run_strategies
from tlcourse.lessons.nb03_fine_tuning.strategy_settings import run_settings

TABLES = {
    "strategies": (lambda seeds: run_strategies(seeds=seeds), 5),
    "strategy_settings": (run_settings, 3),
}
