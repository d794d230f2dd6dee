"""The linear probe: features computed once, and the best head for them found exactly."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import extract_features
from tlcourse.transfer.heads import get_classifier

GRADIENT = 1e-5  # converged when no entry of the gradient is larger
PENALTY = 5.0  # chosen on the training pool, see `results/strategy_settings.csv`
ROUNDS, ITERATIONS = 20, 100  # L-BFGS is asked for at most this many rounds of so many iterations
AT_A_TIME = 4096  # images whose features are in float64 together; all of them would be twice what came in


Portion = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Probe:
    """A linear layer that minimises its loss, and how it was found."""

    weight: torch.Tensor  # float64 [classes, features]
    bias: torch.Tensor  # float64 [classes]
    loss: float  # mean cross-entropy plus penalty at the minimum, in nats
    gradient: float  # its largest entry at the minimum; 0 would be exact
    evaluations: int  # how often loss and gradient were computed


def solve_probe(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    penalty: float = PENALTY,
    *,
    balanced: bool = False,
    size: float = 1.0,
) -> Probe:
    """Find the linear layer with the lowest loss on `[N, features]`: `cross-entropy + penalty/(2N) |W|^2`.

    On fixed features this problem is convex: it has one minimum and no bad places to get stuck, so no learning rate, no
    schedule and no seed are needed. L-BFGS guesses the curvature from the last few gradients and gets there in some
    dozens of steps, from zeros. The bias is free. The more images there are, the less the penalty counts beside them;
    scikit-learn's `LogisticRegression(C=1 / penalty)` has the same minimum. With `balanced`, every class counts the
    same in the loss, however few images it has, as by scikit-learn's `class_weight="balanced"`. Features are divided by
    `size`, such as their standard deviation, one number, so that a penalty means the same for every network; the layer
    that is returned takes them as they are. ArithmeticError when L-BFGS did not converge.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989, Mathematical
    Programming.
    """
    _check(features, labels, classes, penalty, size)
    middle = sum(part.double().sum(0) for part in features.split(AT_A_TIME)) / len(features)
    share = class_shares(labels.to(features.device), classes, balanced)  # of each image in the loss, [N, 1]
    portions = _portions(features, middle, size, labels, classes, share)
    weight, bias = middle.new_zeros(classes, len(middle)), middle.new_zeros(classes)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=ITERATIONS,
        history_size=5,  # more would save a few evaluations and cost more time than they take
        tolerance_grad=GRADIENT,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    evaluations, pull = 0, penalty / len(features)

    def closure() -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        weight.grad, bias.grad = pull * weight, torch.zeros_like(bias)
        loss = pull / 2 * weight.square().sum()
        for x, wanted, share in portions():
            said = F.log_softmax(x @ weight.T + bias, 1)  # [B, classes]
            slope = (said.exp() - wanted) * share  # the gradient by hand, as in `losses`: no graph is built
            weight.grad += slope.T @ x
            bias.grad += slope.sum(0)
            loss -= (wanted * said * share).sum()
        return loss

    for _ in range(ROUNDS):
        optimizer.step(closure)
        loss, steepest = closure().item(), max(weight.grad.abs().max().item(), bias.grad.abs().max().item())
        if steepest <= GRADIENT:
            weight /= size
            return Probe(weight, bias - weight @ middle, loss, steepest, evaluations)
    raise ArithmeticError(
        f"L-BFGS did not converge: after {evaluations} evaluations the gradient is {steepest:.1e}, but at most "
        f"{GRADIENT:.0e} was expected. Use a larger penalty than {penalty:g}, or bring the features to about unit size."
    )


def _portions(
    features: torch.Tensor,
    middle: torch.Tensor,
    size: float,
    labels: torch.Tensor,
    classes: int,
    share: torch.Tensor,
) -> Callable[[], Iterable[Portion]]:
    """Return what gives features `[B, features]` and answers `[B, classes]` in float64, and shares `[B, 1]`.

    The free bias takes the shift to 0 up again; around 0, L-BFGS needs far fewer steps. Many images are not in float64
    all at once, but one portion after the other in the same memory, and of few that is done once.
    """
    parts = list(zip(features.split(AT_A_TIME), labels.split(AT_A_TIME), share.split(AT_A_TIME), strict=True))
    memory = middle.new_empty(len(parts[0][0]), len(middle))

    def prepared(x: torch.Tensor, y: torch.Tensor, share: torch.Tensor) -> Portion:
        unit = torch.sub(x, middle, out=memory[: len(x)]).div_(size)
        return unit, F.one_hot(y.to(x.device), classes).double(), share

    if len(parts) > 1:
        return lambda: itertools.starmap(prepared, parts)
    once = [prepared(*part) for part in parts]
    return lambda: once


def class_shares(labels: torch.Tensor, classes: int, balanced: bool) -> torch.Tensor:
    """Return how much each image counts in the mean, float64 `[N, 1]`, sum 1: all the same, or all classes the same."""
    if not balanced:
        return labels.new_full((len(labels), 1), 1 / len(labels), dtype=torch.float64)
    sizes = torch.bincount(labels, minlength=classes).double()
    return (1 / (sizes * (sizes > 0).sum()))[labels, None]


def write_head(model: nn.Module, probe: Probe) -> nn.Module:
    """Copy a probe's solution into the head of a network, in place; ValueError when it has another shape."""
    head = get_classifier(model)
    if head.weight.shape != probe.weight.shape:
        raise ValueError(
            f"the probe has shape {list(probe.weight.shape)}, the head {list(head.weight.shape)}. Expected the same "
            "[classes, features]. Use reset_classifier(model, classes) first."
        )
    with torch.no_grad():
        head.weight.copy_(probe.weight)
        head.bias.copy_(probe.bias)
    return model


def linear_probe(model: nn.Module, labelled: ImageSet, penalty: float = PENALTY) -> Probe:
    """Give a network the best linear head for its features; the backbone is not touched.

    The images go through the backbone once. Training a frozen network with `fit` sends them through again at every
    update, to get the same features every time. Errors are those of `solve_probe` and `write_head`.
    """
    probe = solve_probe(extract_features(model, labelled), labelled.labels.cpu(), len(labelled.classes), penalty)
    write_head(model, probe)
    return probe


def _check(features: torch.Tensor, labels: torch.Tensor, classes: int, penalty: float, size: float) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1] or classes < 2:
        raise ValueError(
            f"features have shape {list(features.shape)}, labels {list(labels.shape)}, for {classes} classes. Expected "
            "[N, features], [N], and at least 2 classes."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}, but there are {classes} classes, 0 to "
            f"{classes - 1}. Check the number of classes, or whether counting began at 1."
        )
    if len(features) and not torch.stack(features.aminmax()).isfinite().all():
        raise ValueError("a feature is infinite or not a number. Look for images or weights that are not finite.")
    if not penalty > 0:
        raise ValueError(
            f"penalty is {penalty}, but a number above 0 was expected: without it, labels that a line can separate "
            "call for infinite weights, and there is no minimum. Try 1."
        )
    if not size > 0:
        raise ValueError(
            f"size is {size}, but a number above 0 was expected, such as the standard deviation of the features."
        )
