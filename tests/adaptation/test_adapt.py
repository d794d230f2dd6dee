"""Training on two domains is the plain loop, sees images of the target and no label, and says what it cannot use."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from tests.adaptation.domains import FEW, network, source, target
from tests.weights import changed, copies, equal
from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import (
    Answers,
    Term,
    TwoDomains,
    adapt,
    adaptation_updates,
    check_domains,
    domain_batches,
)
from tlcourse.adaptation.cdan import CDAN
from tlcourse.adaptation.consistency import Consistency
from tlcourse.adaptation.coral import CORAL, coral_distance
from tlcourse.adaptation.dann import DANN
from tlcourse.adaptation.mcc import MCC
from tlcourse.adaptation.mmd import MMD
from tlcourse.adaptation.self_training import self_train
from tlcourse.adaptation.validators import collect, observe
from tlcourse.data.augmentations import Augment
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe, adamw

TERMS = {"CORAL": CORAL, "MMD": MMD, "DANN": DANN, "CDAN": CDAN, "MCC": MCC, "consistency": Consistency}


def adapted(terms=(), seed=0, recipe=FEW, images=None):
    images = target().images if images is None else images
    return adapt(network(), source(), images, terms, recipe, seed=seed)


def methods():
    """Every method as a function of the network and its two domains."""
    trained = {
        name: lambda model, labelled, images, term=term, **more: adapt(model, labelled, images, [term()], FEW, **more)
        for name, term in TERMS.items()
    }
    alone = {
        "source": lambda model, labelled, images, **more: adapt(model, labelled, images, (), FEW, **more),
        "self-training": lambda model, labelled, images, **more: self_train(model, labelled, images, FEW, **more),
    }
    return alone | trained


METHODS = methods()


def statistics(model):
    return {name for name in model.state_dict() if "running" in name or "tracked" in name}


def test_it_is_the_plain_loop_with_a_term():
    ours, theirs = network(), network()
    losses = [loss.item() for loss in adaptation_updates(ours, source(), target().images, [CORAL(10.0)], FEW)]
    optimizer, schedule = adamw(theirs, FEW.lr, FEW.updates, weight_decay=FEW.weight_decay)
    for (x, y), expected in zip(domain_batches(source(), target().images, FEW), losses, strict=True):
        on_source, on_target = (theirs.forward_features(half) for half in x.chunk(2))
        loss = F.cross_entropy(theirs.head(on_source), y) + 10 * coral_distance(on_source, on_target)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    adapt_batchnorm(theirs, target().images)
    for ours_, theirs_ in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=1e-4, atol=1e-5)


def test_without_a_term_the_target_moves_statistics_and_no_weight():
    one, other, turned = (adapted(images=images) for images in (None, 255 - target().images, target().images.flip(0)))
    assert changed(one, copies(other)) == {"norm.running_mean", "norm.running_var"}
    for name, tensor in one.state_dict().items():  # the order of the target: rounding of statistics alone
        torch.testing.assert_close(tensor, turned.state_dict()[name], rtol=1e-5, atol=1e-6)
    assert changed(one, copies(network())) == set(network().state_dict())


@pytest.mark.parametrize("name", TERMS)
def test_every_term_moves_weights_by_what_the_target_shows(name):
    plain, with_term = adapted(), adapted([TERMS[name](10.0)])
    elsewhere = adapted([TERMS[name](10.0)], images=255 - target().images)
    weights = {"conv.weight", "norm.weight"}
    assert weights <= changed(with_term, copies(plain))
    assert weights <= changed(with_term, copies(elsewhere))


@pytest.mark.parametrize("name", [name for name in TERMS if name != "consistency"])
def test_a_weight_of_0_is_no_term(name):
    plain, nothing = adapted(), adapted([TERMS[name](0.0)])
    for expected, got in zip(plain.state_dict().values(), nothing.state_dict().values(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


class Diary(Term):
    """A term that adds nothing, and notes when it was asked for what."""

    views = 3

    def __init__(self):
        super().__init__()
        self.pages = []

    def begin(self, model):
        self.pages.append("begin")

    def forward(self, answers):
        self.pages.append(len(answers.images))
        return answers.logits.sum() * 0

    def after_update(self, model, share):
        self.pages.append(share)

    def finish(self, model):
        self.pages.append("finish")
        model.head.weight.data.fill_(7.0)


def test_a_term_is_asked_in_order_and_has_the_last_word_on_the_weights():
    diary = Diary()
    model = adapted([diary])
    assert diary.pages == ["begin", 3, 0.25, 3, 0.5, 3, 0.75, 3, 1.0, "finish"]
    assert (model.head.weight == 7).all()


def test_whoever_stops_early_keeps_the_network_of_that_update():
    diary, model = Diary(), network()
    steps = adaptation_updates(model, source(), target().images, [diary], FEW)
    next(steps)
    steps.close()
    assert diary.pages == ["begin", 3, 0.25]
    assert not (model.head.weight == 7).any()


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(name):
    one, again, other = (METHODS[name](network(), source(), target().images, seed=seed) for seed in (1, 1, 2))
    assert equal(one, again)
    assert not equal(one, other)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_ends_with_the_statistics_of_the_target(name):
    model = METHODS[name](network(), source(), target().images)
    before = copies(model)
    adapt_batchnorm(model, target().images)
    assert not changed(model, before)
    assert model.norm.num_batches_tracked == 1, "30 images are one batch, so all updates are forgotten"


def test_one_domain_never_enters_the_statistics_of_the_other():
    model, images = network().train(), torch.randn(10, 3, 6, 6, generator=generator("views"))
    images[5:] += 3
    answers = TwoDomains(model, 2)(images)
    for view, features, logits in zip(images.chunk(2), answers.features, answers.logits, strict=True):
        assert torch.equal(features, model.forward_features(view))
        assert torch.equal(logits, model(view))
    assert answers.images.shape == (2, 5, 3, 6, 6)
    assert not torch.allclose(answers.features.flatten(0, 1), model.forward_features(images)), "the hidden AdaBN"


def test_batches_hold_the_source_once_and_the_target_as_often_as_asked():
    dark, bright = source().images // 2, 128 + target().images // 2  # below and above 128: no doubt who is who
    labelled = source()
    labelled = type(labelled)(dark, labelled.labels, labelled.classes)
    recipe = Recipe(epochs=1, steps=3, batch=5, augment=Augment(light=0.01))
    batches = list(domain_batches(labelled, bright, recipe, views=3))
    assert len(batches) == 3
    for x, y in batches:
        assert y.shape == (5,)
        first, second, third = x.chunk(3)
        assert first.mean() < 0 < min(second.mean(), third.mean())
        assert not torch.equal(second, third), "augmented anew"
        assert (second - third).abs().mean() < 0.2, "the same images"


def test_labels_that_a_loss_sees_are_those_of_the_source():
    labelled = source()
    known = {image.numpy().tobytes(): label for image, label in zip(labelled.images, labelled.labels, strict=True)}
    for x, y in domain_batches(labelled, target().images, FEW):
        for image, label in zip(x[: FEW.batch], y, strict=True):
            assert known[((image + 1) * 127.5).round().to(torch.uint8).numpy().tobytes()] == label


# ---- no label of the target, by any way in


@pytest.mark.parametrize("name", METHODS)
def test_labels_of_the_target_change_nothing_as_there_is_no_way_in(name):
    there = target()
    permuted = type(there)(there.images, there.labels.flip(0) * 0 + 2, there.classes)
    assert equal(*(METHODS[name](network(), source(), images) for images in (there.images, permuted.images)))


TAKES_A_TARGET = {
    "adapt": lambda given: adapt(network(), source(), given, (), FEW),
    "adaptation_updates": lambda given: next(adaptation_updates(network(), source(), given, (), FEW)),
    "domain_batches": lambda given: next(domain_batches(source(), given, FEW)),
    "check_domains": lambda given: check_domains(network(), source(), given),
    "adapt_batchnorm": lambda given: adapt_batchnorm(network(), given),
    "self_train": lambda given: self_train(network(), source(), given, FEW),
    "collect": lambda given: collect(network(), source(), source(), given),
    "observe": lambda given: observe(network(), source(), source(), given),
}


@pytest.mark.parametrize("name", TAKES_A_TARGET)
def test_a_target_with_labels_is_refused_wherever_one_is_taken(name):
    there = target()
    for given, said in (
        (there, "which carries labels, but images alone were expected"),
        ((there.images, there.labels), "is a tuple, but images alone were expected"),
        (TensorDataset(there.images, there.labels), "is a TensorDataset, but images alone"),
        (there.labels, "images are torch.int64, but uint8"),
        (there.images / 255, r"images are torch.float32.*to\(torch.uint8\)"),
    ):
        with pytest.raises(TypeError, match=said):
            TAKES_A_TARGET[name](given)
    for images, said in ((there.images[0], r"shape \[3, 6, 6\]"), (there.images[:1], "1 images. Expected at least 2")):
        with pytest.raises(ValueError, match=said):
            TAKES_A_TARGET[name](images)


@pytest.mark.parametrize(
    "function", [adapt, adaptation_updates, domain_batches, check_domains, adapt_batchnorm, self_train]
)
def test_the_target_is_a_tensor_in_every_signature(function):
    parameters = inspect.signature(function).parameters
    assert parameters["target"].annotation is torch.Tensor
    assert not [name for name in parameters if "label" in name]


@pytest.mark.parametrize("term", TERMS.values())
def test_a_term_sees_answers_alone(term):
    assert issubclass(term, Term)
    assert list(inspect.signature(term.forward).parameters) == ["self", "answers"]
    assert Answers._fields == ("images", "features", "logits")


# ---- what else is refused


def test_a_head_of_other_classes_is_refused():
    for method in METHODS.values():
        with pytest.raises(ValueError, match=r"the head has 4 classes and the source 3.*replace and train the head"):
            method(network(classes=4), source(), target().images)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_training_that_breaks_says_so():
    wild = Recipe(epochs=1, steps=6, batch=8, lr=1e30, augment=None)
    for train in (adapt, self_train):
        with pytest.raises(ArithmeticError, match=r"the loss became nan.*ten times smaller"):
            train(network(), source(), target().images, recipe=wild)
