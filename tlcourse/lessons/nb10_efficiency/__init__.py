"""Notebook 10: how cheap can it get?"""

from copy import deepcopy as copy_of

from tlcourse.lessons.nb10_efficiency.caching import features_in_training_mode, race, train_on
from tlcourse.lessons.nb10_efficiency.figures import (
    cut_figure,
    plane_figure,
    roofline_figure,
    smaller_figure,
    stages_figure,
    ways_figure,
)
from tlcourse.lessons.nb10_efficiency.knobs import batch_sizes, knobs_turned
from tlcourse.lessons.nb10_efficiency.lab import BudgetLab
from tlcourse.lessons.nb10_efficiency.machine import joules, layers_measured, milliseconds, peaks
from tlcourse.lessons.nb10_efficiency.plane import points
from tlcourse.lessons.nb10_efficiency.search import HALVING, searches
from tlcourse.lessons.nb10_efficiency.spent import stages_spent, what_freezing_spares
from tlcourse.lessons.nb10_efficiency.ways import FULL, PER_CLASS, PROBE, RANK4, WAYS, learned, prepared
from tlcourse.models.adapters.lora import LowRank, add_lora, merge_lora
from tlcourse.models.adapters.task import megabytes, task_weights
from tlcourse.models.compression.distillation import soft_loss
from tlcourse.models.compression.int8 import affine
from tlcourse.models.compression.pruning import apply_masks, kept_channels, magnitude_masks, remove_channels
from tlcourse.models.compression.quantized import quantize
from tlcourse.models.cost import layer_costs, multiply_adds
from tlcourse.notebook.figures import budget_of
