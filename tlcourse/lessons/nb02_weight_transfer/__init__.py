"""Notebook 02: what exactly is carried over, and what is left behind?"""

from tlcourse.lessons.nb02_weight_transfer.figures import draw_block, draw_filters, draw_layer_transfer, draw_moved
from tlcourse.lessons.nb02_weight_transfer.lab import WeightTransferLab
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import drop_table, drops, run_layer_transfer
from tlcourse.lessons.nb02_weight_transfer.strategies import carry_over, strategy_table, take_steps, trial
from tlcourse.models.variants import TinyResNetVariant, foreign_weights
from tlcourse.notebook.results import as_texts
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.heads import class_mean_head
from tlcourse.transfer.surgery import adapt_input, rename, strip_prefix, transplant
from tlcourse.transfer.weights import check_still, weights_moved

__all__ = [
    "TinyResNetVariant",
    "WeightTransferLab",
    "adapt_input",
    "as_texts",
    "carry_over",
    "check_still",
    "class_mean_head",
    "copy_weights",
    "draw_block",
    "draw_filters",
    "draw_layer_transfer",
    "draw_moved",
    "drop_table",
    "drops",
    "foreign_weights",
    "rename",
    "run_layer_transfer",
    "strategy_table",
    "strip_prefix",
    "take_steps",
    "transplant",
    "trial",
    "weights_moved",
]
