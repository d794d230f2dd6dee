"""How sure are networks where the world has changed, and what brings sureness and accuracy together again?"""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.calibration import chance_calibration_error, fit_temperature, reliability
from tlcourse.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from tlcourse.evaluation.ensemble import ensemble
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb11_robustness.conditions import SHIFT, held_out_under, pool_under, sheets
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, LP_FT, network
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.training.recipe import CONVERGED

MEMBERS = 5
ENSEMBLE, STATISTICS = "ensemble of 5", "AdaBN on the test pool"
WAYS = (FINE_TUNED, LP_FT, STATISTICS, ENSEMBLE)
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
MIDDLE = 3  # the severity at which all corruptions are looked at
CONDITIONS = [(SHIFT, shift) for shift in SHIFTS] + [(kind, MIDDLE) for kind in CORRUPTIONS]

ERRORS = ("error", "clean", "corrupted")  # calibration errors: as it is, and with either temperature

Answer = Callable[[ImageSet], torch.Tensor]  # from images to logits


def answers_of(way: str, seed: int) -> Answer:
    """Return what gives the logits of a way to answer."""
    if way == ENSEMBLE:
        members = [network(FINE_TUNED, seed, member=member) for member in range(MEMBERS)]
        return lambda data: ensemble([predict(member, data) for member in members])
    model = network(LP_FT if way == LP_FT else FINE_TUNED, seed)
    if way == STATISTICS:
        return lambda data: predict(adapt_batchnorm(model, data.images), data)
    return lambda data: predict(model, data)


def trial(way: str, seed: int, *, conditions: Sequence[tuple[str, float]] = CONDITIONS) -> list[dict[str, Any]]:
    """Measure the calibration error along the dial and under corruptions, all in points, with three temperatures.

    `error` is that of the network as it is. For `clean`, a temperature was fitted on held-out sheets as they are; for
    `corrupted`, on the same sheets under all corruptions in all severities, save the kind that is then met. `chance` is
    what a perfectly calibrated network would show with so few images, and `too_sure` mean confidence less accuracy.
    """
    answer = answers_of(way, seed)
    known = known_logits(answer)
    labels = sheets(held_out=True).labels
    clean = fit_temperature(known[SHIFT], labels)
    rows = []
    for kind, level in conditions:
        others = torch.cat([logits for name, logits in known.items() if name != kind])
        heat = fit_temperature(others, labels.repeat(len(others) // len(labels)))
        data = pool_under(kind, level)
        found = measured(answer(data), data.labels, {"clean": clean, "corrupted": heat})
        rows.append({"kind": kind, "level": level, **found, **CONVERGED.budget})
    return rows


def known_logits(answer: Answer) -> dict[str, torch.Tensor]:
    """Return logits of the held-out sheets: as they are, under `shift`; and for each corruption, all its severities."""
    found = {SHIFT: answer(sheets(held_out=True))}
    for kind in CORRUPTIONS:
        found[kind] = torch.cat([answer(held_out_under(kind, severity)) for severity in SEVERITIES])
    return found


def measured(logits: torch.Tensor, labels: torch.Tensor, temperatures: dict[str, float]) -> dict[str, float]:
    """Return accuracy in percent, calibration errors by name of the temperature, and the temperatures."""
    bins = reliability(logits, labels)
    found = {"accuracy": 100 * (logits.argmax(1) == labels).double().mean().item(), "error": bins.error}
    found |= {name: reliability(logits / heat, labels).error for name, heat in temperatures.items()}
    found |= {"too_sure": bins.overconfidence, "chance": chance_calibration_error(logits, repeats=20)}
    return found | {f"temperature_{name}": heat for name, heat in temperatures.items()}


def popular_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Fit a temperature as a popular implementation does, stopping on the way: L-BFGS at a rate of 0.01, from 1.5."""
    heat = torch.tensor(1.5, requires_grad=True)
    optimizer = torch.optim.LBFGS([heat], lr=0.01, max_iter=50)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits / heat, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return heat.item()


def too_sure_logits(temperature: float, count: int = 5000) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw logits `[N, 10]` that have to be divided by a known temperature, and labels that fit then."""
    draws = generator("temperature", count)
    calm = 2 * torch.randn(count, 10, generator=draws)
    return temperature * calm, torch.multinomial(calm.softmax(1), 1, generator=draws)[:, 0]


def sureness(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure all ways to answer."""
    return grid(trial, way=WAYS, seed=seeds)


MORE_TABLES = {"sureness": (sureness, 6)}
