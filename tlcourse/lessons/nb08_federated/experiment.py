"""Rounds to a target from two starts, and what the methods add, along two dials of how unlike the clients are."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.federated.clients import Client, by_label
from tlcourse.federated.fedavg import FedAvg
from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.federation import Federation
from tlcourse.federated.fedprox import FedProx
from tlcourse.federated.home import HomeWork
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.training.starts import starting_model

WORLD = "handwritten-photo"
COUNT, PER_CLASS = 10, 5  # clients, and labels of each class that a client has in the mean
TARGET = 85.0  # percent of the test pool
STARTS = {"scratch": "scratch", "letters": "fine-tuned"}
ROUNDS = 40
LONGER = 3
TRIED_FOR = {"scratch": 20, "letters": 10}  # rounds of a training that chooses
RATES = (0.1, 0.3, 1.0, 2.0)
RATE = {"scratch": 0.3, "letters": 1.0}  # of `RATES`, the best at `CHOSEN_AT` (`federated_settings`)
GENTLE = 0.3
FEDBN_RATE = 0.3  # of the same rates, the best for FedBN from the letters; from scratch it was not asked anew
MUS = (0.01, 0.1, 1.0)
MU = 0.01  # of `MUS`, the best for the letters


class Place(NamedTuple):
    """How unlike the clients are: by label (infinity is not at all) and by look (0 is not at all)."""

    alpha: float = float("inf")
    furthest: float = 0.0  # the clients' shifts are spread evenly from 0 up to here; a newcomer stands here


ALIKE = "alike"
PLACES = {
    ALIKE: Place(),
    "labels, some": Place(alpha=1.0),
    "labels, much": Place(alpha=0.1),
    "look, some": Place(furthest=0.5),
    "look, much": Place(furthest=1.0),
}
FAR = ("labels, much", "look, much")
CHOSEN_AT = ("labels, some", "look, some")  # where rates and the strength of FedProx were chosen


class Setting(NamedTuple):
    """The clients of an experiment, what each is tested on, and images that nobody has."""

    clients: list[Client]
    tests: list[ImageSet]  # the test pool as each client's images look
    newcomer: ImageSet  # as those of one who took no part look
    held_out: list[ImageSet]  # of the training pool, as each client's look: to choose on


_load = functools.cache(load)


def setting(place: Place, seed: int) -> Setting:
    """Let every client see its images in its own look; what nobody has of the pool is held out to choose on."""
    looks = [place.furthest * number / COUNT for number in range(COUNT)]
    divided = division(place.alpha, seed)
    pool = _load(WORLD)
    nobodys = torch.ones(len(pool), dtype=torch.bool)
    for client in divided:
        nobodys[client.data.attributes["row"]] = False
    clients = [
        Client(client.name, _load(WORLD, shift=look).subset(client.data.attributes["row"]))
        for client, look in zip(divided, looks, strict=True)
    ]
    tests = [_load(WORLD, split="test", shift=look) for look in looks]
    held_out = [_load(WORLD, shift=look).subset(nobodys) for look in looks]
    return Setting(clients, tests, _load(WORLD, split="test", shift=place.furthest), held_out)


def division(alpha: float, seed: int) -> list[Client]:
    """Give 500 images of the training pool to 10 clients, 50 each in the mean; their attribute `row` says which."""
    pool = _load(WORLD)
    rows = {"row": torch.arange(len(pool))}
    return by_label(replace(pool, attributes=rows).few(COUNT * PER_CLASS, seed), COUNT, alpha, seed=seed)


def starting_network(start: str, seed: int) -> nn.Module:
    """Return the weights of the first round: random ones, or the letters' with a fresh head."""
    return starting_model(STARTS[start], seed)


def federation(
    start: str,
    place: str,
    method: FedAvg,
    seed: int,
    *,
    lr: float | None = None,
    **options: Any,  # noqa: ANN401
) -> tuple[Federation, Setting]:
    """Return a federation that has not begun, and its setting."""
    there = setting(PLACES[place], seed)
    work = HomeWork(lr=lr or RATE[start])
    return Federation(starting_network(start, seed), there.clients, method, work, seed=seed, **options), there


def seen(running: Federation, images: Sequence[ImageSet]) -> float:
    """Return the accuracy over clients in percent; every image is asked of one client, in that one's look."""
    order = torch.randperm(len(images[0]), generator=generator("who is asked"))
    right = 0
    for number, (name, theirs) in enumerate(zip(running.homes, images, strict=True)):
        part = theirs.subset(order[number :: len(images)])
        right += len(part) * accuracy(running.network_of(name), part)
    return right / len(order)


def over_rounds(
    start: str, place: str, seed: int, *, count: int = ROUNDS, lr: float | None = None
) -> list[dict[str, Any]]:
    """Measure after every round what the clients' networks make of the test pool, in percent."""
    running, there = federation(start, place, FedAvg(), seed, lr=lr)
    return [{"round": done.number, "accuracy": seen(running, there.tests)} for done in running.rounds(count)]


def live_run(running: Federation, test: ImageSet, count: int) -> pd.DataFrame:
    """Do some rounds and measure after each, in the form of `over_rounds`; for a notebook."""
    return pd.DataFrame(
        {"start": "letters", "round": done.number, "accuracy": accuracy(running.network(), test)}
        for done in running.rounds(count)
    )


def rounds(seeds: Sequence[int]) -> pd.DataFrame:
    """Follow FedAvg from both starts at all places."""
    return grid(over_rounds, start=STARTS, place=PLACES, seed=seeds)


def rounds_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Follow it from scratch for three times as many rounds where the clients are most unlike."""
    return grid(functools.partial(over_rounds, count=LONGER * ROUNDS), start=["scratch"], place=FAR, seed=seeds)


def rounds_gently(seeds: Sequence[int]) -> pd.DataFrame:
    """Follow the letters where labels differ much with a smaller rate than was chosen half-way along the dial."""
    return grid(functools.partial(over_rounds, lr=GENTLE), start=["letters"], place=["labels, much"], seed=seeds)


def rounds_to(rows: pd.DataFrame, target: float = TARGET) -> pd.DataFrame:
    """Return, a row a training, the first `round` with an accuracy of at least `target`; nan where there is none."""
    by = [name for name in rows if name not in ("round", "accuracy")]
    reached = rows[rows["accuracy"] >= target].groupby(by, sort=False)["round"].min()
    trainings = pd.MultiIndex.from_frame(rows[by].drop_duplicates())
    return reached.reindex(trainings).reset_index()


def chosen(start: str, place: str, what: str, seed: int) -> dict[str, float]:
    """Train with a rate, or with a strength of FedProx; return the accuracy on images of the pool that nobody has."""
    kind, _, value = what.rpartition(" ")
    how = {} if kind == "mu" else {"lr": float(value)}
    method = {"mu": FedProx, "FedBN, rate": lambda _: FedBN()}.get(kind, lambda _: FedAvg())(float(value))
    running, there = federation(start, place, method, seed, **how)
    *_, _ = running.rounds(TRIED_FOR[start])
    return {"held_out": seen(running, there.held_out)}


def federated_settings(seeds: Sequence[int]) -> pd.DataFrame:
    """Try every rate, and every strength of FedProx, half-way along both dials; no test image has a say."""
    rates = grid(chosen, start=STARTS, place=CHOSEN_AT, what=[f"rate {rate:g}" for rate in RATES], seed=seeds)
    others = [*(f"mu {mu:g}" for mu in MUS), *(f"FedBN, rate {rate:g}" for rate in RATES)]
    return grid(chosen, start=["letters"], place=CHOSEN_AT, what=others, seed=seeds, add_to=rates)
