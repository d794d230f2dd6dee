"""The training loop: `updates` is the ordinary one of PyTorch, `fit` loops over it with what an experiment needs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import Loss, Pairs, evaluate
from tlcourse.repro import pick_device, progress_bar
from tlcourse.storage import Tensors
from tlcourse.training.checkpoint import History, TrainingState, copy_weights
from tlcourse.transfer.freezing import trainable, training_mode


class NonFiniteLossError(ArithmeticError):
    """The loss became infinite or not a number; `history` holds the epochs before, whose weights the network has."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def updates(
    model: nn.Module,
    batches: Pairs,
    optimizer: torch.optim.Optimizer,
    loss: Loss = F.cross_entropy,
    *,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    clip_norm: float | None = None,
    precision: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
) -> Iterator[torch.Tensor]:
    """Go through the batches once, and yield the loss of each after the update that it led to.

    Whoever stops asking leaves the network as the last update left it. Batches are `(x, y)`, for images float32
    `[B, 3, H, W]` and int64 `[B]`; `schedule.step()` is called after every one. The loss takes logits and labels; what
    is yielded stays on the device, as reading it would make a GPU wait. `clip_norm` shortens longer gradients to that
    length, `precision` is a 16-bit type to compute in, and float16 needs a `scaler`. Raises ValueError: no batches, a
    label outside the classes, or an optimiser that misses a parameter which is to move.
    """
    check_optimizer(model, optimizer)
    device = next(training_mode(model).parameters()).device
    scaler = scaler or torch.amp.GradScaler(enabled=False)  # does nothing
    for x, y in _checked(batches, model, device):
        with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
            batch_loss = loss(model(x), y)
        optimizer.zero_grad()
        scaler.scale(batch_loss).backward()
        if clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        scaler.step(optimizer)
        scaler.update()
        if schedule is not None:
            schedule.step()
        yield batch_loss.detach()


def fit(
    model: nn.Module,
    batches: Pairs,
    *,
    epochs: int,
    optimizer: torch.optim.Optimizer | None = None,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    loss: Loss = F.cross_entropy,
    validation: ImageSet | Pairs | None = None,
    patience: int | None = None,
    clip_norm: float | None = None,
    mixed_precision: bool | None = None,
    device: torch.device | str | None = None,
    checkpoint: Path | str | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = True,
) -> History:
    """Train a network in place: as many loops of `updates` as there are epochs, and a record of each.

    `batches` is looped over again in every epoch: `ImageSet.batches(...)`, a `DataLoader` or a list. The default
    optimiser is AdamW with `lr=0.001` over all that is not frozen. `patience` stops after so many epochs without a
    lower validation loss, and goes back to the best weights. `mixed_precision` computes in 16 bits where that is safe;
    None means on a GPU only. `checkpoint` is a file written after every epoch; if it is there already, training goes on
    from it, and ends with the same bits as one that was never killed. `stop` is asked after every update, for example
    for the time: where it says yes, the epoch ends there, is validated, and was the last, also for a checkpoint.

    Raises ValueError for a training that could not do what was meant, NonFiniteLossError when the loss breaks (the
    network then has its weights from before that epoch), StorageError for a checkpoint that is damaged, belongs to
    another training or cannot be written.
    """
    _check_plan(epochs, validation, patience)
    device = pick_device(device)
    model.to(device=device, memory_format=torch.channels_last)  # faster for convolutions
    optimizer = optimizer or torch.optim.AdamW(trainable(model), lr=1e-3)
    precision = choose_precision(device, mixed_precision)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    state = TrainingState(model, optimizer, schedule, scaler)
    if checkpoint:
        state.resume(checkpoint)
    history = state.history
    how = {"schedule": schedule, "clip_norm": clip_norm, "precision": precision, "scaler": scaler}
    size = len(batches) if hasattr(batches, "__len__") else 0
    counts = {"total": size * epochs or None, "initial": size * len(history)}
    with progress_bar(shown=progress, **counts) as bar, _same_sums_every_time():
        while len(history) < epochs and not history.stopped_early:
            before, start = copy_weights(model), time.perf_counter()
            if hasattr(batches, "set_epoch"):
                batches.set_epoch(len(history))
            losses = []
            for batch_loss in _until(stop, updates(model, batches, optimizer, loss, **how)):
                losses.append(batch_loss)
                bar.update()
            _record(state, torch.stack(losses).float().cpu(), before)
            if validation is not None:
                _validate(state, validation, loss, patience)
            history.stopped_early |= len(losses) < size or (len(history) < epochs and stop())
            history.seconds += time.perf_counter() - start
            bar.set_postfix(loss=f"{history.train_loss[-1]:.3f}", refresh=False)
            if checkpoint:
                state.save(checkpoint)
    if patience is not None:
        model.load_state_dict(state.best)
    return history


def _until(stop: Callable[[], bool], losses: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
    for loss in losses:
        yield loss
        if stop():
            return


def choose_precision(device: torch.device, wanted: bool | None) -> torch.dtype | None:
    """Choose the 16-bit type to compute in, or None for 32 bits; `wanted=None` means 16 bits on a GPU only."""
    if wanted is False or (wanted is None and device.type != "cuda"):
        return None
    return torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16


def check_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuse, with a ValueError that names it, a parameter which is to move and which the optimiser does not know."""
    known = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    unseen = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in known]
    if unseen:
        raise ValueError(
            f"the optimiser does not know {', '.join(unseen)}, so training would never move them. Was the head "
            "replaced after the optimiser was made? Make the optimiser last, or freeze what shall not move."
        )


def _checked(batches: Pairs, model: nn.Module, device: torch.device) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the batches on the device, images in the memory layout of the network's filters."""
    if device.type == "cpu" and any(map(_errs_with_channels_last, model.modules())):
        model.to(memory_format=torch.contiguous_format)
    filters = [p for p in model.parameters() if p.ndim == 4 and not p.is_contiguous()]
    layout, empty = torch.channels_last if filters else torch.preserve_format, True
    for x, y in batches:
        check_labels(model, y)
        empty = False
        yield x.to(device, memory_format=layout, non_blocking=True), y.to(device, non_blocking=True)
    if empty:
        raise ValueError(
            "there was nothing to train on: the batches were empty. Pass something that can be looped over again."
        )


def _errs_with_channels_last(layer: nn.Module) -> bool:
    """Say whether PyTorch computes a convolution's gradient wrongly, or crashes, where channels come last in memory.

    It happens to 1x1 filters with a stride and fewer channels than oneDNN takes at a time, 8 with AVX2 and perhaps 16
    with AVX-512: it writes past the memory that it set aside. Source: uxlfoundation/oneDNN, issue 6035; seen with
    PyTorch 2.15 on AVX2.
    """
    if not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1) or layer.stride == (1, 1):
        return False
    return layer.in_channels // layer.groups < (8 if torch.backends.cpu.get_cpu_capability() == "AVX2" else 16)


def check_labels(model: nn.Module, labels: torch.Tensor) -> None:
    """Refuse labels int64 `[N]` that the head has no output for, while they are on the CPU and looking is cheap."""
    if labels.device.type != "cpu" or not hasattr(model, "head_name"):
        return
    classes = getattr(model, model.head_name).out_features
    low, high = torch.aminmax(labels)
    if low < 0 or high >= classes:
        raise ValueError(
            f"the labels of a batch go from {int(low)} to {int(high)}, but the head has {classes} classes, 0 to "
            f"{classes - 1}. Replace the head for the right number of classes, or check whether counting began at 1."
        )


def _check_plan(epochs: int, validation: ImageSet | Pairs | None, patience: int | None) -> None:
    if epochs < 1 or (patience is not None and patience < 1):
        raise ValueError(f"got epochs={epochs} and patience={patience}. Expected at least 1 of each.")
    if patience is not None and validation is None:
        raise ValueError(
            "patience was given without validation data, so nothing says when to stop. Pass validation=..."
        )


def _same_sums_every_time() -> object:
    """Let cuDNN choose no algorithm whose sums come in another order from run to run."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)


def _record(state: TrainingState, losses: torch.Tensor, before: Tensors) -> None:
    """Add an epoch to the history, or take it back when a loss is not finite; `losses` is float32 `[steps]`."""
    if not torch.isfinite(losses).all():
        state.model.load_state_dict(before)
        raise NonFiniteLossError(_where_it_broke(losses, state.history), state.history)
    state.history.train_loss.append(losses.mean().item())
    state.history.learning_rate.append(state.optimizer.param_groups[0]["lr"])


def _validate(state: TrainingState, data: ImageSet | Pairs, loss: Loss, patience: int | None) -> None:
    """Measure the network on validation data, remember the best weights, and decide whether to stop."""
    history = state.history
    value, percent = evaluate(state.model, data, loss)
    history.validation_loss.append(value)
    history.validation_accuracy.append(percent)
    if history.best_epoch is None or value < history.validation_loss[history.best_epoch]:
        history.best_epoch = len(history) - 1
        if patience is not None:
            state.best = copy_weights(state.model)
    history.stopped_early = patience is not None and len(history) - 1 - history.best_epoch >= patience


def _where_it_broke(losses: torch.Tensor, history: History) -> str:
    step = int((~torch.isfinite(losses)).nonzero()[0])
    return (
        f"the loss became {losses[step].item()} in epoch {len(history)}, batch {step} (counted from 0). Expected a "
        "finite number. The network has its weights from before this epoch. Try a learning rate ten times smaller, "
        "clip_norm=1.0, or look for images that are not finite."
    )
