"""Personalisation: what is shared is the start, and each client fine-tunes the end of the network for itself."""

import copy

import torch
from torch import nn

from tlcourse.federated.clients import Client
from tlcourse.federated.home import HomeWork
from tlcourse.repro import generator
from tlcourse.training.loop import updates
from tlcourse.transfer.freezing import freeze, trainable

THOROUGH = HomeWork(epochs=10)  # there is one chance only


def personalise(model: nn.Module, client: Client, work: HomeWork = THOROUGH, *, seed: int = 0) -> nn.Module:
    """Return a copy whose last stage and head were fine-tuned on a client's images; all before it stays as it is.

    Source: Wang et al., "Federated evaluation of on-device personalization", 2019, arXiv 1910.10252.
    """
    own = copy.deepcopy(model)
    freeze(own, depth=len(own.stages()) - 1)
    key = generator("personal", client.name, seed).initial_seed()
    batches = client.data.batches(work.batch, transform=work.augment, seed=key)
    optimizer = torch.optim.SGD(trainable(own), lr=work.lr)
    for _ in range(work.epochs):
        for _ in updates(own, batches, optimizer):
            pass
    return own
