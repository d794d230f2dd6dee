"""The rounds: send the weights out, let clients train at home, take the mean of what comes back."""

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.federated.clients import Client
from tlcourse.federated.fedavg import FedAvg, Update, refusal, weighted_mean
from tlcourse.federated.home import Home, HomeWork
from tlcourse.repro import generator, pick_device
from tlcourse.storage import Tensors
from tlcourse.training.checkpoint import copy_weights


class ClientLostError(ConnectionError):
    """A client did not answer; the round goes on without it."""


class Round(NamedTuple):
    """What happened in a round."""

    number: int  # counted from 1
    losses: dict[str, float]  # by client, the mean loss of its training, in nats
    lost: tuple[str, ...]  # clients that did not answer
    refused: dict[str, str]  # by client, why its update was not averaged
    megabytes: float  # sent to and by all clients


class Federation:
    """A server, its clients and their rounds, all on this machine.

    `per_round` clients are drawn for each round, all by default; `model` is copied. The seed is that of this draw and
    of the homes. Raises ValueError for no clients, two of the same name, or more a round than there are.
    """

    def __init__(
        self,
        model: nn.Module,
        clients: Sequence[Client],
        method: FedAvg | None = None,
        work: HomeWork | None = None,
        *,
        per_round: int | None = None,
        seed: int = 0,
    ) -> None:
        _check(clients, per_round)
        self.method, self.per_round, self.seed = method or FedAvg(), per_round or len(clients), seed
        work = work or HomeWork()
        self.worker = copy.deepcopy(model).to(device=pick_device(), memory_format=torch.channels_last)
        self.homes = {client.name: Home(client, self.worker, self.method, work, seed) for client in clients}
        self.private = self.method.stays_at_home(self.worker)  # names in the state dict
        self.shared = {name: value for name, value in copy_weights(self.worker).items() if name not in self.private}
        self.done = 0  # rounds

    def rounds(self, count: int) -> Iterator[Round]:
        """Do so many rounds, and yield after each what happened in it."""
        for _ in range(count):
            yield self.one_round()

    def one_round(self) -> Round:
        """Let the clients of one round train, and average what they send; one that fails costs this round only."""
        self.done += 1
        updates, lost, refused = {}, [], {}
        names = self._drawn()
        for name in names:
            try:
                update = self.homes[name].train(self.shared, self.done)
            except ClientLostError:
                lost.append(name)
                continue
            reason = refusal(update, self.shared)
            if reason:
                refused[name] = reason
            else:
                updates[name] = update
        if updates:
            self.shared = self.method.mean(list(updates.values()))
        traffic = (2 * len(names) - len(lost)) * megabytes(self.shared)
        return Round(self.done, {name: update.loss for name, update in updates.items()}, tuple(lost), refused, traffic)

    def network(self) -> nn.Module:
        """Return a copy of the network for everybody; ValueError where a part stays with the clients, as by FedBN."""
        if self.private:
            raise ValueError(
                f"{type(self.method).__name__} has no network for everybody: {len(self.private)} tensors, such as "
                f"{min(self.private)!r}, stay with the clients, and the server's are those of the start. Ask "
                "network_of(client), or network_for(images) for someone who took no part."
            )
        return self._network({})

    def network_of(self, name: str) -> nn.Module:
        """Return a copy of the network as a client has it: the weights of all, and what it keeps at home."""
        return self._network(self.homes[name].kept)

    def network_for(self, images: torch.Tensor) -> nn.Module:
        """Return the network for a newcomer, from its images alone, uint8 `[N, 3, H, W]`; nothing is trained.

        What the clients keep at home is averaged, as there is nothing better, and running statistics are measured on
        the newcomer's images.
        """
        homes = [Update(home.kept, len(home.client.data), 0.0) for home in self.homes.values()]
        return adapt_batchnorm(self._network(weighted_mean(homes)), images)

    def _network(self, kept: Tensors) -> nn.Module:
        network = copy.deepcopy(self.worker)
        network.load_state_dict(self.shared | kept)
        return network

    def _drawn(self) -> list[str]:
        """Draw who takes part in the present round."""
        names = list(self.homes)
        if self.per_round == len(names):
            return names
        order = torch.randperm(len(names), generator=generator("round", self.seed, self.done))
        return [names[position] for position in order[: self.per_round].sort().values]


def megabytes(state: Tensors) -> float:
    """Return how large weights are on their way, in millions of bytes."""
    return sum(value.numel() * value.element_size() for value in state.values()) / 1e6


def _check(clients: Sequence[Client], per_round: int | None) -> None:
    names = [client.name for client in clients]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"got {len(names)} clients with {len(set(names))} names. Expected at least one client, each with its own."
        )
    if per_round is not None and not 1 <= per_round <= len(names):
        raise ValueError(
            f"{per_round} clients a round were asked for. Expected from 1 to {len(names)}, or None for all."
        )
