"""The state of a training, written after every epoch so that a killed run goes on where it was, bit for bit."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tlcourse.storage import StorageError, Tensors, parse_object, read_bytes, save_object

FORMAT = 1


@dataclass
class History:
    """What happened in every epoch of a training; losses are means over batches, accuracies in percent."""

    train_loss: list[float] = field(default_factory=list)  # measured while the weights moved
    learning_rate: list[float] = field(default_factory=list)  # of the first parameter group, at the end of the epoch
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    best_epoch: int | None = None  # that of the lowest validation loss, counted from 0
    stopped_early: bool = False
    seconds: float = 0.0  # those of interrupted runs included

    def __len__(self) -> int:
        """Count the finished epochs."""
        return len(self.train_loss)


@dataclass
class TrainingState:
    """All that a training needs to go on: the network, its optimiser, their helpers, and what happened so far."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler | None
    scaler: torch.amp.GradScaler
    history: History = field(default_factory=History)
    best: Tensors | None = None  # the weights of the best epoch, where they are wanted
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        """Remember what training this is."""
        self.identity = self.fingerprint()

    def fingerprint(self) -> str:
        """Describe the network and its optimiser, so that a file of another training is not taken for this one."""
        shapes = [f"{name}{list(tensor.shape)}" for name, tensor in self.model.state_dict().items()]
        rates = [group.get("initial_lr", group["lr"]) for group in self.optimizer.param_groups]
        trained = sum(parameter.requires_grad for parameter in self.model.parameters())
        return f"{type(self.optimizer).__name__} lr={rates}, {trained} tensors trained, {' '.join(shapes)}"

    def save(self, path: Path | str) -> None:
        """Write everything, atomically; raises StorageError, and the file of the epoch before is untouched."""
        parts: dict[str, Any] = {"format": FORMAT, "fingerprint": self.identity, "history": asdict(self.history)}
        for name, part in self._parts().items():
            parts[name] = part.state_dict()
        parts["best"] = self.best
        parts["rng"] = torch.get_rng_state()
        parts["cuda_rng"] = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        save_object(path, parts)

    def resume(self, path: Path | str) -> bool:
        """Take everything back from `path`, and say whether there was such a file.

        Raises StorageError, and changes nothing, when it is damaged or belongs to another training.
        """
        if not Path(path).exists():
            return False
        saved = parse_object(path, read_bytes(path))
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise StorageError(
                f"{path} is no training checkpoint of this version. Choose another file name, or delete it."
            )
        if saved["fingerprint"] != self.identity:
            raise StorageError(
                f"{path} belongs to another training:\n  there: {saved['fingerprint'][:200]}\n"
                f"  here:  {self.identity[:200]}\n"
                "Nothing was loaded. Choose another file name, or delete the file to start anew."
            )
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.history, self.best = History(**saved["history"]), saved["best"]
        torch.set_rng_state(saved["rng"])
        if saved["cuda_rng"]:
            torch.cuda.set_rng_state_all(saved["cuda_rng"])
        return True

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler, "schedule": self.schedule}
        return {name: part for name, part in parts.items() if part is not None}


def copy_weights(model: nn.Module) -> Tensors:
    """Return a copy of all weights and statistics of a network."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
