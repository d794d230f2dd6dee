"""The clock of a contestant: it runs while it works, and stands still while its network is measured."""

import time
from typing import Any

import torch

from benchmarks.peers.workloads import EVALUATE_EVERY, Job

BATCH = 500


class Clock:
    """Seconds of work between `start` and `stop`, and what the network knew after every so many updates."""

    def __init__(self, job: Job) -> None:
        self.job, self.updates, self.curve = job, 0, []
        self.seconds = self.paused = self.paused_processor = 0.0

    def start(self, test_images: torch.Tensor | None = None, test_labels: torch.Tensor | None = None) -> None:
        """Begin; held-out images, uint8 `[N, 3, H, W]`, are there to be asked about on the way."""
        if test_images is not None:
            self.test = (test_images.float().div(127.5).sub(1), test_labels)
        # PyTorch imports another two seconds of itself at the first optimiser; torchvision does so when it is imported,
        # so that without this line the clock would count it for some and not for others. "Whole" has it for all.
        torch.optim.AdamW([torch.zeros(1)])
        self._begin = time.perf_counter()

    def update(self, model: torch.nn.Module) -> bool:
        """Count an update, and measure the network if it is time to; return False, "do not stop"."""
        self.updates += 1
        if self.updates % EVALUATE_EVERY == 0:
            self.stop()
            begin, processor = time.perf_counter(), time.process_time()
            self.curve.append((self.seconds, accuracy(model, *self.test)))
            self.paused += time.perf_counter() - begin
            self.paused_processor += time.process_time() - processor
            self._begin = time.perf_counter()
        return False

    def stop(self) -> None:
        """Add the time since the start, to the end of what a GPU still has to do."""
        if self.job.device == "cuda":
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self._begin

    def result(self, percent: float | None = None) -> dict[str, Any]:
        """Return what was measured; the accuracy in percent is that of the last look at the network unless given."""
        target = self.job.settings.target
        reached = [seconds for seconds, right in self.curve if target is not None and right >= target]
        return {
            "work": self.seconds,
            "paused": self.paused,
            "paused_processor": self.paused_processor,
            "accuracy": self.curve[-1][1] if percent is None and self.curve else percent,
            "to_target": reached[0] if reached else None,
        }


@torch.inference_mode()
def accuracy(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the percentage of right answers, in evaluation mode, for images float32 `[N, 3, H, W]`."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    answers = torch.cat([model(x.to(device)).argmax(1).cpu() for x in images.split(BATCH)])
    model.train(was_training)
    return 100 * (answers == labels).float().mean().item()
