"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb10_efficiency.knobs import compiling
from tlcourse.lessons.nb10_efficiency.smaller import smaller
from tlcourse.lessons.nb10_efficiency.spent import cost
from tlcourse.lessons.nb10_efficiency.ways import pareto, pareto_longer, settings

TABLES = {
    "efficient_ways": (pareto, 10),
    "efficient_longer": (pareto_longer, 3),
    "efficient_settings": (settings, 1),
    "efficient_cost": (cost, 3),
    "smaller": (smaller, 5),
    "compiling": (compiling, 1),
}
