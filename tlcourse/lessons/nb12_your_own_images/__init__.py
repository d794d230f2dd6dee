"""Notebook 12: how do I do it with my own photographs?"""

from tlcourse.lessons.nb12_your_own_images.experiment import compared, from_scratch
from tlcourse.lessons.nb12_your_own_images.figures import (
    evaluation_figure,
    losses_figure,
    mistakes_figure,
    photos_figure,
    prepared_figure,
    tuning_figure,
    views_figure,
)
from tlcourse.lessons.nb12_your_own_images.lab import PredictionLab
from tlcourse.lessons.nb12_your_own_images.practice import backbone_table, practice_folder
from tlcourse.lessons.nb12_your_own_images.relabelling import relabelling
from tlcourse.photos.classifier import load_classifier, save_classifier
from tlcourse.photos.evaluation import evaluate_photos
from tlcourse.photos.finetuning import fine_tune_or_keep
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.pipeline import probe_photos
from tlcourse.photos.recipe import choose_recipe
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import from_another_day, train_validation_test
from tlcourse.photos.views import RandomView
