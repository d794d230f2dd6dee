"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb05_choosing_a_source.experiment import (
    zoo_distances,
    zoo_longer,
    zoo_scores,
    zoo_shifted,
    zoo_truth,
)

TABLES = {
    "zoo_truth": (zoo_truth, 10),
    "zoo_longer": (zoo_longer, 3),
    "zoo_shifted": (zoo_shifted, 5),
    "zoo_scores": (zoo_scores, 10),
    "zoo_distances": (zoo_distances, 3),
}
