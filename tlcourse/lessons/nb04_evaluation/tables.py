"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb04_evaluation.experiment import evaluate_networks, short_answers
from tlcourse.lessons.nb04_evaluation.selecting import selection_trials

TABLES = {
    "short_answers": (short_answers, 20),
    "evaluated": (evaluate_networks, 5),
    "promises": (selection_trials, 40),
}
