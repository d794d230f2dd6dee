"""Validators: how good is a network on the target, as far as one can tell without a label of it?

They serve to choose a method, its weight, or the moment to stop. Higher is better for each, and only the networks of
one comparison can be held against each other, on the same images. All compute in float64.
"""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.entropy import entropy, information_loss
from tlcourse.evaluation.metrics import check_logits
from tlcourse.evaluation.predict import extract_features
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import solve_probe

ROWS = 1000  # of the table of similarities that are in memory at a time
SUREST = 25.0  # highest logarithm of the odds; at e^30, rounding in float64 moves the value by whole points
ALIKE = 1e-4  # weights that differ by a smaller share are the same, as far as the regression was solved
SAME = 1e-12  # spread of a feature, as a share of the largest, that is rounding alone


class Outputs(NamedTuple):
    """What a network makes of N images: D features each, and a logit a class."""

    features: torch.Tensor  # float [N, D]
    logits: torch.Tensor  # float [N, classes]


@dataclass(frozen=True)
class Evidence:
    """All that an honest choice may look at: there is no place for a label of the target."""

    training: Outputs  # of source images that were trained on
    validation: Outputs  # of source images that were held out
    labels: torch.Tensor  # of the source images that were held out, int64 [N]
    target: Outputs

    def __post_init__(self) -> None:
        _check_outputs(self.training, self.validation, self.target)
        check_logits(self.validation.logits, self.labels)


def source_accuracy(evidence: Evidence) -> float:
    """Return the accuracy on held-out source images, in percent.

    Needs labels of the source. Weakness: it knows nothing of the target, on which a network may lose what it wins here.
    """
    answers = evidence.validation.logits.argmax(1)
    return 100 * (answers == evidence.labels).double().mean().item()


def negative_entropy(evidence: Evidence) -> float:
    """Return minus the mean entropy of the target's answers, in nats: from -log(classes), unsure, to 0, sure.

    Needs answers for the target alone. Weakness: a network that calls every image the same class has the highest value.

    Source: Morerio et al., "Minimal-entropy correlation alignment for unsupervised deep domain adaptation", 2018, ICLR.
    """
    return -entropy(_logits(evidence.target)).mean().item()


def information(evidence: Evidence) -> float:
    """Return the entropy of the mean answer less the mean entropy of the answers, in nats: 0 to log(classes).

    It is high where each image is surely of a class and all classes occur: the information that images and answers
    share. Needs answers for the target alone. Weakness: sure and balanced answers may be wrong, and where the target's
    classes are not of one size, the right ones score lower than balanced ones.

    Source of the validator: Musgrave et al., "Benchmarking validation methods for unsupervised domain adaptation",
    2022, arXiv 2208.07360; of what it computes, see `information_loss`.
    """
    return -information_loss(_logits(evidence.target)).item()


def neighbourhood_density(evidence: Evidence, temperature: float = 0.05) -> float:
    """Return the soft neighbourhood density of the target's answers (SND), in nats: at most log(N - 1).

    Each image shares itself out among all others, by the softmax of `cosine / temperature` of their probabilities, and
    the entropy of the shares says how many neighbours it has; SND is the mean over images. Needs answers for the target
    alone. Weakness: a network that calls every image the same class has the highest value.

    Source: Saito et al., "Tune it the right way: Unsupervised validation of domain adaptation via soft neighborhood
    density", 2021, ICCV.
    """
    unit = F.normalize(_logits(evidence.target).softmax(1))
    total = unit.new_zeros(())
    for start in range(0, len(unit), ROWS):
        similar = unit[start : start + ROWS] @ unit.T / temperature  # [rows, N]
        similar.diagonal(start).fill_(-torch.inf)  # nobody is their own neighbour
        total += entropy(similar).sum()
    return total.item() / len(unit)


def embedded_validation(evidence: Evidence) -> float:
    """Return deep embedded validation (DEV): the target's accuracy, foretold from held-out source images, in percent.

    A held-out image's error, 0 or 1, counts `w` times, by how much denser the target's features are at that place than
    the source's: `w = N_source / N_target * p(target | x) / p(source | x)`, by a logistic regression of the domain on
    the features. The mean weight should be 1; `eta = -cov(w error, w) / var(w)` takes out what its deviation explains:
    `risk = mean(w error) + eta (mean(w) - 1)`. What is returned is `100 (1 - risk)`, which may leave 0 to 100. It is
    always finite: odds above e^25 count as e^25; where all weights are the same, it is the accuracy on held-out images.

    Needs features of source images that were trained on, labels and features of held-out ones, features of the target.
    Weakness: where the domains are easily told apart, nearly all weights are 0 and a few images decide.

    Source: You et al., "Towards accurate model selection in deep unsupervised domain adaptation", 2019, ICML.
    """
    held_out = evidence.validation
    weight = _density_ratio(evidence.training.features, evidence.target.features, held_out.features)
    error = (held_out.logits.argmax(1) != evidence.labels).double()
    moments = torch.cov(torch.stack([weight * error, weight]))
    differ = moments[1, 1] > 0 and weight.min() < (1 - ALIKE) * weight.max()
    eta = -moments[0, 1] / moments[1, 1] if differ else -error.mean()  # its limit, where weights tell nothing apart
    risk = (weight * error).mean() + eta * (weight.mean() - 1)
    return 100 * (1 - risk.item())


VALIDATORS = {
    "source": source_accuracy,
    "entropy": negative_entropy,
    "information": information,
    "SND": neighbourhood_density,
    "DEV": embedded_validation,
}


def collect(
    model: nn.Module, source_validation: ImageSet, source_training: ImageSet, target: torch.Tensor
) -> dict[str, float]:
    """Return the value of every validator by its name, as in `VALIDATORS`.

    `target` is images alone, uint8 `[N, 3, H, W]`; raises TypeError for anything else. All images go through the
    network, so that two thousand of the source do as well as more, in less time.
    """
    evidence = observe(model, source_validation, source_training, target)
    return {name: validator(evidence) for name, validator in VALIDATORS.items()}


def observe(model: nn.Module, source_validation: ImageSet, source_training: ImageSet, target: torch.Tensor) -> Evidence:
    """Ask a network about images of both domains; it stays as it is.

    For images of the source, batch normalisation takes the statistics of the source, measured anew: those in an adapted
    network are the target's, and training saw each domain by its own.
    """
    images = unlabelled(target)
    on_source = adapt_batchnorm(copy.deepcopy(model), source_training.images)
    training, validation = (_ask(on_source, data) for data in (source_training, source_validation))
    return Evidence(training, validation, source_validation.labels.cpu(), _ask(model, images))


@torch.no_grad()
def _ask(model: nn.Module, data: ImageSet) -> Outputs:
    """Return features and logits of all images, float32 on the CPU; the network runs once."""
    features, head = extract_features(model, data), get_classifier(model)
    return Outputs(features, head(features.to(head.weight.device)).cpu())


def _logits(outputs: Outputs) -> torch.Tensor:
    """Return logits to compute with, float64 `[N, classes]`."""
    return outputs.logits.detach().double()


def _density_ratio(source: torch.Tensor, target: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return how much denser the target is than the source at every place, float64 `[N]`; features `[..., D]`."""
    both = torch.cat([source, target]).double()
    mean, spread = both.mean(0), both.std(0, correction=0)
    spread = spread.where(spread > SAME * spread.max(), 1)  # a feature that is the same for all images
    domain = (torch.arange(len(both)) >= len(source)).long()  # 1 is the target
    probe = solve_probe((both - mean) / spread, domain, 2, penalty=2.0)  # on both rows, so scikit-learn's C = 1
    logits = (places.double() - mean) / spread @ probe.weight.T + probe.bias
    return len(source) / len(target) * (logits[:, 1] - logits[:, 0]).clamp(max=SUREST).exp()


def _check_outputs(*groups: Outputs) -> None:
    """Refuse features and logits that do not fit each other, or are not finite."""
    whole = all(features.ndim == logits.ndim == 2 and len(features) == len(logits) > 1 for features, logits in groups)
    widths = {(features.shape[1:], logits.shape[1:]) for features, logits in groups}
    if not whole or len(widths) > 1:
        shapes = ", ".join(f"{list(features.shape)} and {list(logits.shape)}" for features, logits in groups)
        raise ValueError(
            f"features and logits of training, validation and target have shapes {shapes}. Expected [N, D] and "
            "[N, classes] by the same network, of at least two images each."
        )
    if not all(torch.isfinite(tensor).all() for group in groups for tensor in group):
        raise ValueError("a feature or logit is infinite or not a number. Look for a training that broke.")
