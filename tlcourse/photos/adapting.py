"""Methods of adaptation on cached features: photographs went once through a frozen backbone, and a head is looked for.

Whatever a method does on the way, in the end it has a linear head for the target's features as the network gives them,
which a classifier of photographs can hold like any other.

Settings were tried on hands signing digits (200 photographs, and 200 others through a simulated camera; MobileNetV2 at
96 pixels, means of three seeds): the probe of the source is right on 42.5 % of the target, CORAL on 54.5. Class
confusion and self-training make it worse where they start from the source, 39.7 and 38.3, since they believe wrong
answers; from CORAL on they reach 54.0 and 53.2. DANN comes to 33.8 and 54.2 (two seeds). So all start from CORAL here.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from tlcourse.adaptation.adapt import AdaptationLoss, Term, TwoDomains
from tlcourse.adaptation.cdan import CDAN
from tlcourse.adaptation.coral import covariance, recolouring
from tlcourse.adaptation.dann import DANN
from tlcourse.adaptation.mcc import MCC
from tlcourse.adaptation.validators import Evidence, Outputs
from tlcourse.photos.probe import CachedFeatures, ChosenProbe, solve_photo_probe
from tlcourse.photos.pseudo_labels import self_trained
from tlcourse.repro import generator
from tlcourse.training.loop import updates
from tlcourse.training.recipe import adamw
from tlcourse.transfer.linear_probe import Probe, class_shares

UPDATES, BATCH = 300, 64  # of what has no closed form; a batch is so many photographs of each domain
LR, LR_OF_MAP = 1e-3, 3e-4  # highest of a head alone, and of a map and a head
DIRECTIONS = 64  # numbers of a photograph that a discriminator of the domains sees


@dataclass(frozen=True)
class Domains:
    """What a frozen backbone made of a labelled source and of a target, of which there are features alone."""

    train: CachedFeatures
    validation: CachedFeatures  # of the source, held out
    target: torch.Tensor  # float32 [M, D]
    classes: int

    def of_source(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Domains":
        """Return the same with other features of the source."""
        train, validation = (one._replace(features=change(one.features)) for one in (self.train, self.validation))
        return replace(self, train=train, validation=validation)


@dataclass(frozen=True)
class AdaptedHead:
    """A linear head for features of the target, and all that a validator may know of it."""

    weight: torch.Tensor  # float64 [classes, D]
    bias: torch.Tensor  # float64 [classes]
    evidence: Evidence

    @property
    def answers(self) -> torch.Tensor:
        """The class with the highest score for every photograph of the target, int64 `[M]`."""
        return self.evidence.target.logits.argmax(1)


def head_for(domains: Domains, weight: torch.Tensor, bias: torch.Tensor) -> AdaptedHead:
    """Ask a head about all features that there are."""

    def asked(features: torch.Tensor) -> Outputs:
        return Outputs(features, features.double() @ weight.T + bias)

    shown = (domains.train.features, domains.validation.features, domains.target)
    train, validation, target = map(asked, shown)
    return AdaptedHead(weight, bias, Evidence(train, validation, domains.validation.labels, target))


def source_only(domains: Domains, seed: int = 0) -> AdaptedHead:
    """Find the linear probe of the source, with its penalty by the source's validation."""
    probe = _probe(domains).probe
    return head_for(domains, probe.weight, probe.bias)


def coral(domains: Domains, seed: int = 0) -> AdaptedHead:
    """Find the probe of source features that were moved to the target's mean and covariance."""
    return source_only(aligned(domains))


def mcc(domains: Domains, seed: int = 0) -> AdaptedHead:
    """Train the head from CORAL's on, so that it confuses no classes of the target."""
    return _trained(aligned(domains), [MCC()], seed)


def dann(domains: Domains, seed: int = 0) -> AdaptedHead:
    """Go on from CORAL: train a linear map and a head, so that the domains cannot be told apart after the map."""
    return _trained(aligned(domains), [DANN(seed=seed)], seed, mapped=True)


def cdan(domains: Domains, seed: int = 0) -> AdaptedHead:
    """Do as DANN, with a discriminator that sees the answers too."""
    return _trained(aligned(domains), [CDAN(seed=seed)], seed, mapped=True)


def self_training(domains: Domains, seed: int = 0) -> AdaptedHead:
    """Go on from CORAL: solve the probe again with its own surest answers, class by class, more of them each round."""
    domains = aligned(domains)
    chosen = _probe(domains)
    probe, _ = self_trained(domains.train, domains.target, chosen.probe, domains.classes, chosen.penalty)
    return head_for(domains, probe.weight, probe.bias)


Method = Callable[[Domains, int], AdaptedHead]
SOURCE, ADABN = "source", "adabn"
METHODS: dict[str, tuple[Method, str]] = {
    SOURCE: (source_only, "linear probe of the source, not adapted"),
    ADABN: (source_only, "the same, after batch normalisation took the statistics of each folder"),
    "coral": (coral, "probe of source features that were moved to the target's mean and covariance"),
    "mcc": (mcc, "CORAL, then a head that confuses no classes of the target"),
    "dann": (dann, "CORAL, then features in which a second network cannot tell the folders apart"),
    "cdan": (cdan, "as DANN, the second network sees the answers too"),
    "self-training": (self_training, "CORAL, then a head that also learns from its own surest answers"),
}


def check_method(name: str) -> list[str]:
    """Return the methods to run for a name, with `"auto"` all; raises ValueError with the nearest where there is none.

    The source alone is always among them, since the others are compared with it.
    """
    if name == "auto":
        return list(METHODS)
    if name not in METHODS:
        near = difflib.get_close_matches(name.lower(), ["auto", *METHODS], 1, 0.4)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no method {name!r}. {hint}Expected auto or one of: {', '.join(METHODS)}.")
    return list(dict.fromkeys([SOURCE, name]))


def aligned(domains: Domains) -> Domains:
    """Give the source's features the mean and the covariance of the target's (CORAL in closed form)."""
    train, target = domains.train.features.double(), domains.target.double()
    matrix, middle, goal = recolouring(train, target), train.mean(0), target.mean(0)
    return domains.of_source(lambda features: (features.double() - middle) @ matrix + goal)


def _probe(domains: Domains) -> ChosenProbe:
    return solve_photo_probe(domains.train, domains.validation, domains.classes)


class MappedHead(nn.Module):
    """A linear map and a linear head, which together are a linear head again; made for features `[N, D]`."""

    head_name = "head"

    def __init__(self, first: torch.Tensor | None, probe: Probe) -> None:
        super().__init__()
        self.num_features = probe.weight.shape[1]
        self.map = nn.Identity() if first is None else _linear(first, torch.zeros(len(first)))
        self.head = _linear(probe.weight, probe.bias)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head sees."""
        return self.map(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits, `[N, classes]`."""
        return self.head(self.map(x))

    @torch.no_grad()
    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias of the one linear head that does the same, float64."""
        weight, bias = self.head.weight.double(), self.head.bias.double()
        if isinstance(self.map, nn.Identity):
            return weight, bias
        return weight @ self.map.weight.double(), bias + weight @ self.map.bias.double()


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _trained(domains: Domains, terms: Sequence[Term], seed: int, mapped: bool = False) -> AdaptedHead:
    """Train a head by a loss with terms, from the probe on, and with `mapped` a map to a few directions below it.

    Features are brought to mean 0 and unit size for it, which the head that is returned takes back.
    """
    middle, size = domains.train.features.mean(0), domains.train.features.std().item() or 1.0
    unit = domains.of_source(lambda features: ((features - middle) / size).float())
    unit = replace(unit, target=((domains.target - middle) / size).float())
    first = _directions(unit) if mapped else None
    seen = unit if first is None else replace(unit.of_source(lambda x: x @ first.T), target=unit.target @ first.T)
    model = MappedHead(first, _probe(seen).probe)
    _train(model, unit, terms, seed)
    weight, bias = model.folded()
    weight = weight / size
    return head_for(domains, weight, bias - weight @ middle.double())


def _directions(domains: Domains) -> torch.Tensor:
    """Return the principal directions of both domains together, float32 `[K, D]`: where the map starts."""
    both = torch.cat([domains.train.features, domains.target])
    _, vectors = torch.linalg.eigh(covariance(both.double()))
    return vectors[:, -min(DIRECTIONS, len(both) - 1) :].T.float().contiguous()


def _train(model: MappedHead, domains: Domains, terms: Sequence[Term], seed: int) -> None:
    """Run the loop of `adaptation.adapt`, on features in place of images."""
    loss, lr = AdaptationLoss(terms).train(), LR if isinstance(model.map, nn.Identity) else LR_OF_MAP
    for term in terms:
        term.begin(model)
    both = TwoDomains(model, views=2)
    optimizer, schedule = adamw(nn.ModuleList([both, loss]), lr, UPDATES)
    steps = updates(both, _batches(domains, seed), optimizer, loss, schedule=schedule)
    for done, last in enumerate(steps, start=1):  # noqa: B007
        for term in terms:
            term.after_update(model, done / UPDATES)
    if not torch.isfinite(last):
        raise ArithmeticError(f"the loss became {last.item()}, but a finite number was expected. Try another method.")


def _batches(domains: Domains, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield features of source and target, `[2 B, D]`, and the source's labels, `[B]`; every class is as frequent."""
    x, y = domains.train
    draws = generator("adapt", seed)
    shares = class_shares(y, domains.classes, balanced=True)[:, 0]
    for _ in range(UPDATES):
        known = torch.multinomial(shares, BATCH, replacement=True, generator=draws)
        asked = torch.randint(len(domains.target), (BATCH,), generator=draws)
        yield torch.cat([x[known], domains.target[asked]]), y[known]
