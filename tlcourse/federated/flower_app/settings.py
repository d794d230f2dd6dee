"""The settings of a run, which server and clients read alike: the network, the method, the work of a round."""

from collections.abc import Callable, Mapping

from torch import nn

from tlcourse.federated.fedavg import FedAvg
from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.fedprox import FedProx
from tlcourse.federated.home import HomeWork
from tlcourse.training.starts import starting_model

Settings = Mapping[str, bool | float | int | str]  # the section [tool.flwr.app.config] of pyproject.toml
METHODS: dict[str, Callable[[Settings], FedAvg]] = {
    "fedavg": lambda settings: FedAvg(),
    "fedprox": lambda settings: FedProx(settings["mu"]),
    "fedbn": lambda settings: FedBN(),
}


def network(settings: Settings) -> nn.Module:
    """Make the network of a run as it is before the first round: the same at the server and at every client."""
    classes = len(settings["classes"].split())
    return starting_model(settings["start"], settings["seed"], classes=classes, network=settings["network"])


def method(settings: Settings) -> FedAvg:
    """Return the method of a run; ValueError for one that there is not."""
    if settings["method"] not in METHODS:
        raise ValueError(f"there is no method {settings['method']!r}. Expected one of: {', '.join(METHODS)}.")
    return METHODS[settings["method"]](settings)


def work(settings: Settings) -> HomeWork:
    """Return what a client does in a round."""
    return HomeWork(settings["epochs"], settings["batch"], settings["lr"])
