"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb03_fine_tuning.batchnorm import run_batchnorm
from tlcourse.lessons.nb03_fine_tuning.experiment import HEADLINE, LONGER, run_strategies
from tlcourse.lessons.nb03_fine_tuning.strategy_settings import run_settings

TABLES = {
    "strategies": (lambda seeds: run_strategies(seeds=seeds), 4),
    "strategies_longer": (lambda seeds: run_strategies(HEADLINE, seeds=seeds, recipe=LONGER), 3),
    "strategy_settings": (run_settings, 3),
    "batchnorm": (lambda seeds: run_batchnorm(seeds=seeds), 10),
}
