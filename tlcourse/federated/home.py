"""What runs where a client's images are: weights come in, weights go out."""

from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.batches import Transform
from tlcourse.federated.clients import Client
from tlcourse.federated.fedavg import FedAvg, Update
from tlcourse.repro import generator
from tlcourse.storage import Tensors
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import trainable


@dataclass(frozen=True)
class HomeWork:
    """What a client does in a round: so many times through its own images, by plain gradient descent."""

    epochs: int = 2
    batch: int = 25
    lr: float = 0.1
    augment: Transform | None = Recipe.augment


class Home:
    """A client with its images, and with the part of the network that it never sends.

    `model` is where it computes; several homes on one machine may share it, as each round puts all its weights in. The
    seed is that of the order and augmentation of images.
    """

    def __init__(self, client: Client, model: nn.Module, method: FedAvg, work: HomeWork, seed: int = 0) -> None:
        self.client, self.model, self.method, self.work = client, model, method, work
        self.seed = generator("home", client.name, seed).initial_seed()
        self.private = method.stays_at_home(model)  # names in the state dict
        self.kept = {name: value for name, value in copy_weights(model).items() if name in self.private}

    def train(self, shared: Tensors, number: int) -> Update:
        """Train in round `number`, counted from 1, from the weights of all; return what is sent to the server.

        The optimiser is made anew, so nothing but weights lasts from round to round.
        """
        self.model.load_state_dict(shared | self.kept)
        work, data = self.work, self.client.data
        batches = data.batches(work.batch, transform=work.augment, seed=self.seed)
        batches.set_epoch(work.epochs * (number - 1))
        optimizer, loss = torch.optim.SGD(trainable(self.model), lr=work.lr), self.method.loss(self.model)
        losses = [value for _ in range(work.epochs) for value in updates(self.model, batches, optimizer, loss)]
        learned = copy_weights(self.model)
        self.kept = {name: learned.pop(name) for name in self.private}
        return Update(learned, len(data), torch.stack(losses).mean().item())
