"""Notebook 01: what must happen to images before a pretrained model sees them?"""

from tlcourse.data.cleaning import find_exact_duplicates, find_near_duplicates, thumbnail_distances, thumbnails
from tlcourse.data.defects import plant_defects
from tlcourse.data.splits import sees_held_out
from tlcourse.lessons.nb01_preprocessing.experiment import gains, price_as_it_is, worth_trial
from tlcourse.lessons.nb01_preprocessing.figures import (
    draw_copies_across,
    draw_prices,
    draw_sizes,
    draw_suspects,
    draw_worth,
)
from tlcourse.lessons.nb01_preprocessing.inspection import detection_trial, inspect, recall_by_change
from tlcourse.lessons.nb01_preprocessing.lab import preprocessing_lab
from tlcourse.lessons.nb01_preprocessing.leaks import leak_by_copies, leak_by_sheets
from tlcourse.lessons.nb01_preprocessing.peeking import coin_flips, most_telling, peek
from tlcourse.training.starts import train_from
