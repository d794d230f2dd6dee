"""Finding what does not belong into an image set: every finding says which, why and how sure; nothing is dropped."""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

SIDE = 8  # height and width of a thumbnail in pixels
NEAR = 0.05  # largest distance of two thumbnails that count as the same picture
BLANK = 15.0  # highest contrast of an image on which there is nothing to see
KINDS = ("exact duplicate", "near duplicate", "blank", "wrong label")


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong."""

    kind: str  # one of `KINDS`
    which: int  # number of the image
    why: str  # what was seen, in words
    confidence: float  # from 0 (barely over the threshold) to 1; to be compared within a kind only
    partner: int | None = None  # for duplicates, the number of the other image


@dataclass(frozen=True)
class CleaningReport:
    """All findings about `checked` images or files. These are untouched: what to do about them is for you to decide."""

    findings: tuple[Finding, ...]
    checked: int

    def __str__(self) -> str:
        counts = Counter(finding.kind for finding in self.findings)
        lines = [f"{kind:16s} {counts[kind]:4d}" for kind in KINDS if counts[kind]]
        return "\n".join([f"{self.checked:,} checked, {len(self.findings)} findings", *lines])

    def which(self, kind: str | None = None) -> list[int | str]:
        """Return what was found (of one of `KINDS`, or of all), numbers or names, each once, in ascending order."""
        if kind is not None and kind not in KINDS:
            raise ValueError(f"{kind!r} is not a kind of finding. Expected one of: {', '.join(map(repr, KINDS))}.")
        return sorted({f.which for f in self.findings if kind in (None, f.kind)})

    def kept(self, without: Sequence[str] = KINDS) -> torch.Tensor:
        """Return the numbers of the images without a finding of these kinds, int64, for `ImageSet.subset`."""
        out = {index for kind in without for index in self.which(kind)}
        return torch.tensor([i for i in range(self.checked) if i not in out], dtype=torch.int64)


def precision_recall(found: Collection, planted: Collection) -> tuple[float, float]:
    """Return precision, the share of `found` that is right, and recall, the share of `planted` that was found.

    Nothing found is no false alarm (precision 1), and where nothing is planted nothing is missed (recall 1).
    """
    found, planted = set(found), set(planted)
    hits = len(found & planted)
    return (hits / len(found) if found else 1.0), (hits / len(planted) if planted else 1.0)


def find_exact_duplicates(images: torch.Tensor, others: torch.Tensor | None = None) -> list[Finding]:
    """Find images, uint8 `[N, 3, H, W]`, that are equal to another one in every pixel.

    `others` may be the training pool where `images` are the test pool. The partner is the first equal image; in one
    set, that first one is not reported.
    """
    ours = hash_pixels(images)
    theirs, where = (ours, "") if others is None else (hash_pixels(others), " of the other set")
    first = {digest: i for i, digest in reversed(list(enumerate(theirs)))}
    return [
        Finding("exact duplicate", i, f"every pixel as in image {first[digest]}{where}", 1.0, first[digest])
        for i, digest in enumerate(ours)
        if digest in first and (others is not None or first[digest] != i)
    ]


def hash_pixels(images: torch.Tensor) -> list[str]:
    """Return a fingerprint of every image: the SHA-256 of its shape and pixels, equal for equal images only."""
    shape = repr(tuple(images.shape[1:])).encode()
    return [hashlib.sha256(shape + image.contiguous().numpy().tobytes()).hexdigest() for image in images.cpu()]


def thumbnails(images: torch.Tensor) -> torch.Tensor:
    """Return a small grey signature of every image, float32 `[N, 64]`, that ignores brightness and contrast.

    The image is averaged down to 8x8 grey values; their mean is taken away, and they are divided by their length, so
    that the product of two signatures is the correlation of the two small pictures. All 0 where an image is of one
    colour.
    """
    small = F.adaptive_avg_pool2d(images.float().mean(1), SIDE).flatten(1)
    small = small - small.mean(1, keepdim=True)
    return small / small.norm(dim=1, keepdim=True).clamp(min=1e-3)


def thumbnail_distances(images: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
    """Return 1 minus the correlation of thumbnails, from 0 (the same at a glance) to 2 (inverted).

    float32 `[N, M]`; without `others` `[N, N]`, infinite unless column < row: every image is compared with those
    before.
    """
    ours = thumbnails(images)
    if others is not None:
        return (1 - ours @ thumbnails(others).T).clamp(0, 2)
    distances = (1 - ours @ ours.T).clamp(0, 2)
    return distances.masked_fill(torch.ones_like(distances).triu().bool(), float("inf"))


def find_near_duplicates(
    images: torch.Tensor, others: torch.Tensor | None = None, threshold: float = NEAR
) -> list[Finding]:
    """Find images that look almost like another one: brightened, compressed, noisy, moved a little.

    `threshold` is the largest distance of two thumbnails, up to 2; a larger one finds more and is wrong more often. The
    partner is the nearest image; equal ones are for `find_exact_duplicates`.
    """
    _check_threshold(threshold, "distance", most=2, such_as=NEAR)
    if len(images) == 0 or (others is not None and len(others) == 0):
        return []
    where = " of the other set" if others is not None else ""
    findings = []
    for i, (distance, partner) in enumerate(zip(*thumbnail_distances(images, others).min(1), strict=True)):
        rival = (images if others is None else others)[partner]
        if distance <= threshold and not torch.equal(images[i], rival):
            why = f"thumbnail {float(distance):.3f} from image {int(partner)}{where}"
            findings.append(Finding("near duplicate", i, why, 1 - float(distance) / threshold, int(partner)))
    return findings


def duplicate_groups(count: int, findings: Sequence[Finding]) -> torch.Tensor:
    """Give every image a group number, int64 `[count]`, such that duplicates, and duplicates of duplicates, share one.

    The number is that of the first image of the group, ready for `grouped_split`.
    """
    group = list(range(count))
    for finding in findings:
        if finding.partner is not None:
            a, b = group[finding.which], group[finding.partner]
            group = [min(a, b) if g in (a, b) else g for g in group]
    return torch.tensor(group, dtype=torch.int64)


def contrasts(images: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of the grey values of every image, uint8 `[N, 3, H, W]` to float32 `[N]`."""
    grey = images.float().mean(1).flatten(1)
    return (grey - grey.mean(1, keepdim=True)).square().mean(1).sqrt()


def find_blank(images: torch.Tensor, threshold: float = BLANK) -> list[Finding]:
    """Find images on which there is nothing to see: their grey values have a standard deviation up to `threshold`."""
    _check_threshold(threshold, "contrast", most=127.5, such_as=BLANK)
    return [
        Finding("blank", i, f"contrast {contrast:.1f} of 127.5", 1 - contrast / threshold)
        for i, contrast in enumerate(contrasts(images).tolist())
        if contrast <= threshold
    ]


def find_wrong_labels(probabilities: torch.Tensor, labels: torch.Tensor) -> list[Finding]:
    """Find labels that a network confidently contradicts, by confident learning.

    `probabilities`, float `[N, C]`, must be from networks that were not trained on the image they judge: one that was
    has learned its label. Cross-validation gives such probabilities for every image.

    Source: Northcutt, Jiang and Chuang, "Confident learning: Estimating uncertainty in dataset labels", 2021, Journal
    of Artificial Intelligence Research.
    """
    confident = confident_classes(probabilities, labels)
    findings = []
    for i in ((confident >= 0) & (confident != labels)).nonzero()[:, 0].tolist():
        given, other = int(labels[i]), int(confident[i])
        ours, theirs = float(probabilities[i, given]), float(probabilities[i, other])
        why = f"labelled {given} ({ours:.0%} likely), looks like {other} ({theirs:.0%})"
        findings.append(Finding("wrong label", i, why, max(theirs - ours, 0.0)))
    return findings


def confident_classes(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the class that every image confidently counts as, int64 `[N]`; -1 where there is none.

    A class counts where its probability reaches its usual value, the mean over the images that carry its label; of
    several, the most probable.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"got probabilities {list(probabilities.shape)} and labels {list(labels.shape)}, but [N, C] and [N] were "
            "expected: one row and one label an image."
        )
    if bool((probabilities < 0).any()) or not torch.allclose(probabilities.sum(1), torch.ones(len(labels)), atol=1e-3):
        raise ValueError("the rows do not sum to 1. Expected probabilities; turn scores into them with softmax(1).")
    usual = torch.full((probabilities.shape[1],), float("inf"))  # no image of a class: never confident
    for c in labels.unique():
        usual[c] = probabilities[labels == c, c].mean()
    reached = probabilities.where(probabilities >= usual - 1e-6, torch.tensor(-1.0))
    return reached.argmax(1).where(reached.max(1).values >= 0, torch.tensor(-1))


def _check_threshold(threshold: float, what: str, most: float, such_as: float) -> None:
    if not 0 < threshold <= most:
        raise ValueError(f"threshold is {threshold}, but a {what} above 0, up to {most}, was expected, like {such_as}.")
