"""What notebook 01 measures: suspected labels, scores that leak, the price of a wrong normalisation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from tlcourse.data.augmentations import Chain
from tlcourse.data.cleaning import duplicate_groups, find_exact_duplicates, find_near_duplicates
from tlcourse.data.defects import plant_defects
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import HALF, ChannelStatistics, channel_statistics, convert, normalise
from tlcourse.data.splits import few_per_class, grouped_folds, stratified_folds
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model

Folds = Sequence[tuple[torch.Tensor, torch.Tensor]]
Judge = Callable[[torch.Tensor], torch.Tensor]
METHODS = ("nearest neighbour", "linear probe")
SPLITS = ("random folds", "folds by what was found", "folds by the truth")


def nearest_neighbour(features: torch.Tensor, labels: torch.Tensor, classes: int) -> Judge:
    """Make a judge that gives every image the label of the training image nearest to it.

    Args:
        features: of the training images, float `[N, F]`.
        labels: int64 `[N]`.
        classes: how many classes there are.

    Returns:
        A function from features `[M, F]` to probabilities `[M, classes]`, here 0 and 1.
    """
    return lambda asked: nn.functional.one_hot(labels[torch.cdist(asked, features).argmin(1)], classes).float()


def linear_probe(features: torch.Tensor, labels: torch.Tensor, classes: int) -> Judge:
    """Train a linear head on features to the end, with scikit-learn, and return it as a function.

    Args:
        features: of the training images, float `[N, F]`; they are brought to mean 0 and deviation 1 first, by the
            statistics of these images alone.
        labels: int64 `[N]`.
        classes: how many classes there are.

    Returns:
        A function from features `[M, F]` to probabilities, float32 `[M, classes]`.
    """
    from sklearn.linear_model import LogisticRegression  # here, because importing scikit-learn takes a second

    mean, std = features.mean(0), features.std(0) + 1e-5
    with threadpool_limits(1, user_api="blas"):  # on problems this small, two threads wait for each other: ten times
        head = LogisticRegression(C=0.1, max_iter=1000).fit(((features - mean) / std).numpy(), labels.numpy())

    def judge(asked: torch.Tensor) -> torch.Tensor:
        probabilities = torch.zeros(len(asked), classes)
        known = torch.from_numpy(head.predict_proba(((asked - mean) / std).numpy())).float()
        probabilities[:, torch.from_numpy(head.classes_)] = known
        return probabilities

    return judge


JUDGES = {"nearest neighbour": nearest_neighbour, "linear probe": linear_probe}


def out_of_sample(
    features: torch.Tensor, labels: torch.Tensor, classes: int, folds: Folds, method: str = "linear probe"
) -> torch.Tensor:
    """Return for every image the probabilities by a head that was not trained on it.

    Args:
        features: float `[N, F]`.
        labels: int64 `[N]`.
        classes: how many classes there are.
        folds: pairs of indices, to train on and held out; every image is held out once.
        method: one of `METHODS`.

    Returns:
        float32 `[N, classes]`.
    """
    probabilities = torch.zeros(len(labels), classes)
    for learn, held_out in folds:
        probabilities[held_out] = JUDGES[method](features[learn], labels[learn], classes)(features[held_out])
    return probabilities


def percent_right(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of rows whose largest probability is that of the label, in percent."""
    return 100 * (probabilities.argmax(1) == labels).float().mean().item()


@dataclass(frozen=True)
class Leak:
    """What cross-validation said, and what new images say about the very same heads.

    Attributes:
        split: how the folds were cut.
        method: one of `METHODS`.
        seed: seed of everything random, or number of the sheet that was kept as new.
        said: cross-validated accuracy, in percent.
        true: mean accuracy of the heads of all folds on images that share nothing with these, in percent.
    """

    split: str
    method: str
    seed: int
    said: float
    true: float


def leak_by_copies(seed: int, backbone: nn.Module, per_class: int = 20, exact: int = 50, near: int = 150) -> list[Leak]:
    """Plant copies among labelled digits, cross-validate with folds that tear them apart or not, and compare.

    Scores count originals only, since some changed copies are harder to read than new images are. New images are those
    of the training half that were not chosen.

    Args:
        seed: seed of the choice of digits, the copies and the folds.
        backbone: a pretrained network; its features are judged.
        per_class: labelled digits per class before the copies are added.
        exact: exact copies.
        near: changed copies.

    Returns:
        One row for each of `SPLITS` and `METHODS`.
    """
    digits = load("handwritten-photo")
    chosen = few_per_class(digits.labels, per_class, generator("few", seed))
    fresh = torch.ones(len(digits), dtype=torch.bool).index_fill(0, chosen, False)
    dirty, truth = plant_defects(
        digits.subset(chosen), generator("leak", seed), exact=exact, near=near, blank=0, wrong=0
    )
    copies = {**truth.exact, **truth.near}
    groups = torch.tensor([copies.get(i, i) for i in range(len(dirty))])
    found = find_exact_duplicates(dirty.images) + find_near_duplicates(dirty.images)
    draws = generator("folds", seed)
    folds = (
        stratified_folds(dirty.labels, 5, draws),
        grouped_folds(duplicate_groups(len(dirty), found), 5, draws),
        grouped_folds(groups, 5, draws),
    )
    originals = groups == torch.arange(len(dirty))
    return compare_folds(dict(zip(SPLITS, folds, strict=True)), dirty, digits.subset(fresh), backbone, seed, originals)


def leak_by_sheets(sheet: int, backbone: nn.Module) -> list[Leak]:
    """Keep one sheet of handwriting as new; cross-validate on the six others, digits at random or sheets as a whole.

    Args:
        sheet: which sheet to keep, 0 to 6.
        backbone: a pretrained network; its features are judged.

    Returns:
        One row for `"random folds"` and one for `"folds by sheet"`, for each of `METHODS`.
    """
    digits = load("handwritten-photo")
    is_new = digits.attributes["sheet"] == sheet
    known, draws = digits.subset(~is_new), generator("folds", sheet)
    folds = {
        "random folds": stratified_folds(known.labels, 6, draws),
        "folds by sheet": grouped_folds(known.attributes["sheet"], 6, draws),
    }
    return compare_folds(folds, known, digits.subset(is_new), backbone, sheet, torch.ones_like(known.labels).bool())


def compare_folds(
    folds: dict[str, Folds], images: ImageSet, new: ImageSet, backbone: nn.Module, seed: int, counted: torch.Tensor
) -> list[Leak]:
    """Cross-validate both methods with every set of folds, and ask the head of every fold about new images as well.

    Args:
        folds: folds by name.
        images: what they divide.
        new: images that share nothing with these.
        backbone: a pretrained network; its features are judged.
        seed: what to write into the rows.
        counted: which images count in the cross-validated score, bool `[N]`.

    Returns:
        One row a set of folds and method.
    """
    features, labels, classes = extract_features(backbone, images), images.labels, len(images.classes)
    asked, rows = extract_features(backbone, new), []
    for method in METHODS:
        for name, parts in folds.items():
            said, true = torch.zeros(len(labels), classes), []
            for learn, held_out in parts:
                judge = JUDGES[method](features[learn], labels[learn], classes)
                said[held_out] = judge(features[held_out])
                true.append(percent_right(judge(asked), new.labels))
            rows.append(Leak(name, method, seed, percent_right(said[counted], labels[counted]), sum(true) / len(true)))
    return rows


def leak_gaps(rows: Sequence[Leak], split: str) -> dict[str, Interval]:
    """Return by how many points each method's cross-validated score is above that on new images, for one split."""
    chosen = [row for row in rows if row.split == split]
    pairs = {m: [(row.said, row.true) for row in chosen if row.method == m] for m in METHODS}
    return {m: paired_difference(*zip(*scores, strict=True)) for m, scores in pairs.items()}


@dataclass(frozen=True)
class Price:
    """Accuracy under one normalisation.

    Attributes:
        what: what was measured.
        convention: how the images were normalised, one of `conventions()`.
        seed: seed of everything random.
        accuracy: in percent.
    """

    what: str
    convention: str
    seed: int
    accuracy: float


def conventions() -> dict[str, ChannelStatistics]:
    """Return the usual ways to normalise, each as the mean and the deviation that it takes for the images'.

    Source statistics are those of printed letters, target statistics those of handwritten digits, both over
    photographs and both of training images only.
    """
    letters, digits = load("printed-photo", "letters", count=1000), load("handwritten-photo")
    zero, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    return {
        "-1..1 (as trained)": HALF,
        "0..1": ChannelStatistics(zero, one, 0),
        "0..255": ChannelStatistics(zero, one / 255, 0),
        "source statistics": channel_statistics(letters.images),
        "target statistics": channel_statistics(digits.images),
    }


def normalised(images: ImageSet, statistics: ChannelStatistics) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return normalised batches of an image set, for `predict`, `accuracy` and `extract_features`."""
    rows = torch.arange(len(images)).split(500)
    return [(normalise(images.images[r], statistics), images.labels[r]) for r in rows]


def price_as_it_is(seed: int, network: str = "tiny_resnet") -> list[Price]:
    """Let a pretrained network do its old job on 500 new letters under every normalisation, without any training."""
    model, letters = pretrained(network), load("printed-photo", "letters", "test", count=500, seed=100 + seed)
    scores = {name: accuracy(model, normalised(letters, how)) for name, how in conventions().items()}
    return [Price(f"{network}, as it is", name, seed, percent) for name, percent in scores.items()]


def price_of_probe(seed: int, per_class: int = 5) -> list[Price]:
    """Train a linear probe on a few digits under every normalisation, and measure it under the same one."""
    model, few, test = (
        pretrained(),
        load("handwritten-photo").few(per_class, seed),
        load("handwritten-photo", split="test"),
    )
    rows = []
    for name, how in conventions().items():
        judge = linear_probe(extract_features(model, normalised(few, how)), few.labels, len(few.classes))
        answers = judge(extract_features(model, normalised(test, how)))
        rows.append(Price("linear probe", name, seed, percent_right(answers, test.labels)))
    return rows


def price_of_fine_tuning(seed: int, name: str, per_class: int = 5) -> Price:
    """Fine-tune on a few digits under one normalisation, and measure under the same one."""
    how, recipe = conventions()[name], Recipe()
    few, test = load("handwritten-photo").few(per_class, seed), load("handwritten-photo", split="test")
    varied = Recipe(augment=Chain(recipe.augment, lambda x, _: convert(x, HALF, how)))
    model = starting_model("fine-tuned", seed)
    train(model, few, varied, seed=seed)
    return Price("fine-tuned", name, seed, accuracy(model, normalised(test, how)))


def price_means(rows: Sequence[Price], what: str) -> dict[str, Interval]:
    """Return mean and 95 % interval of one measurement under every convention, in percent."""
    names = dict.fromkeys(row.convention for row in rows)
    return {n: bootstrap_mean([r.accuracy for r in rows if (r.what, r.convention) == (what, n)]) for n in names}


def normalisation_price(seeds: Sequence[int]) -> list[Price]:
    """Measure all of it: both pretrained networks as they are, a linear probe, and fine-tuning."""
    rows = [row for seed in seeds for network in ("tiny_resnet", "small_cnn") for row in price_as_it_is(seed, network)]
    rows += [row for seed in seeds for row in price_of_probe(seed)]
    return rows + side_by_side(price_of_fine_tuning, [(seed, name) for seed in seeds for name in conventions()])
