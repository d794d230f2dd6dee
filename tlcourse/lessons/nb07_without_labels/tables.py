"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb07_without_labels.at_test_time import (
    shot_longer,
    shot_table,
    shot_weights,
    tent_rates,
    tent_table,
)
from tlcourse.lessons.nb07_without_labels.others import others
from tlcourse.lessons.nb07_without_labels.self_supervised import self_supervised, simclr_views
from tlcourse.lessons.nb07_without_labels.semi_supervised import (
    answered_over_time,
    semi,
    semi_digits,
    semi_longer,
    semi_settings,
    semi_ways,
)

TABLES = {
    "semi": (semi, 10),
    "semi_digits": (semi_digits, 3),
    "semi_ways": (semi_ways, 3),
    "semi_longer": (semi_longer, 3),
    "semi_settings": (semi_settings, 3),
    "answered_over_time": (answered_over_time, 3),
    "others": (others, 5),
    "self_supervised": (self_supervised, 3),
    "simclr_views": (simclr_views, 3),
    "tent": (tent_table, 5),
    "tent_rates": (tent_rates, 3),
    "shot": (shot_table, 5),
    "shot_weights": (shot_weights, 3),
    "shot_longer": (shot_longer, 3),
}
