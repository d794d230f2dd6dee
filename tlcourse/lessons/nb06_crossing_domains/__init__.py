"""Notebook 06: what if the target looks different?"""

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import adapt
from tlcourse.adaptation.cdan import CDAN
from tlcourse.adaptation.consistency import Consistency
from tlcourse.adaptation.coral import CORAL, coral_distance
from tlcourse.adaptation.dann import DANN, reverse_gradient
from tlcourse.adaptation.mcc import MCC, class_confusion
from tlcourse.adaptation.mmd import MMD
from tlcourse.adaptation.self_training import self_train, surest_of_each_class
from tlcourse.lessons.nb06_crossing_domains.choosing import closed, favourites, gains, peeking_table, picked
from tlcourse.lessons.nb06_crossing_domains.experiment import short_trial
from tlcourse.lessons.nb06_crossing_domains.figures import (
    CASE_TITLES,
    cases_figure,
    choices_figure,
    dial_figure,
    domains_figure,
    few_labels_figure,
    headline_figure,
    named_by_shift,
)
from tlcourse.lessons.nb06_crossing_domains.lab import AlignmentLab
from tlcourse.lessons.nb06_crossing_domains.shifts import three_shifts
from tlcourse.lessons.nb06_crossing_domains.whole_table import whole_table
from tlcourse.notebook.figures import budget_of
