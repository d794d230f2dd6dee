"""Distillation: a small network learns what a large one answers, and how sure of each class it is."""

import torch
import torch.nn.functional as F

TEMPERATURE = 4.0
WEIGHT = 0.9  # of the teacher in the loss; the labels have the rest


def soften(logits: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Return `softmax(logits / temperature)`: probabilities `[N, classes]` in which small differences can be seen.

    At a temperature of 1 a good teacher gives nearly all to one class, and says little more than a label does.
    ValueError for a temperature that is not above 0.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}, but a finite number above 0 was expected, such as 4.")
    return (logits / temperature).softmax(1)


def soft_loss(logits: torch.Tensor, softened: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Return `T^2 KL(teacher || student)` in nats, summed over classes and averaged over images, a scalar.

    `softened` are the teacher's probabilities at the same temperature, `[N, classes]`, as are the student's logits.
    Softening makes gradients smaller by `1 / T^2`, and the factor takes that back: then the temperature can be changed
    without changing how much the teacher counts. ValueError where the shapes differ.

    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015, arXiv 1503.02531.
    """
    if logits.ndim != 2 or logits.shape != softened.shape or not len(logits):
        raise ValueError(
            f"the student's logits have shape {list(logits.shape)} and the teacher's answers {list(softened.shape)}. "
            "Expected [N, classes] of both, with the same classes in the same order."
        )
    student = F.log_softmax(logits / temperature, 1)
    surprise = torch.xlogy(softened, softened) - softened * student  # p log p - p log q, [N, classes]
    return temperature**2 * surprise.sum(1).mean()


def distillation_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = TEMPERATURE,
    weight: float = WEIGHT,
) -> torch.Tensor:
    """Mix what the teacher answers with what the labels say: `weight` soft loss + `(1 - weight)` cross-entropy.

    Both are logits `[N, classes]`, labels int64 `[N]`; nothing flows back into the teacher. Raises ValueError for a
    weight outside 0 to 1.
    """
    check_weight(weight)
    soft = soft_loss(student, soften(teacher.detach(), temperature), temperature)
    return weight * soft + (1 - weight) * F.cross_entropy(student, labels)


def check_weight(weight: float) -> None:
    """Refuse a weight of the teacher that is no share."""
    if not 0 <= weight <= 1:
        raise ValueError(f"weight is {weight}, but a share from 0 (labels alone) to 1 (teacher alone) was expected.")
