"""Which tables came with notebook 01."""

from tlcourse.lessons.nb01_preprocessing.experiment import augmentation_worth, normalisation_price

TABLES = {"augmentation_worth": (augmentation_worth, 10), "normalisation_price": (normalisation_price, 10)}
