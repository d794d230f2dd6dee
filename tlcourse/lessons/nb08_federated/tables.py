"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb08_federated.experiment import federated_settings, rounds, rounds_gently, rounds_longer
from tlcourse.lessons.nb08_federated.private import private
from tlcourse.lessons.nb08_federated.served import alone_settings, federated

TABLES = {
    "rounds": (rounds, 5),
    "rounds_longer": (rounds_longer, 3),
    "rounds_gently": (rounds_gently, 5),
    "federated": (federated, 5),
    "federated_settings": (federated_settings, 2),
    "alone_settings": (alone_settings, 2),
    "private": (private, 5),
}
