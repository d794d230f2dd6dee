"""Notebook 02: what exactly is carried over, and what is left behind?"""

from tlcourse.lessons.nb02_weight_transfer.figures import figure_of_layers, figure_of_moves, figure_of_strategies
from tlcourse.lessons.nb02_weight_transfer.lab import WeightTransferLab
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import run_layer_transfer, specificity
from tlcourse.lessons.nb02_weight_transfer.strategies import (
    carry_over,
    frozen_trial,
    strategy_table,
    take_steps,
    trial,
)
from tlcourse.models.variants import TinyResNetVariant, foreign_weights
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.heads import class_mean_head
from tlcourse.transfer.surgery import rename, strip_prefix, transplant
from tlcourse.transfer.weights import check_still, weights_moved

__all__ = [
    "TinyResNetVariant",
    "WeightTransferLab",
    "carry_over",
    "check_still",
    "class_mean_head",
    "copy_weights",
    "figure_of_layers",
    "figure_of_moves",
    "figure_of_strategies",
    "foreign_weights",
    "frozen_trial",
    "rename",
    "run_layer_transfer",
    "specificity",
    "strategy_table",
    "strip_prefix",
    "take_steps",
    "transplant",
    "trial",
    "weights_moved",
]
