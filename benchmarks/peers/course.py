"""The course, used as a learner does: its functions with their defaults, and its commands."""

import re
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.peers.workloads import (
    CLIENTS,
    LABELS_PER_CLASS,
    PHOTO_MODEL,
    ROOT,
    ROUNDS,
    RUNS,
    Job,
    real_data,
)


def train(job: Job) -> dict[str, Any]:
    import tlcourse as tl
    from benchmarks.peers.clock import Clock
    from benchmarks.peers.prepare import held_out, labelled, scratch_recipe, starting

    data, model, test = labelled(job.workload, job.seed), starting(job.workload, job.seed), held_out(job.workload)
    recipe = scratch_recipe() if job.workload == "scratch" else tl.Recipe()
    clock = Clock(job)
    clock.start(test.images, test.labels)
    tl.train(model, data, recipe, seed=job.seed, stop=lambda: clock.update(model))
    clock.stop()
    return clock.result()


def predict(job: Job) -> dict[str, Any]:
    import tlcourse as tl
    from benchmarks.peers.clock import Clock
    from benchmarks.peers.prepare import held_out, starting

    model, test = starting(job.workload, job.seed), held_out(job.workload)
    clock = Clock(job)
    clock.start()
    model.to(tl.pick_device())
    answers = tl.predict(model, test).argmax(1)
    clock.stop()
    return clock.result(100 * (answers == test.labels).float().mean().item())


def federated(job: Job) -> dict[str, Any]:
    import tlcourse as tl
    from benchmarks.peers.clock import Clock
    from benchmarks.peers.prepare import held_out, labelled, starting
    from tlcourse.federated.clients import by_label
    from tlcourse.federated.federation import Federation

    clients = by_label(labelled(job.workload, job.seed), CLIENTS, float("inf"), seed=job.seed)
    model, test = starting(job.workload, job.seed), held_out(job.workload)
    clock = Clock(job)
    clock.start()
    federation = Federation(model, clients, seed=job.seed)
    for _ in federation.rounds(ROUNDS):
        pass
    clock.stop()
    return clock.result(tl.accuracy(federation.network(), test))


def sweep(job: Job) -> dict[str, Any]:
    import tlcourse as tl
    from benchmarks.peers.clock import Clock
    from benchmarks.peers.prepare import held_out, starting

    pool, test, grid = tl.load("handwritten-photo"), held_out(job.workload), tl.grid
    recipe = tl.Recipe(epochs=job.settings.updates // tl.Recipe.steps)

    def trial(seed: int) -> dict[str, float]:
        model = starting(job.workload, seed)
        tl.train(model, pool.few(LABELS_PER_CLASS, seed), recipe, seed=seed)
        return {"accuracy": tl.accuracy(model, test)}

    clock = Clock(job)
    clock.start()
    rows = grid(trial, seed=range(RUNS * job.seed, RUNS * (job.seed + 1)), progress=False)
    clock.stop()
    return clock.result(rows["accuracy"].mean())


def probe(job: Job) -> dict[str, Any]:
    return _finetune(job, "--probe-only")


def finetune(job: Job) -> dict[str, Any]:
    return _finetune(job, "--epochs", "2")


def predict_photos(job: Job) -> dict[str, Any]:
    test = real_data() / "groceries" / "test"
    said = _command("predict", str(PHOTO_MODEL), str(test), "--top", "1")
    answers = re.findall(r"/([^/]+)/[^/]+: (.+) [\d.]+ %$", said, re.MULTILINE)
    return {"accuracy": 100 * sum(true == answer for true, answer in answers) / len(answers)}


def _finetune(job: Job, *how: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        said = _command(*finetune_words(job, out, *how))
    return {"accuracy": float(re.search(r"accuracy ([\d.]+)", said)[1])}


def finetune_words(job: Job, out: str, *how: str) -> list[str]:
    """Return the words of the command that trains on groceries."""
    groceries, weights = real_data() / "groceries", real_data() / "imagenet_weights" / "mobilenet_v2.pth"
    words = [
        "finetune",
        groceries / "train",
        "--test",
        groceries / "test",
        "--weights",
        weights,
        "--out",
        f"{out}/model",
    ]
    return [*map(str, words), "--device", job.device, "--seed", str(job.seed), *how]


def _command(*words: str) -> str:
    """Run a command of the course in a process of its own, and return what it printed."""
    command = [sys.executable, "-m", "tlcourse", *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
