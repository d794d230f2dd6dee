"""The training loop does what the plain loop does, and everything around it does what it says."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.weights import equal
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.repro import generator, seeded
from tlcourse.training.loop import NonFiniteLossError, choose_precision, fit, updates


def toy(seed=0, classes=3):
    with seeded("toy", seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, classes))


def points(count=30, classes=3, seed=0):
    """Batches of 2x2 images whose class can be read off their brightest channel."""
    draws = generator("points", seed)
    y = torch.randint(classes, (count,), generator=draws)
    x = torch.randn(count, 3, 2, 2, generator=draws) * 0.3
    x[torch.arange(count), y] += 1
    return list(zip(x.split(10), y.split(10), strict=True))


def sgd(model, rate=0.1):
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


def train(model, batches=None, **options):
    return fit(model, batches or points(), **({"epochs": 3, "progress": False, "device": "cpu"} | options))


def test_it_is_the_ordinary_loop():
    ours, again, theirs = toy(), toy(), toy()
    history = train(ours, optimizer=sgd(ours), epochs=10)
    train(again, optimizer=sgd(again), epochs=10)
    optimizer, losses = sgd(theirs), []
    for _ in range(10):
        for x, y in points():
            loss = F.cross_entropy(theirs(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert equal(ours, theirs)
    assert equal(ours, again)
    assert history.train_loss == pytest.approx([sum(losses[i : i + 3]) / 3 for i in range(0, 30, 3)])
    assert history.train_loss[-1] < 0.3 * history.train_loss[0]


def test_default_optimiser_skips_what_is_frozen_and_a_schedule_steps_after_every_batch():
    model, before = toy(), toy()
    model[1].requires_grad_(False)
    train(model)
    assert torch.equal(model[1].weight, before[1].weight)
    assert not torch.equal(model[3].weight, before[3].weight)
    optimizer = sgd(model, 1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    history = train(model, optimizer=optimizer, schedule=schedule, epochs=2)
    assert history.learning_rate == [0.5**3, 0.5**6]


def test_clipping_shortens_the_gradient_and_only_when_it_is_longer():
    start, free, loose, tight = toy(), toy(), toy(), toy()
    for model, norm in ((free, None), (loose, 1e6), (tight, 1e-3)):
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        train(model, points()[:1], optimizer=optimizer, epochs=1, clip_norm=norm)
    assert equal(free, loose)
    step = sum((a - b).square().sum() for a, b in zip(tight.parameters(), start.parameters(), strict=True)).sqrt()
    assert step.item() == pytest.approx(1e-3, rel=1e-3)


def test_validation_is_measured_and_training_mode_comes_back():
    model = toy()
    history = train(model, optimizer=sgd(model), validation=points(seed=1), epochs=8)
    assert len(history.validation_loss) == len(history.validation_accuracy) == 8
    assert history.validation_accuracy[-1] > 90
    assert model.training
    assert history.best_epoch == min(range(8), key=history.validation_loss.__getitem__)
    assert not history.stopped_early


def test_patience_stops_and_returns_to_the_best_weights_and_without_it_the_last_stay():
    wrong = [(x, (y + 1) % 3) for x, y in points(seed=1)]  # the better the model learns, the worse it does here
    patient, best, last, twin = toy(), toy(), toy(), toy()
    history = train(patient, optimizer=sgd(patient), validation=wrong, patience=2, epochs=30)
    assert history.stopped_early
    assert len(history) == history.best_epoch + 3 < 30
    train(best, optimizer=sgd(best), epochs=history.best_epoch + 1)
    assert equal(patient, best)
    train(last, optimizer=sgd(last), validation=wrong, epochs=6)
    train(twin, optimizer=sgd(twin), epochs=6)
    assert equal(last, twin)


class AfterUpdates:
    """Says stop from so many updates on, as a clock would."""

    def __init__(self, model, updates):
        self.left = updates
        model.register_forward_hook(self.count)

    def count(self, model, *_):
        self.left -= model.training

    def __call__(self):
        return self.left <= 0


@pytest.mark.parametrize(("updates", "epochs", "early"), [(3, 1, True), (4, 2, True), (6, 2, True), (9, 3, False)])
def test_whoever_says_stop_ends_the_training_at_the_next_update_and_what_came_before_is_as_ever(updates, epochs, early):
    stopped, twin = toy(), toy()
    history = train(stopped, optimizer=sgd(stopped), validation=points(), epochs=3, stop=AfterUpdates(stopped, updates))
    optimizer, batches = sgd(twin), points() * 3
    assert len(points()) == 3
    train(twin, batches[:updates], optimizer=optimizer, epochs=1)
    assert equal(stopped, twin)
    assert len(history) == len(history.validation_loss) == epochs
    assert history.stopped_early is early


def test_a_training_that_is_stopped_goes_back_to_its_best_weights():
    wrong = [(x, (y + 1) % 3) for x, y in points(seed=1)]
    stopped, best = toy(), toy()
    after = AfterUpdates(stopped, 7)
    history = train(stopped, optimizer=sgd(stopped), validation=wrong, patience=9, epochs=9, stop=after)
    assert len(history) == 3
    assert history.best_epoch == 0
    train(best, optimizer=sgd(best), epochs=1)
    assert equal(stopped, best)


def test_mixed_precision_computes_in_16_bits_and_keeps_weights_in_32(monkeypatch):
    seen = []
    model = toy()
    model[3].register_forward_hook(lambda _layer, _input, output: seen.append(output.dtype))
    history = train(model, optimizer=sgd(model), mixed_precision=True, epochs=10)
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert choose_precision(torch.device("cpu"), None) is None
    assert choose_precision(torch.device("cuda"), False) is None
    for able, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda able=able: able)
        assert choose_precision(torch.device("cuda"), None) == expected


def test_nan_loss_says_where_and_gives_the_weights_back():
    model, twin = toy(), toy()
    good = points()
    bad = [*good[:2], (good[2][0] * float("nan"), good[2][1])]

    class TurnsBad:
        epoch = 0

        def __iter__(self):
            self.epoch += 1
            return iter(bad if self.epoch == 3 else good)

    with pytest.raises(NonFiniteLossError, match=r"became nan in epoch 2, batch 2.*Try a learning rate") as caught:
        train(model, TurnsBad(), optimizer=sgd(model), epochs=5)
    assert len(caught.value.history) == 2
    train(twin, optimizer=sgd(twin), epochs=2)
    assert equal(model, twin)
    with pytest.raises(NonFiniteLossError, match="epoch"):  # infinite losses too
        train(model, optimizer=sgd(model, 1e30), epochs=5)
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"patience": 0, "validation": []}, "patience=0"),
        ({"patience": 3}, "patience was given without validation"),
        ({"batches": iter(())}, "there was nothing to train on"),
        ({"optimizer": sgd(toy())}, r"does not know 1\.weight, 1\.bias.*Make the optimiser last"),
    ],
)
def test_impossible_trainings(options, message):
    with pytest.raises(ValueError, match=message):
        train(toy(), **options)


@pytest.mark.parametrize("label", [10, -1])
def test_labels_outside_the_classes(label):
    batch = torch.zeros(2, 3, 32, 32), torch.tensor([0, label])
    with pytest.raises(ValueError, match=r"head has 10 classes, 0 to 9\. Replace the head"):
        train(SmallCNN(10), [batch])


@pytest.mark.parametrize("channels", [3, 4, 8, 12, 16])
def test_a_stride_over_few_channels_gets_the_right_gradient(channels):
    """With channels last, oneDNN's is wrong on some processors, or the process dies."""
    with seeded("few channels", channels):
        few = [nn.Conv2d(3, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, 8, 1, stride=2, bias=False)]
        model = nn.Sequential(*few, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 8, 3))
    exact = copy.deepcopy(model).double()
    x = torch.randn(32, 3, 16, 16, generator=generator("few channels", channels))
    y = torch.arange(32) % 3
    steps = torch.optim.SGD(exact.parameters(), lr=0.1)
    fit(model, [(x, y)] * 5, epochs=1, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), device="cpu")
    for _ in range(5):
        steps.zero_grad()
        F.cross_entropy(exact(x.double()), y).backward()
        steps.step()
    torch.testing.assert_close(model[2].weight.double(), exact[2].weight, rtol=1e-4, atol=1e-5)


def test_whoever_stops_asking_leaves_the_network_at_that_update():
    ours, theirs = toy(), toy()
    losses = updates(ours, points(), sgd(ours))
    seen = [next(losses).item(), next(losses).item()]
    losses.close()
    optimizer = sgd(theirs)
    for (x, y), loss in zip(points()[:2], seen, strict=True):
        expected = F.cross_entropy(theirs(x), y)
        assert expected.item() == loss
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
    assert equal(ours, theirs)
