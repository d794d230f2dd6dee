"""Notebook 07: what if there are no labels?"""

from tlcourse.evaluation.entropy import answered_classes, entropy
from tlcourse.lessons.nb07_without_labels.figures import (
    STREAMS,
    named_streams,
    others_figure,
    over_time_figure,
    pretext_figure,
    saved_figure,
    shot_figure,
    spread_figure,
    tent_figure,
    turned_figure,
    views_figure,
    ways_figure,
    worth_figure,
)
from tlcourse.lessons.nb07_without_labels.lab import ThresholdLab
from tlcourse.lessons.nb07_without_labels.self_supervised import PRETEXTS, spreads
from tlcourse.lessons.nb07_without_labels.semi_supervised import (
    GOOD_AND_BAD,
    saved,
    short_trial,
    starting_network,
)
from tlcourse.notebook.figures import budget_of
from tlcourse.training.weight_averaging import moving_average
from tlcourse.unlabelled.fixmatch import FixMatch, sure_answers
from tlcourse.unlabelled.rotation import turned
from tlcourse.unlabelled.semi_supervised import STRONG, learn_with_unlabelled
from tlcourse.unlabelled.simclr import nt_xent
from tlcourse.unlabelled.tent import by_batch_statistics, tent
