"""Notebook 01: what must happen to images before a pretrained model sees them?"""

from tlcourse.data.augmentations import Flip, flip_where, rotate_by
from tlcourse.data.cleaning import (
    find_exact_duplicates,
    find_near_duplicates,
    find_wrong_labels,
    precision_recall,
    thumbnail_distances,
    thumbnails,
)
from tlcourse.data.defects import (
    CHANGES,
    brighten,
    decode_files,
    encode_files,
    plant_across,
    plant_corruption,
    plant_defects,
)
from tlcourse.data.mixing import CutMix, MixUp, soft_labels
from tlcourse.data.normalisation import HALF, channel_statistics, denormalise, normalise, streamed_statistics
from tlcourse.data.splits import grouped_split, sees_held_out, shared_groups, stratified_folds, stratified_split
from tlcourse.lessons.nb01_preprocessing.experiment import gains, price_as_it_is, worth_table, worth_trial
from tlcourse.lessons.nb01_preprocessing.figures import (
    draw_detections,
    draw_leaks,
    draw_pairs,
    draw_prices,
    draw_suspects,
    draw_turned,
    draw_worth,
)
from tlcourse.lessons.nb01_preprocessing.inspection import (
    detection_trial,
    finding_table,
    in_sample,
    inspect,
    out_of_sample,
    pairs_found,
    recall_by_change,
    recall_by_damage,
    surest,
)
from tlcourse.lessons.nb01_preprocessing.lab import preprocessing_lab
from tlcourse.lessons.nb01_preprocessing.leaks import leak_by_copies, leak_by_sheets
from tlcourse.lessons.nb01_preprocessing.peeking import coin_flips, most_telling, peek_at_channels, peek_at_pixels
from tlcourse.lessons.nb01_preprocessing.readings import mirror_table, sixes_and_nines
from tlcourse.notebook.results import as_texts
from tlcourse.training.starts import starting_model
