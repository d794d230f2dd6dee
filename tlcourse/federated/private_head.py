"""A head that clients learn together, and that is differentially private: rounds of clipped and noisy gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tlcourse.federated.differential_privacy import gaussian_noise, noise_for
from tlcourse.repro import generator

Labelled = tuple[torch.Tensor, torch.Tensor]  # a client's features, float [N, D], and class numbers, int64 [N]


@dataclass(frozen=True)
class Rounds:
    """How many rounds, how far each goes, and the length to which the gradient of each example is clipped."""

    rounds: int = 30
    lr: float = 3.0
    norm: float = 1.0


@dataclass(frozen=True)
class PrivateHead:
    """A linear layer on features that were prepared by `unit_rows`, and how much noise made it."""

    weight: torch.Tensor  # float64 [classes, D + 1]; the last column is the bias
    middle: torch.Tensor | None  # what is taken from features before they are brought to length 1, [D]
    noise_multiplier: float

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of features as the backbone gives them, float `[N, D]`: float64 `[N, classes]`."""
        return unit_rows(features, self.middle) @ self.weight.T


def unit_rows(features: torch.Tensor, middle: torch.Tensor | None = None) -> torch.Tensor:
    """Bring every row of `[N, D]` to length 1 and add a 1 for the bias, float64 `[N, D + 1]`.

    No row depends on other rows, so nothing leaks. For the same reason `middle`, `[D]`, which is taken off first, must
    be a mean over *public* images, such as those of the pretraining: around 0, descent needs fewer rounds, and each
    round costs privacy.
    """
    centred = features.double() - (0 if middle is None else middle.double())
    return F.pad(F.normalize(centred, dim=1), (0, 1), value=1.0)


def clipped_sum(weight: torch.Tensor, x: torch.Tensor, labels: torch.Tensor, norm: float) -> torch.Tensor:
    """Return the sum, `[classes, D]`, of the examples' gradients, each clipped to `norm`, for weights `[classes, D]`.

    The gradient of one example's cross-entropy is the outer product of `p - q`, what is said less what is wanted, and
    its features, a row of `x`. So it is as long as both lengths multiplied, and none has to be written down: to scale
    `p - q` is to clip, and one product of matrices adds up.
    """
    slope = (x @ weight.T).softmax(1) - F.one_hot(labels, len(weight))  # p - q, [N, classes]
    lengths = slope.norm(dim=1) * x.norm(dim=1)  # [N]
    return (slope * (norm / lengths).clamp(max=1)[:, None]).T @ x


def private_head(
    clients: Sequence[Labelled],
    classes: int,
    epsilon: float,
    delta: float,
    recipe: Rounds | None = None,
    *,
    middle: torch.Tensor | None = None,
    seed: int = 0,
) -> PrivateHead:
    """Learn a linear layer on the clients' features by noisy gradient descent, from zeros, in `recipe.rounds` rounds.

    In every round each client clips the gradient of each of its examples and sends their sum. The server adds up, adds
    noise, divides by the number of examples and takes a step. The noise is as little as `noise_for` allows; none for an
    epsilon of infinity.

    What that promises: the head, and every head on the way, is (epsilon, delta)-private for each *example*, against
    whoever sees heads, other clients included. This is central privacy: the server is trusted to add the noise, since
    it sees sums without it, of each client, or by `secure_sum` of all together. A client with many examples is less
    private than each of them. The number of examples is taken to be known, and so are `middle` and the backbone, which
    must not have learned from these examples. A recipe that was chosen by what it reaches on them gives away more.

    Sources: Abadi et al., "Deep learning with differential privacy", 2016, ACM CCS; for clients instead of examples
    McMahan et al., "Learning differentially private recurrent language models", 2018, ICLR; what choosing costs
    Papernot and Steinke, "Hyperparameter tuning with Rényi differential privacy", 2022, ICLR.
    """
    _check(clients, classes)
    recipe = recipe or Rounds()
    noise_multiplier, draws = noise_for(epsilon, recipe.rounds, delta), generator("private noise", seed)
    prepared = [(unit_rows(features, middle), labels) for features, labels in clients]
    weight = prepared[0][0].new_zeros(classes, prepared[0][0].shape[1])
    rate = recipe.lr / sum(len(labels) for _, labels in clients)
    for _ in range(recipe.rounds):
        sums = [clipped_sum(weight, x, labels, recipe.norm) for x, labels in prepared]
        total = torch.stack(sums).sum(0)  # what the server learns
        weight -= rate * (total + gaussian_noise(total, recipe.norm, noise_multiplier, draws))
    return PrivateHead(weight, middle, noise_multiplier)


def _check(clients: Sequence[Labelled], classes: int) -> None:
    if not clients:
        raise ValueError("no client came. Expected at least one, as (features [N, D], labels [N]).")
    size = clients[0][0].shape[-1]
    for number, (features, labels) in enumerate(clients):
        if features.ndim != 2 or features.shape[1] != size or labels.shape != features.shape[:1]:
            raise ValueError(
                f"client {number} has features of shape {list(features.shape)} and labels {list(labels.shape)}. "
                f"Expected [N, {size}], as client 0 has, and [N]."
            )
        if not torch.isfinite(features).all():
            raise ValueError(f"client {number} has a feature that is infinite or not a number. Leave that client out.")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ValueError(
                f"labels of client {number} go from {int(labels.min())} to {int(labels.max())}, but there are "
                f"{classes} classes, 0 to {classes - 1}."
            )
