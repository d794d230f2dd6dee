"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb06_crossing_domains.experiment import (
    adapted,
    adapted_cases,
    adapted_far,
    adapted_longer,
    adapted_weights,
)
from tlcourse.lessons.nb06_crossing_domains.few_labels import few_target_labels

TABLES = {
    "adapted": (adapted, 10),
    "adapted_far": (adapted_far, 5),
    "adapted_weights": (adapted_weights, 3),
    "adapted_longer": (adapted_longer, 3),
    "adapted_cases": (adapted_cases, 5),
    "few_target_labels": (few_target_labels, 5),
}
