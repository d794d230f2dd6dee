"""One trunk with heads, the losses of its tasks, and its errors: by NumPy, image by image."""

import numpy as np
import pytest
import torch

from tests.multitask.test_tasks import characters
from tlcourse.evaluation.predict import predict
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.network import MultiTask, split
from tlcourse.multitask.tasks import CLASS, Task, answers_to, only, tasks_of
from tlcourse.repro import seeded
from tlcourse.transfer.freezing import count_parameters, freeze

NAMES = [CLASS, "serif", "angle"]


def network(names=NAMES, data=None, seed=0):
    with seeded("weights", seed):
        return MultiTask(TinyResNet(), tasks_of(data or characters(), names))


def test_every_head_sees_the_features_of_one_trunk():
    model = network().eval()
    x = torch.randn(4, 3, 32, 32)
    features = model.trunk.forward_features(x).detach().numpy()
    by_hand = [features @ head.weight.detach().numpy().T + head.bias.detach().numpy() for head in model.heads]
    outputs = model(x)
    np.testing.assert_allclose(outputs.detach().numpy(), np.concatenate(by_hand, 1), atol=1e-6)
    assert [part.shape[1] for part in split(outputs, model.tasks)] == [3, 2, 1]


def test_shared_and_own_weights():
    model = network()
    own, shared = model.own(), model.shared()
    assert count_parameters(own) == 129 * (3 + 2 + 1)
    assert count_parameters(shared) == count_parameters(list(TinyResNet().parameters())) - 129 * 10
    freeze(model.trunk, 2)
    assert count_parameters(model.shared()) < count_parameters(shared)
    model.heads[1].requires_grad_(False)
    assert count_parameters(model.own()) == 129 * (3 + 1)


def known_losses(outputs, answers, tasks):
    """The loss of every task, image by image, in float64."""
    outputs, answers, found, first = outputs.double().numpy(), answers.double().numpy(), [], 0
    for column, task in enumerate(tasks):
        each = []
        for said, wanted in zip(outputs[:, first : first + task.outputs], answers[:, column], strict=True):
            if np.isnan(wanted):
                continue
            if task.classes:
                each.append(np.log(np.exp(said).sum()) - said[int(wanted)])
            else:
                each.append((said[0] - (wanted - task.middle) / task.spread) ** 2)
        found.append(np.mean(each) if each else 0.0)
        first += task.outputs
    return found


@pytest.mark.parametrize("known", [8, 5, 1, 0])
def test_losses_by_numpy(known):
    data = characters()
    tasks = tasks_of(data, NAMES)
    answers = only(answers_to(data, tasks), 1, torch.arange(8) < known)
    outputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(known))
    losses = task_losses(outputs, answers, tasks)
    np.testing.assert_allclose(losses.numpy(), known_losses(outputs, answers, tasks), atol=1e-6)


def test_a_missing_answer_pulls_at_nothing():
    data = characters()
    tasks = tasks_of(data, NAMES)
    outputs = torch.randn(8, 6).requires_grad_()
    answers = only(answers_to(data, tasks), 0, torch.arange(8) < 3)
    task_losses(outputs, answers, tasks).sum().backward()
    assert not outputs.grad[3:, :3].any()
    assert outputs.grad[:3, :3].abs().min() > 0
    outputs.grad = None
    task_losses(outputs, answers.nan_to_num(0), tasks).sum().backward()
    assert outputs.grad[3:, :3].abs().min() > 0, "written as 0, it is the answer 'class 0'"


def test_a_task_without_any_answer_in_a_batch_has_no_gradient():
    data = characters()
    tasks = tasks_of(data, NAMES)
    outputs = torch.randn(8, 6).requires_grad_()
    nothing = only(answers_to(data, tasks), 1, torch.zeros(8, dtype=torch.bool))
    task_losses(outputs, nothing, tasks)[1].backward()
    assert not outputs.grad.any()


def test_a_loss_in_degrees_drowns_the_others():
    data = characters()
    answers, outputs = answers_to(data, NAMES), torch.zeros(8, 6)
    in_units = task_losses(outputs, answers, tasks_of(data, NAMES))
    as_it_is = task_losses(outputs, answers, [Task(CLASS, 3), Task("serif", 2), Task("angle")])
    assert torch.equal(in_units[:2], as_it_is[:2])
    assert in_units[2] == pytest.approx(7 / 8, abs=1e-5), "of n standardised values, the mean square is (n - 1) / n"
    assert as_it_is[2] > 100 * as_it_is[:2].max()


def test_errors_by_numpy():
    data, model = characters(), network()
    label, serif, angle = (part.numpy() for part in split(predict(model, data), model.tasks))
    task = model.tasks[2]
    expected = {
        CLASS: 100 * np.mean(label.argmax(1) != data.labels.numpy()),
        "serif": 100 * np.mean(serif.argmax(1) != data.attributes["serif"].numpy()),
        "angle": np.mean(np.abs(angle[:, 0] * task.spread + task.middle - data.attributes["angle"].numpy())),
    }
    assert model.errors(data) == pytest.approx(expected, abs=1e-5)


def test_what_is_missing_is_no_error():
    data, model = characters(), network()
    serif, angle = data.attributes["serif"].clone(), data.attributes["angle"].clone()
    serif[4:], angle[4:] = -1, torch.nan
    some = characters(serif=serif, angle=angle)
    assert model.errors(some) | {CLASS: 0} == pytest.approx(model.errors(data.subset(torch.arange(4))) | {CLASS: 0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiTask(TinyResNet(), []), r"tasks are \[\]"),
        (lambda: MultiTask(TinyResNet(), [Task("a", 2), Task("a")]), "a name of its own"),
        (lambda: task_losses(torch.zeros(4, 3), torch.zeros(4, 2), [Task("a", 3)]), r"shape \[4, 2\].*\[4, 1\]"),
        (lambda: task_losses(torch.zeros(2, 3), torch.tensor([[0.0], [3]]), [Task("a", 3)]), "'a' go from 0 to 3"),
        (lambda: task_losses(torch.zeros(2, 3), torch.tensor([[-1.0], [1]]), [Task("a", 3)]), "nan where nobody knows"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
