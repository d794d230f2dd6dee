"""Clients, the owners of data, and three ways in which theirs may differ: by hand, by label, by look."""

from dataclasses import dataclass

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.repro import generator

DRAWS = 200  # divisions that are drawn before too small a client is an error


@dataclass(frozen=True)
class Client:
    """An owner of images, who learns from them at home and sends weights alone."""

    name: str
    data: ImageSet


def by_sheet(data: ImageSet) -> list[Client]:
    """Make every sheet of handwriting a client: the division that the data really have.

    Raises ValueError for images without the attribute `sheet`, such as printed ones.
    """
    if "sheet" not in data.attributes:
        raise ValueError(
            f"{data!r} does not say which sheet an image came from. Expected a handwritten world, such as "
            "load('handwritten-photo'), or divide by label with by_label."
        )
    sheets = data.attributes["sheet"]
    return [Client(f"sheet {sheet}", data.subset(sheets == sheet)) for sheet in sheets.unique().tolist()]


def by_label(data: ImageSet, clients: int, alpha: float, *, seed: int = 0, at_least: int = 10) -> list[Client]:
    """Divide a set among clients who have the classes in unequal shares: label skew, the more the lower `alpha`.

    For each class, the clients' shares are drawn from a Dirichlet distribution with all parameters `alpha`. Infinity
    gives equal shares; at 1 every division is equally likely; at 0.1 most of a class lies with one or two clients. The
    clients' numbers of images differ too. Divisions are drawn until every client has `at_least` images. Raises
    ValueError for fewer clients than 1, an `alpha` that is not above 0, or when no such division was found.

    Source: Yurochkin et al., "Bayesian nonparametric federated learning of neural networks", 2019, ICML.
    """
    if clients < 1 or not alpha > 0:
        raise ValueError(f"got {clients} clients and alpha={alpha}. Expected at least 1 client, and alpha above 0.")
    draws = generator("clients", seed)
    for _ in range(DRAWS):
        owner = _owners(data.labels, clients, alpha, draws)
        if owner.bincount(minlength=clients).min() >= at_least:
            return [Client(f"client {number}", data.subset(owner == number)) for number in range(clients)]
    raise ValueError(
        f"of {DRAWS} divisions of {len(data)} images among {clients} clients, none left {at_least} images to each. "
        "Take fewer clients, more images, a smaller at_least or a larger alpha."
    )


def _owners(labels: torch.Tensor, clients: int, alpha: float, draws: torch.Generator) -> torch.Tensor:
    """Draw the number of the client who owns each image, int64 `[N]`."""
    owner = torch.empty_like(labels)
    first = 0  # who gets the next image when shares are equal, so that what is left over goes round
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=draws)]
        if alpha == float("inf"):
            owner[rows] = (torch.arange(len(rows)) + first) % clients
            first += len(rows)
            continue
        # a Dirichlet draw is a draw of Gamma(alpha) for each client, divided by their sum
        gammas = torch._standard_gamma(torch.full((clients,), alpha, dtype=torch.float64), generator=draws)
        shares = (gammas + 1e-300) / (gammas + 1e-300).sum()
        bounds = (shares.cumsum(0) * len(rows)).round().long().clamp(max=len(rows))
        owner[rows] = torch.searchsorted(bounds, torch.arange(len(rows)), right=True).clamp(max=clients - 1)
    return owner
