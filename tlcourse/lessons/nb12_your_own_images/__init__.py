"""Notebook 12: how do I do it with my own photographs?"""

from tlcourse.lessons.nb12_your_own_images.classic import run_classic
from tlcourse.lessons.nb12_your_own_images.experiment import gain_table
from tlcourse.lessons.nb12_your_own_images.figures import (
    as_seen,
    draw_evaluation,
    draw_mistakes,
    draw_photos,
    draw_prepared,
    draw_tuning,
)
from tlcourse.lessons.nb12_your_own_images.lab import PredictionLab
from tlcourse.lessons.nb12_your_own_images.practice import compare_networks, practice_folder
from tlcourse.photos.classifier import load_classifier, save_classifier
from tlcourse.photos.evaluation import evaluate_photos
from tlcourse.photos.finetuning import cache_features, careful_temperature, solve_photo_probe
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.pipeline import fine_tune_or_keep
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import leakage, train_validation_test
from tlcourse.photos.views import RandomView
from tlcourse.transfer.freezing import layerwise_lr
from tlcourse.transfer.linear_probe import write_head
