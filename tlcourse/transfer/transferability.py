"""How well will a pretrained backbone do on a target? Scores from features and labels alone, without any training.

Higher is better for all of them. Features are `[N, D]` of the labelled target images, labels int64 `[N]`.
"""

import math

import torch
import torch.nn.functional as F

from tlcourse.evaluation.predict import cross_validate
from tlcourse.transfer.linear_probe import PENALTY, solve_probe

NOTHING = 1e-10  # an eigenvalue below this share of the largest counts as 0


def knn_accuracy(features: torch.Tensor, labels: torch.Tensor, k: int = 3) -> float:
    """Let the k nearest other images vote on each image's class, and return the share of right answers in percent.

    Leave-one-out: no image votes on itself. Near means a small angle between features; where votes tie, the nearer win.

    Source: Cover and Hart, "Nearest neighbor pattern classification", 1967, IEEE Transactions on Information Theory.
    """
    x, y = _checked(features, labels)
    if not 1 <= k < len(x):
        raise ValueError(f"k is {k} for {len(x)} images. Expected from 1 to {len(x) - 1}: no image votes on itself.")
    x = F.normalize(x)
    near = (x @ x.T).fill_diagonal_(-math.inf).topk(k).indices  # [N, k], nearest first
    weight = 1 + torch.arange(k, 0, -1, dtype=x.dtype) / (2 * k * k)  # what is added, one vote always outweighs
    votes = (F.one_hot(y)[near] * weight[:, None]).sum(1)  # [N, classes]
    return _percent(votes.argmax(1) == y)


def probe_accuracy(
    features: torch.Tensor, labels: torch.Tensor, *, folds: int = 5, seed: int = 0, penalty: float = PENALTY
) -> float:
    """Cross-validate the converged linear probe, and return the share of right answers on held-out folds in percent.

    Raises what `solve_probe` and `stratified_folds` do.
    """
    x, y = _checked(features, labels)
    classes = int(y.max()) + 1

    def score(learn: torch.Tensor, new: torch.Tensor) -> float:
        probe = solve_probe(x[learn], y[learn], classes, penalty)
        return _percent((x[new] @ probe.weight.T + probe.bias).argmax(1) == y[new])

    accuracies = cross_validate(score, y, folds, seed)
    return sum(accuracies) / len(accuracies)


def leep(source_probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """Return LEEP: how well the answers of the old head foretell the new labels, in nats; at most 0.

    What the old head says of each image, `[N, source classes]`, counts how often each old class comes with each new
    one. That table turns the old answers into shares of the new classes, and LEEP is the mean logarithm of the share of
    the right one. An old class that no image falls into counts nothing; dividing by its share of 0 would give nan.

    Source: Nguyen et al., "LEEP: a new measure to evaluate transferability of learned representations", 2020, ICML.
    """
    said, y = _checked(source_probabilities, labels)
    if said.min() < 0 or (said.sum(1) - 1).abs().max() > 1e-3:
        raise ValueError(
            f"rows of the source's answers add up to {said.sum(1).min():.3g} to {said.sum(1).max():.3g}. Expected "
            "shares from 0 to 1 that add up to 1. Use the softmax of the old head's logits."
        )
    joint = F.one_hot(y).to(said).T @ said / len(y)  # [classes, source classes]
    mass = joint.sum(0)
    new_given_old = joint / mass.where(mass > 0, torch.ones_like(mass))
    return (said * new_given_old[y]).sum(1).log().mean().item()


def logme(features: torch.Tensor, labels: torch.Tensor) -> float:
    """Return LogME: the largest log evidence of a Bayesian linear model of the labels, in nats an image and class.

    One-hot labels are `features @ w` plus noise of variance `1 / beta`, weights have the prior variance `1 / alpha`,
    and the evidence is the density of the labels with all weights averaged out. For a given ratio `t = alpha / beta`
    the best `beta` is known, so that one number is left to look for, on a grid and then on a finer one. Where N is
    below D, features have D - N directions without any variance; the widely used implementation forgets those.

    Source: You et al., "LogME: practical assessment of pre-trained models for transfer learning", 2021, ICML.
    """
    x, y = _checked(features, labels)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    there = s > s.max() * NOTHING
    variance, wanted = s[there].square(), F.one_hot(y).to(x)  # [R], [N, classes]
    along = (u[:, there].T @ wanted).square()  # [R, classes]
    beside = (wanted.square().sum(0) - along.sum(0)).clamp(min=0)  # what no weights can reach
    centre, width = variance.log().mean().expand(along.shape[1]), 25.0
    for _ in range(2):
        logs = centre + torch.linspace(-width, width, 401, dtype=x.dtype)[:, None]  # [401, classes]
        evidence = _evidence(logs.exp(), variance, along, beside, len(x))
        best, place = evidence.max(0)
        centre, width = logs.gather(0, place[None])[0], width / 100
    return best.mean().item() / len(x)


def _evidence(
    t: torch.Tensor, variance: torch.Tensor, along: torch.Tensor, beside: torch.Tensor, n: int
) -> torch.Tensor:
    """Return the log evidence of every ratio `t` `[T, classes]` with the best noise for it, `[T, classes]`."""
    kept = t[:, None] / (t[:, None] + variance[:, None])  # [T, R, classes]: share that the prior holds back
    misfit = (kept * along).sum(1) + beside
    misfit = misfit.clamp(min=torch.finfo(t.dtype).tiny)
    return (n * (n / misfit).log() - n + kept.log().sum(1) - n * math.log(2 * math.pi)) / 2


def h_score(features: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the H-score: the variance between classes in units of all variance, summed over directions.

    From 0 to the number of classes less 1. With fewer images than features it is near its maximum whatever the features
    are, as any few points in many dimensions can be told apart: use `regularised_h_score`.

    Source: Bao et al., "An information-theoretic approach to transferability in task transfer learning", 2019, ICIP.
    """
    x, y = _checked(features, labels)
    total, between = _covariances(x, y)
    return torch.trace(torch.linalg.pinv(total, rtol=NOTHING, hermitian=True) @ between).item()


def regularised_h_score(features: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the H-score with a covariance pulled towards a ball, the more the fewer images there are.

    The pull is that of Ledoit and Wolf.

    Source: Ibrahim et al., "Newer is not always better: rethinking transferability metrics, their peculiarities,
    stability and performance", 2021, arXiv 2110.06893.
    """
    from sklearn.covariance import ledoit_wolf  # here, because importing scikit-learn takes a second

    x, y = _checked(features, labels)
    _, between = _covariances(x, y)
    shrunk, pull = ledoit_wolf(x.numpy())
    return float(1 - pull) * torch.trace(torch.linalg.solve(torch.from_numpy(shrunk), between)).item()


def _covariances(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the covariance of all features, and that of the class means put in their place; both `[D, D]`."""
    x = x - x.mean(0)
    share = F.one_hot(y).to(x)
    means = (share.T @ x) / share.sum(0).clamp(min=1)[:, None]  # [classes, D]
    between = means[y]
    return x.T @ x / len(x), between.T @ between / len(x)


def _percent(right: torch.Tensor) -> float:
    return 100 * right.double().mean().item()


def _checked(features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features as float64 and labels on the CPU, or say what is wrong with them."""
    if features.ndim != 2 or labels.shape != features.shape[:1] or len(labels) < 2:
        raise ValueError(
            f"features have shape {list(features.shape)}, labels {list(labels.shape)}. Expected [N, D] and [N], with "
            "at least two images."
        )
    if not torch.isfinite(features).all():
        raise ValueError("a feature is infinite or not a number. Look for images or weights that are not finite.")
    if labels.min() < 0 or labels.min() == labels.max():
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}. Expected class numbers from 0 up, of at least "
            "two classes."
        )
    return features.detach().cpu().double(), labels.cpu()
