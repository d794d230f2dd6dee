"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb01_preprocessing.augmentation_worth import augmentation_worth
from tlcourse.lessons.nb01_preprocessing.experiment import normalisation_price

TABLES = {"augmentation_worth": (augmentation_worth, 10), "normalisation_price": (normalisation_price, 10)}
