"""The challenge of notebook 08: clients who can be asked for weights, in few rounds, and not all answer well.

This goes along into the process that runs an answer, where the course's exercises cannot be imported.
"""

from collections.abc import Mapping

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.federated.clients import by_label
from tlcourse.federated.fedavg import FedAvg, Update
from tlcourse.federated.home import Home, HomeWork
from tlcourse.models.pretrained import build
from tlcourse.repro import generator
from tlcourse.storage import Tensors

CLIENTS, ALPHA, ROUNDS = 8, 0.3, 5
WORK = HomeWork(lr=0.3)  # longer steps than usual, since rounds are few


class Ask:
    """Asks all clients to train from some weights, in five rounds and no more; what it gives back are weights.

    In every round one client does not answer, and of what another one sends, one number arrives as NaN.
    """

    def __init__(self, data: ImageSet, seed: int) -> None:
        self.rounds_left, self._seed = ROUNDS, seed
        self._model = build("tiny_resnet", len(data.classes))
        clients = by_label(data, CLIENTS, ALPHA, seed=seed)
        self._homes = [Home(client, self._model, FedAvg(), WORK, seed) for client in clients]

    def __call__(self, state: Tensors, work: HomeWork = WORK) -> list[Update]:
        """Send a state dict out, let every client train from it, and return the updates that came back.

        Raises RuntimeError when no round is left, TypeError for what is no state dict, and ValueError for one that is
        not that of a TinyResNet for ten classes.
        """
        self._check(state)
        self.rounds_left -= 1
        draws = generator("ask", self._seed, self.rounds_left)
        silent, damaged = torch.randperm(CLIENTS, generator=draws)[:2].tolist()
        updates = []
        for number, home in enumerate(self._homes):
            if number != silent:
                home.work = work
                update = home.train(state, ROUNDS - self.rounds_left)
                updates.append(_with_nan(update, draws) if number == damaged else update)
        return updates

    def _check(self, state: Tensors) -> None:
        if not self.rounds_left:
            raise RuntimeError(f"ask was called once more, after {ROUNDS} rounds. Expected {ROUNDS} calls at most.")
        if not isinstance(state, Mapping):
            raise TypeError(
                f"ask got a {type(state).__name__}. Expected a state dict, as network.state_dict() returns."
            )
        shapes = {name: list(value.shape) for name, value in state.items()}
        for name, value in self._model.state_dict().items():
            if shapes.get(name) != list(value.shape):
                raise ValueError(
                    f"{name!r} was sent as {shapes.get(name, 'nothing')}, but {list(value.shape)} was expected: the "
                    "clients train TinyResNets with heads for ten classes. Send the state dict of such a one."
                )


def _with_nan(update: Update, draws: torch.Generator) -> Update:
    """Replace one number of the weights or running statistics, wherever it is."""
    names = [name for name, value in update.state.items() if value.is_floating_point()]
    name = names[int(torch.randint(len(names), (), generator=draws))]
    damaged = update.state[name].clone(memory_format=torch.contiguous_format)
    damaged.view(-1)[int(torch.randint(damaged.numel(), (), generator=draws))] = torch.nan
    return update._replace(state=update.state | {name: damaged})
