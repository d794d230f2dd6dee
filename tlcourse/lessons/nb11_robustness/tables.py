"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb11_robustness import (
    alpha,
    attacks,
    choosing,
    experiment,
    selective_answers,
    spurious,
    stages,
    strange_inputs,
    sureness,
)

TABLES = {
    "robust_rates": (choosing.rates_table, 2),
    "remedy_rates": (choosing.remedies_table, 2),
    "robust": (experiment.held_table, 5),
    "robust_many_labels": (experiment.many_labels_table, 2),
    "robust_longer": (experiment.longer_table, 2),
    "robust_dial": (experiment.dial_table, 5),
    "line": (alpha.line_table, 10),
    "other_lines": (alpha.other_lines, 3),
    "stages": (stages.stages_table, 5),
    "stages_longer": (stages.stages_longer, 2),
    "stage_rates": (stages.stage_rates, 1),
    **sureness.MORE_TABLES,
    **strange_inputs.MORE_TABLES,
    **selective_answers.MORE_TABLES,
    **attacks.MORE_TABLES,
    **spurious.MORE_TABLES,
}
