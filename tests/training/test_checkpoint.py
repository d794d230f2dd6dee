"""A killed training ends with the same bits as one that was not."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.weights import changed, equal
from tlcourse.data.augmentations import Augment
from tlcourse.data.worlds import load
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import seeded
from tlcourse.storage import StorageError, read_bytes, read_tensors, save_object, sha256
from tlcourse.training.loop import fit

RUN = """
import sys, time, torch
from tests.training.test_checkpoint import training
from tlcourse.storage import save_tensors
model, history = training(checkpoint=sys.argv[1], pause=float(sys.argv[3]))
save_tensors(sys.argv[2], model.state_dict())
"""


class Slow:
    """Batches with a pause before each, so that a test can kill the training in the middle of an epoch."""

    def __init__(self, batches, pause):
        self.batches, self.pause, self.set_epoch = batches, pause, batches.set_epoch

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            time.sleep(self.pause)
            yield batch


def training(epochs=4, checkpoint=None, pause=0.0, rate=0.05, patience=None):
    """A training with all that has a state: momentum, schedule, augmentation, statistics, the generator of dropout."""
    target = load("handwritten-photo", count=120)
    with seeded("start", 0):
        model = TinyResNet(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=12)
    batches = target.subset(torch.arange(60)).batches(16, steps=3, transform=Augment(), seed=1)
    model.block4.register_forward_hook(lambda _block, _input, output: torch.nn.functional.dropout(output, 0.1))
    torch.manual_seed(5)
    history = fit(
        model,
        Slow(batches, pause),
        epochs=epochs,
        optimizer=optimizer,
        schedule=schedule,
        validation=target.subset(torch.arange(60, 120)),
        patience=patience,
        checkpoint=checkpoint,
        progress=False,
        device="cpu",
    )
    return model, history


@pytest.fixture(scope="module")
def whole():
    """The model and the history of a training that was never interrupted."""
    return training()


def test_interrupted_after_any_epoch_ends_with_the_same_bits(tmp_path, whole):
    model, history = whole
    for stop in (1, 3):
        training(epochs=stop, checkpoint=tmp_path / f"{stop}.training")
        resumed, again = training(checkpoint=tmp_path / f"{stop}.training")
        assert equal(model, resumed)
        assert again.train_loss == history.train_loss
        assert again.validation_loss == history.validation_loss
        assert again.learning_rate == history.learning_rate


def test_the_best_weights_survive_an_interruption(tmp_path):
    best, history = training(patience=3, rate=0.3)
    training(epochs=3, checkpoint=tmp_path / "a", patience=3, rate=0.3)
    resumed, again = training(checkpoint=tmp_path / "a", patience=3, rate=0.3)
    assert history.best_epoch == again.best_epoch < 2, "the best epoch should lie before the interruption"
    assert equal(best, resumed)
    assert not equal(best, training(rate=0.3)[0]), "the best weights should not be the last"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_killed_in_the_middle_of_an_epoch(tmp_path, environment, whole):
    command = [sys.executable, "-B", "-c", RUN, str(tmp_path / "state"), str(tmp_path / "killed.safetensors")]
    options = {"env": environment | {"OMP_NUM_THREADS": str(torch.get_num_threads())}, "cwd": os.getcwd()}
    run = subprocess.Popen([*command, "0.25"], **options)
    deadline = time.monotonic() + 60
    while not (tmp_path / "state").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # into the second epoch, which lasts three times 0.25 s
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.safetensors").exists()
    subprocess.run([*command, "0"], check=True, **options)
    resumed = read_tensors(tmp_path / "killed.safetensors")
    assert not changed(whole[0], resumed)


def test_another_training_is_refused_and_what_is_no_checkpoint(tmp_path):
    training(epochs=1, checkpoint=tmp_path / "a")
    with pytest.raises(StorageError, match=r"belongs to another training(?s:.*)Choose another file name"):
        training(checkpoint=tmp_path / "a", rate=0.01)
    save_object(tmp_path / "weights", {"a": torch.ones(1)})
    with pytest.raises(StorageError, match="is no training checkpoint of this version"):
        training(checkpoint=tmp_path / "weights")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:5000])
    with pytest.raises(StorageError, match="not a whole PyTorch file"):
        training(checkpoint=tmp_path / "a")


def test_a_checkpoint_that_cannot_be_written_loses_nothing(tmp_path, monkeypatch, whole):
    training(epochs=1, checkpoint=tmp_path / "a")
    digest = sha256(read_bytes(tmp_path / "a"))
    monkeypatch.setattr("tlcourse.storage.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(StorageError, match="No space left"):
        training(epochs=2, checkpoint=tmp_path / "a")
    assert sha256(read_bytes(tmp_path / "a")) == digest
    monkeypatch.undo()
    assert equal(whole[0], training(checkpoint=tmp_path / "a")[0])
