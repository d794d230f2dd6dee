"""Notebook 08: what if the data may not leave their owners?"""

from tlcourse.federated.clients import by_sheet
from tlcourse.federated.differential_privacy import epsilon
from tlcourse.federated.fedavg import FedAvg, Update, refusal, weighted_mean
from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.federation import Federation, megabytes
from tlcourse.federated.fedprox import FedProx
from tlcourse.federated.home import HomeWork
from tlcourse.federated.secure_sum import masked, unmasked_sum
from tlcourse.lessons.nb08_federated.experiment import (
    PLACES,
    division,
    live_run,
    rounds_to,
    setting,
    starting_network,
)
from tlcourse.lessons.nb08_federated.figures import (
    clients_figure,
    looks_figure,
    needed_figure,
    private_figure,
    rebuilt_figure,
    rounds_figure,
    served_figure,
)
from tlcourse.lessons.nb08_federated.lab import FederationLab
from tlcourse.lessons.nb08_federated.private import rebuilt
