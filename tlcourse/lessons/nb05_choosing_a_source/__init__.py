"""Notebook 05: which pretrained model should I start from?"""

from tlcourse.lessons.nb05_choosing_a_source.experiment import NAMES, trial
from tlcourse.lessons.nb05_choosing_a_source.figures import (
    agreement_figure,
    distance_figure,
    gains,
    h_score_of_noise,
    half_zoo_figure,
    noise_figure,
    scatter_figure,
    sources_figure,
    truth_figure,
)
from tlcourse.lessons.nb05_choosing_a_source.lab import SourceLab
from tlcourse.lessons.nb05_choosing_a_source.ranking import (
    LOST,
    agreement,
    candidates_table,
    in_half_zoos,
    optimism,
    seconds_of_scores,
    weighted_tau,
    with_and_without,
)
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, CLOSE, candidate
from tlcourse.notebook.figures import budget_of
from tlcourse.photos.choice_page import HEADER, choice_rows
from tlcourse.photos.choosing import compare_backbones
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import set_test_aside
from tlcourse.transfer.domain_distance import frechet_distance, proxy_a_distance, squared_mmd
from tlcourse.transfer.transferability import (
    h_score,
    knn_accuracy,
    leep,
    logme,
    probe_accuracy,
    regularised_h_score,
)
