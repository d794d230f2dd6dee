"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb12_your_own_images.experiment import photo_transfer

TABLES = {"photo_transfer": (photo_transfer, 6)}
