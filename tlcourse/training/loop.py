"""The training loop: the ordinary one of PyTorch, written once, with what a careful experiment needs around it."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import Loss, Pairs, evaluate
from tlcourse.repro import pick_device
from tlcourse.storage import Tensors
from tlcourse.training.checkpoint import History, TrainingState, copy_weights
from tlcourse.transfer.freezing import trainable, training_mode


class NonFiniteLossError(ArithmeticError):
    """The loss became infinite or not a number. The network has the weights it had before that epoch.

    Attributes:
        history: the epochs before.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


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
    channels_last: bool = True,
    device: torch.device | str | None = None,
    checkpoint: Path | str | None = None,
    before_epoch: Callable[[nn.Module, int], None] | None = None,
    after_update: Callable[[nn.Module], None] | None = None,
    progress: bool = True,
) -> History:
    """Train a network.

    Args:
        model: the network, trained in place and moved to the device.
        batches: gives `(x float32 [B, 3, H, W], y int64 [B])` each time it is looped over: `ImageSet.batches(...)`, a
            `DataLoader`, or a list.
        epochs: how many loops over the batches, at least 1.
        optimizer: by default AdamW with a rate of 0.001, over every parameter that is not frozen.
        schedule: moves the learning rate; its `step()` is called after every batch.
        loss: takes scores `[B, classes]` and labels `[B]`, returns their mean loss.
        validation: what to measure loss and accuracy on after every epoch.
        patience: stop after this many epochs without a lower validation loss, and go back to the best weights.
        clip_norm: shorten the gradient to this length where it is longer.
        mixed_precision: compute in 16 bits where that is safe; None means on a GPU only.
        channels_last: store images pixel by pixel, which is faster for convolutions.
        device: by default that of `pick_device()`.
        checkpoint: a file to write after every epoch. If it is there already, training goes on from it; a training
            that was killed then ends with the same weights, bit for bit, as one that was not.
        before_epoch: called with the network and the number of the epoch, counted from 0, for example to free a stage.
        after_update: called with the network after every update, for example to average its weights. If it has
            `state_dict` and `load_state_dict`, the checkpoint holds its state too.
        progress: show a progress bar.

    Returns:
        What happened in every epoch.

    Raises:
        ValueError: a label is outside the classes, the optimiser misses a parameter, or an argument is out of range.
        NonFiniteLossError: the loss became infinite or not a number; the weights are those before that epoch.
        StorageError: the checkpoint belongs to another training, is damaged, or could not be written.
    """
    device = torch.device(device) if device else pick_device()
    model.to(device=device, memory_format=torch.channels_last if channels_last else torch.preserve_format)
    optimizer = optimizer or torch.optim.AdamW(trainable(model), lr=1e-3)
    check_fit(model, optimizer, epochs, validation, patience)
    precision = choose_precision(device, mixed_precision)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    state = TrainingState(model, optimizer, schedule, scaler, after_update=after_update)
    if checkpoint:
        state.resume(checkpoint)
    history, size = state.history, len(batches) if hasattr(batches, "__len__") else 0
    bar = tqdm(total=size * epochs or None, initial=size * len(history), leave=False, disable=not progress)
    with bar, torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        while len(history) < epochs and not history.stopped_early:
            before, start = copy_weights(model), time.perf_counter()
            if before_epoch is not None:
                before_epoch(model, len(history))
                check_optimizer(model, optimizer)
            if hasattr(batches, "set_epoch"):
                batches.set_epoch(len(history))
            losses = train_epoch(state, batches, loss, clip_norm, precision, channels_last, bar)
            record_losses(state, losses, before)
            if validation is not None:
                validate(state, validation, loss, patience)
            history.seconds += time.perf_counter() - start
            bar.set_postfix(loss=f"{history.train_loss[-1]:.3f}", refresh=False)
            if checkpoint:
                state.save(checkpoint)
    if patience is not None:
        model.load_state_dict(state.best)
    return history


def train_epoch(
    state: TrainingState,
    batches: Pairs,
    loss: Loss,
    clip_norm: float | None,
    precision: torch.dtype | None,
    channels_last: bool,
    bar: tqdm,
) -> torch.Tensor:
    """Go through the batches once: predict, measure the loss, find the gradient, take a step.

    Args:
        state: network, optimiser, schedule and scaler.
        batches: gives `(x, y)`.
        loss: takes scores and labels.
        clip_norm: longest gradient, or None.
        precision: the 16-bit type to compute in, or None.
        channels_last: store images pixel by pixel.
        bar: the progress bar to move.

    Returns:
        The loss of every batch, float32 `[steps]` on the CPU.
    """
    model, optimizer, scaler = training_mode(state.model), state.optimizer, state.scaler
    device = next(model.parameters()).device
    layout = torch.channels_last if channels_last else torch.contiguous_format
    losses = []
    for x, y in batches:
        check_labels(model, y)
        x = x.to(device, memory_format=layout, non_blocking=True)
        y = y.to(device, non_blocking=True)
        with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
            batch_loss = loss(model(x), y)
        optimizer.zero_grad()
        scaler.scale(batch_loss).backward()  # without 16-bit floats, the scaler does nothing
        if clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        scaler.step(optimizer)
        scaler.update()
        if state.schedule is not None:
            state.schedule.step()
        if state.after_update is not None:
            state.after_update(model)
        losses.append(batch_loss.detach())  # stays on the device: reading it here would make the GPU wait
        bar.update()
    if not losses:
        raise ValueError(
            "there was nothing to train on: the batches were empty. Pass something that can be looped over again."
        )
    return torch.stack(losses).float().cpu()


def record_losses(state: TrainingState, losses: torch.Tensor, before: Tensors) -> None:
    """Add an epoch to the history, or take it back when its loss is not finite.

    Args:
        state: network, optimiser and history, updated.
        losses: the loss of every batch, `[steps]`.
        before: the weights from before the epoch.

    Raises:
        NonFiniteLossError: a loss is infinite or not a number; the network has the weights from before again.
    """
    if not torch.isfinite(losses).all():
        state.model.load_state_dict(before)
        raise NonFiniteLossError(_where_it_broke(losses, state.history), state.history)
    state.history.train_loss.append(losses.mean().item())
    state.history.learning_rate.append(state.optimizer.param_groups[0]["lr"])


def validate(state: TrainingState, data: ImageSet | Pairs, loss: Loss, patience: int | None) -> None:
    """Measure the network on validation data, remember the best weights, and decide whether to stop.

    Args:
        state: network and history, both updated.
        data: an image set, or batches of `(x, y)`.
        loss: takes scores and labels.
        patience: epochs without a lower loss before stopping, or None to never stop.
    """
    history = state.history
    value, percent = evaluate(state.model, data, loss)
    history.validation_loss.append(value)
    history.validation_accuracy.append(percent)
    if history.best_epoch is None or value < history.validation_loss[history.best_epoch]:
        history.best_epoch = len(history) - 1
        if patience is not None:
            state.best = copy_weights(state.model)
    history.stopped_early = patience is not None and len(history) - 1 - history.best_epoch >= patience


def choose_precision(device: torch.device, wanted: bool | None) -> torch.dtype | None:
    """Choose the 16-bit type to compute in.

    Args:
        device: where training runs.
        wanted: True, False, or None for "on a GPU only": few processors are faster in 16 bits.

    Returns:
        `torch.bfloat16`, `torch.float16` on GPUs that lack it, or None for 32 bits throughout.
    """
    if wanted is False or (wanted is None and device.type != "cuda"):
        return None
    return torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16


def check_fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    validation: ImageSet | Pairs | None,
    patience: int | None,
) -> None:
    """Refuse a training that could not do what was meant.

    Args:
        model: the network.
        optimizer: its optimiser.
        epochs: how many epochs.
        validation: validation data, or None.
        patience: epochs to wait, or None.

    Raises:
        ValueError: with what is wrong and what to do.
    """
    if epochs < 1 or (patience is not None and patience < 1):
        raise ValueError(f"got epochs={epochs} and patience={patience}. Expected at least 1 of each.")
    if patience is not None and validation is None:
        raise ValueError(
            "patience was given without validation data, so nothing says when to stop. Pass validation=..."
        )
    check_optimizer(model, optimizer)


def check_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimiser that does not know a parameter which is to move.

    Args:
        model: the network.
        optimizer: its optimiser.

    Raises:
        ValueError: with the names of the parameters.
    """
    known = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    unseen = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in known]
    if unseen:
        raise ValueError(
            f"the optimiser does not know {', '.join(unseen)}, so training would never move them. Was the head "
            "replaced after the optimiser was made? Make the optimiser last, or freeze what shall not move."
        )


def check_labels(model: nn.Module, labels: torch.Tensor) -> None:
    """Refuse labels that the head has no output for, while they are on the CPU and looking is cheap.

    Args:
        model: a network; only those with a `head_name` are checked.
        labels: int64 `[B]`.

    Raises:
        ValueError: a label is outside the classes.
    """
    if labels.device.type != "cpu" or not hasattr(model, "head_name"):
        return
    classes = getattr(model, model.head_name).out_features
    low, high = torch.aminmax(labels)
    if low < 0 or high >= classes:
        raise ValueError(
            f"the labels of a batch go from {int(low)} to {int(high)}, but the head has {classes} classes, 0 to "
            f"{classes - 1}. Replace the head for the right number of classes, or check whether counting began at 1."
        )


def _where_it_broke(losses: torch.Tensor, history: History) -> str:
    step = int((~torch.isfinite(losses)).nonzero()[0])
    return (
        f"the loss became {losses[step].item()} in epoch {len(history)}, batch {step} (counted from 0). Expected a "
        "finite number. The network has its weights from before this epoch. Try a learning rate ten times smaller, "
        "clip_norm=1.0, or look for images that are not finite."
    )
