"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb04_evaluation.experiment import challenger_answers, measure_networks, source_answers
from tlcourse.lessons.nb04_evaluation.selecting import selection_trials

TABLES = {
    "source_answers": (source_answers, 20),
    "challenger_answers": (challenger_answers, 20),
    "judged": (measure_networks, 10),
    "promises": (selection_trials, 40),
}
