"""Is this image of a kind that the network never learned? Scores of strangeness, and how well they tell.

All scores rise with strangeness: what is above a threshold is handed to a person.
"""

import torch
import torch.nn.functional as F

from tlcourse.evaluation.metrics import roc_curve

SHRINKAGE = 0.1  # of a covariance towards a multiple of the identity: a few hundred images for 128 features
NEIGHBOURS = 5  # the distance to this one counts: some hundreds of labelled images have no more that are close


def unsureness(logits: torch.Tensor) -> torch.Tensor:
    """Return one minus the confidence, the largest softmax probability: float64 `[N]` for logits `[N, classes]`.

    Source: Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in neural
    networks", 2017, ICLR.
    """
    return -torch.expm1(logits.double().log_softmax(1).amax(1))  # 1 - p would round to 0 where p is close to 1


def energy(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Return the energy `-T log sum exp(logits / T)`, float64 `[N]`: low where any logit is large.

    The softmax forgets how large logits are; the energy does not. A logit that all classes have more of lowers it.

    Source: Liu, Wang, Owens and Li, "Energy-based out-of-distribution detection", 2020, NeurIPS.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but a number above 0 was expected; 1 is usual.")
    return -temperature * (logits.double() / temperature).logsumexp(1)


def class_distance(
    features: torch.Tensor, known: torch.Tensor, labels: torch.Tensor, shrinkage: float = SHRINKAGE
) -> torch.Tensor:
    """Return the squared Mahalanobis distance to the closest class mean, float64 `[N]` for `[N, features]`.

    `known` `[M, features]` and `labels` `[M]` are the images that taught the network. All classes share one covariance,
    that of the features around their class means, with a share of `shrinkage` replaced by the mean variance times the
    identity, since with few images it could not be inverted.

    Source: Lee, Lee, Lee and Shin, "A simple unified framework for detecting out-of-distribution samples and
    adversarial attacks", 2018, NeurIPS.
    """
    _check_features(features, known, labels)
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage is {shrinkage}, but a share from 0 to 1 was expected, such as 0.1.")
    x, known = features.double(), known.double()
    classes, where = labels.unique(return_inverse=True)  # a class without an image has no mean
    means = torch.stack([known[where == c].mean(0) for c in range(len(classes))])  # [classes, features]
    around = known - means[where]
    covariance = around.T @ around / len(around)
    size = covariance.diagonal().mean()
    if not size > 0:
        raise ValueError(
            f"the features of {len(known)} known images do not scatter around their class means, so distances have no "
            "unit. Expected several images of a class."
        )
    covariance = (1 - shrinkage) * covariance + shrinkage * size * torch.eye(len(covariance), dtype=torch.float64)
    gaps = x[:, None] - means  # [N, classes, features]
    solved = torch.linalg.solve(covariance, gaps.flatten(0, 1).T).T.unflatten(0, gaps.shape[:2])
    return (gaps * solved).sum(2).amin(1)


def neighbour_distance(features: torch.Tensor, known: torch.Tensor, neighbour: int = NEIGHBOURS) -> torch.Tensor:
    """Return the distance to the `neighbour`-th nearest of the `known` features, all brought to length 1: `[N]`.

    No label is needed, and no shape of the classes is taken for granted.

    Source: Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest neighbors", 2022, ICML.
    """
    _check_features(features, known)
    if not 1 <= neighbour <= len(known):
        raise ValueError(f"neighbour {neighbour} of {len(known)} known images was asked for. Expected 1 to as many.")
    distances = torch.cdist(F.normalize(features.double()), F.normalize(known.double()))  # [N, M]
    return distances.kthvalue(neighbour, dim=1).values


def auroc(strange: torch.Tensor, familiar: torch.Tensor) -> float:
    """Return how often, in percent, a strange image scores above a familiar one: the area under the ROC curve.

    50 is chance, 100 tells all apart; equal scores count half. Scores are float `[N]` and `[M]`.
    """
    curve = roc_curve(*_both(strange, familiar))
    return 100 * torch.trapezoid(curve.y, curve.x).item()


def missed(strange: torch.Tensor, familiar: torch.Tensor, kept: float = 0.95) -> float:
    """Return how many strange images pass, in percent, at the threshold that lets `kept` of the familiar ones pass.

    The literature calls it FPR at 95 % TPR, as it takes familiar images for the positive ones.
    """
    _both(strange, familiar)
    if not 0 < kept <= 1:
        raise ValueError(f"kept is {kept}, but a share above 0 and up to 1 was expected, such as 0.95.")
    threshold = familiar.double().sort().values[max(0, round(kept * len(familiar) + 0.4999) - 1)]
    return 100 * (strange.double() <= threshold).double().mean().item()


def _both(strange: torch.Tensor, familiar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Join scores, and say which are of strange images."""
    if strange.ndim != 1 or familiar.ndim != 1 or not len(strange) or not len(familiar):
        raise ValueError(
            f"scores have shapes {list(strange.shape)} and {list(familiar.shape)}. Expected one score an image, [N] and"
            " [M], and at least one image of either kind."
        )
    which = torch.cat([torch.ones(len(strange), dtype=torch.bool), torch.zeros(len(familiar), dtype=torch.bool)])
    return which, torch.cat([strange.double(), familiar.double()])


def _check_features(features: torch.Tensor, known: torch.Tensor, labels: torch.Tensor | None = None) -> None:
    fitting = features.ndim == known.ndim == 2 and features.shape[1] == known.shape[1] and len(known)
    if not fitting or (labels is not None and labels.shape != known.shape[:1]):
        own = "" if labels is None else f", labels {list(labels.shape)}"
        raise ValueError(
            f"features have shape {list(features.shape)}, known ones {list(known.shape)}{own}. Expected [N, features], "
            "[M, features] and a label for each known image; extract_features(model, data) gives features."
        )
