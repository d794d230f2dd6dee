"""Who is served how well: FedAvg, FedProx and FedBN beside each client alone and all images in one place."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.federated.clients import Client
from tlcourse.federated.fedavg import FedAvg, Update, weighted_mean
from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.federation import Federation
from tlcourse.federated.fedprox import FedProx
from tlcourse.federated.home import HomeWork
from tlcourse.federated.personal import personalise
from tlcourse.lessons.nb08_federated.experiment import (
    CHOSEN_AT,
    FAR,
    FEDBN_RATE,
    MU,
    PLACES,
    RATE,
    RATES,
    ROUNDS,
    TRIED_FOR,
    Setting,
    federation,
    setting,
    starting_network,
)
from tlcourse.notebook.results import grid
from tlcourse.storage import Tensors

AVERAGE, UNWEIGHTED, PROX, LOCAL_BN = "FedAvg", "FedAvg, unweighted", "FedProx", "FedBN"
ALONE, TOGETHER = "each alone", "all in one place"
ALONE_RATE = 0.1  # of `RATES`, the best for clients alone (`alone_settings`)
STATISTICS, AT_HOME = "FedAvg, own statistics", "FedAvg, then at home"
METHODS = {AVERAGE: FedAvg(), PROX: FedProx(MU), LOCAL_BN: FedBN()}

AFTER = (STATISTICS, AT_HOME)  # begin where FedAvg ends
WAYS = (ALONE, *METHODS, UNWEIGHTED, *AFTER, TOGETHER)
Networks = dict[str, nn.Module]  # of each client


class Unweighted(FedAvg):
    """FedAvg in which every client counts the same, however few images it has: a mistake that raises no error."""

    def mean(self, updates: Sequence[Update]) -> Tensors:
        """Return the plain mean."""
        return weighted_mean([update._replace(images=1) for update in updates])


def served(way: str, start: str, place: str, seed: int) -> list[dict[str, Any]]:
    """Train in a way, and say whom it serves; FedAvg gives three rows, as two ways begin where it ends.

    Percent of the test pool, which each client sees in its own look: `accuracy` is the mean over clients; `own` weights
    the classes as the client's own images have them; `worst` is the lowest of the clients' `own`. `newcomer` is for one
    who took no part and stands further than all on the dial: with the network for everybody, or where clients have
    statistics of their own, with those of its own images, of which it needs no label; nan where none was asked.
    """
    if way in METHODS or way == UNWEIGHTED:
        method = Unweighted() if way == UNWEIGHTED else METHODS[way]
        running, there = federation(start, place, method, seed, lr=rate_of(way, start))
        *_, _ = running.rounds(ROUNDS)
        networks = {name: running.network_of(name) for name in running.homes}
        newcomer = {AVERAGE: running.network, LOCAL_BN: lambda: running.network_for(there.newcomer.images)}.get(way)
        rows = [measured(way, networks, there, newcomer and newcomer())]
        return rows + after(running, there, seed) if way == AVERAGE else rows
    there = setting(PLACES[place], seed)
    if way == ALONE:
        return [measured(way, each_alone(there.clients, start, seed), there, None)]
    network = one_owner(there.clients, start, seed, lr=RATE[start])
    return [measured(way, dict.fromkeys((client.name for client in there.clients), network), there, network)]


def rate_of(way: str, start: str) -> float:
    """Return the rate that was chosen for a way and a start."""
    return FEDBN_RATE if way == LOCAL_BN else RATE[start]


def each_alone(
    clients: Sequence[Client], start: str, seed: int, *, lr: float | None = None, count: int = ROUNDS
) -> Networks:
    """Let every client train for itself, as long as the others do together."""
    rate = lr or ALONE_RATE
    return {client.name: one_owner([client], start, seed, lr=rate, count=count) for client in clients}


def one_owner(clients: Sequence[Client], start: str, seed: int, *, lr: float, count: int = ROUNDS) -> nn.Module:
    """Train on the images of some clients in one place: a federation of one, so it is ordinary training.

    An image is seen as often as in the federation, in the same batches.
    """
    images = torch.cat([client.data.images for client in clients])
    labels = torch.cat([client.data.labels for client in clients])
    owner = Client("one owner", ImageSet(images, labels, clients[0].data.classes))
    alone = Federation(starting_network(start, seed), [owner], FedAvg(), HomeWork(lr=lr), seed=seed)
    *_, _ = alone.rounds(count)
    return alone.network()


def after(running: Federation, there: Setting, seed: int) -> list[dict[str, Any]]:
    """Go on where FedAvg ended: with statistics of each client's own images, or fine-tuned at each."""
    clients = running.homes.items()
    statistics = {name: adapt_batchnorm(running.network(), home.client.data.images) for name, home in clients}
    at_home = {name: personalise(running.network(), home.client, seed=seed) for name, home in clients}
    newcomer = running.network_for(there.newcomer.images)
    return [measured(STATISTICS, statistics, there, newcomer), measured(AT_HOME, at_home, there, None)]


def measured(way: str, networks: Networks, there: Setting, newcomer: nn.Module | None) -> dict[str, Any]:
    """Return what the clients' networks, and the newcomer's, make of the test pool; nan where there is none."""
    found = by_client(networks, there)
    return {
        **{"way": way, "accuracy": found["accuracy"].mean(), "own": found["own"].mean(), "worst": found["own"].min()},
        "newcomer": float("nan") if newcomer is None else accuracy(newcomer, there.newcomer),
    }


def by_client(networks: Networks, there: Setting) -> pd.DataFrame:
    """Return, a row a client, the percent that its network reads of the test pool in its look: all, and its own mix.

    In the own mix a class counts as often as among the client's images.
    """
    rows = []
    for client, test in zip(there.clients, there.tests, strict=True):
        right = (predict(networks[client.name], test).argmax(1) == test.labels).double()
        by_class = torch.stack([right[test.labels == label].mean() for label in range(len(test.classes))])
        shares = client.data.labels.bincount(minlength=len(test.classes)) / len(client.data)
        own = (shares * by_class).sum()
        rows.append({"client": client.name, "accuracy": 100 * right.mean().item(), "own": 100 * own.item()})
    return pd.DataFrame(rows)


def alone_chosen(place: str, rate: float, seed: int) -> dict[str, float]:
    """Let every client train for itself at a rate; return what it reads of its own mix of images that nobody has."""
    there = setting(PLACES[place], seed)
    networks = each_alone(there.clients, "letters", seed, lr=rate, count=TRIED_FOR["letters"])
    return {"held_out": by_client(networks, there._replace(tests=there.held_out))["own"].mean()}


def alone_settings(seeds: Sequence[int]) -> pd.DataFrame:
    """Try every rate for clients that train alone, half-way along both dials; no test image has a say."""
    return grid(alone_chosen, place=CHOSEN_AT, rate=RATES, seed=seeds)


def federated(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare the ways from the letters, where the clients are most unlike; and FedBN from scratch, where looks are."""
    trained = [way for way in WAYS if way not in (*AFTER, UNWEIGHTED)]
    rows = grid(served, way=trained, start=["letters"], place=FAR, seed=seeds)
    # where looks differ, all clients have as many images, and the plain mean is the weighted one
    rows = grid(served, way=[UNWEIGHTED], start=["letters"], place=["labels, much"], seed=seeds, add_to=rows)
    return grid(served, way=[AVERAGE, LOCAL_BN], start=["scratch"], place=["look, much"], seed=seeds, add_to=rows)
