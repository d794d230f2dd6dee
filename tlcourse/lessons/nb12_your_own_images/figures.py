"""Pictures of notebook 12, each with its alt text: photographs of any size, what a network sees, and where it errs."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.evaluation.saliency import grad_cam
from tlcourse.lessons.nb12_your_own_images.relabelling import top_losses
from tlcourse.notebook.evaluation_figures import describe_confusion, draw_confusion, draw_reliability
from tlcourse.notebook.scripts import families, writable
from tlcourse.photos.evaluation import Evaluation
from tlcourse.photos.finetuning import Tuned
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.probe import cache_features
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.training_figure import draw_tuning

LONGEST = 16  # letters of a name that are shown
MOST = 8  # photographs side by side
Shown = tuple[Figure, str]  # a picture, and what it shows in words


def short(name: str, longest: int = LONGEST) -> str:
    """Cut the name of a class where it would not fit, and leave out what cannot be drawn."""
    return writable(name if len(name) <= longest else name[: longest - 1] + "…")


def draw_photo(ax: Axes, photo: Image.Image, title: str = "") -> Axes:
    """Draw one photograph with its own proportions, and one or two lines above it."""
    ax.imshow(np.asarray(photo), interpolation="nearest" if max(photo.size) < 100 else "antialiased")
    if title:
        ax.set_title(title, fontsize=10, fontfamily=families())
    ax.set_axis_off()
    return ax


def photos_figure(photos: PhotoSet) -> Shown:
    """Draw one photograph of each class, of at most ten."""
    some = photos.few(1)
    count = min(len(some), 10)
    figure, axes = _row(count)
    for i, ax in enumerate(axes):
        draw_photo(ax, some.open(i), short(photos.classes[some.labels[i]], 10))
    return figure, f"One photograph of each of {count} classes of {photos.name}."


def losses_figure(model: nn.Module, photos: PhotoSource) -> Shown:
    """Draw the photographs whose labels a probe finds least plausible, each below its label and its file."""
    places = top_losses(cache_features(model, photos), len(photos.classes))[:MOST].tolist()
    figure, axes = _row(len(places))
    paths = [photos.photos.paths[place] for place in places]
    for ax, place, path in zip(axes, places, paths, strict=True):
        label = short(photos.classes[photos.labels[place]], 11)
        draw_photo(ax, photos.photos.open(place), f"{label}?\n{short(path.name, 11)}")
    names = ", ".join("/".join(path.parts[-2:]) for path in paths)
    return figure, f"The photographs whose labels are least plausible: {names}."


def views_figure(photos: PhotoSource, recipe: PhotoRecipe, views: int = 4) -> Shown:
    """Draw two training photographs as they are, and as they are seen in the first epochs."""
    rows = torch.linspace(0, len(photos) - 1, 2).long()
    few = PhotoSource(photos.photos.subset(rows), photos.preprocessing)
    figure, axes = _row(2 * (views + 1))
    seen = [few.for_training(1, recipe.view, seed) for seed in range(views)]
    for i, (x, label) in enumerate(zip(few.prepared(torch.arange(2)), few.labels, strict=True)):
        place = i * (views + 1)
        draw_photo(axes[place], as_seen(x, photos.preprocessing), f"a {short(photos.classes[label], 9)}")
        for n, batches in enumerate(seen, 1):
            view = next(x for x, y in batches if y == label)
            draw_photo(axes[place + n], as_seen(view[0], photos.preprocessing), f"view {n}")
    return figure, f"Two training photographs, each with {views} random views of it."


def prepared_figure(photo: Image.Image, prepared: torch.Tensor, preprocessing: Preprocessing) -> Shown:
    """Draw a photograph with a frame around what is seen of it, and beside it what the network sees."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    return figure, draw_prepared(figure.subplots(1, 2), photo, prepared, preprocessing)


def as_seen(prepared: torch.Tensor, preprocessing: Preprocessing) -> Image.Image:
    """Turn what the network sees, float32 `[3, H, W]`, back into a picture."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    pixels = (255 * (prepared * std + mean)).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def draw_prepared(
    axes: Sequence[Axes], photo: Image.Image, prepared: torch.Tensor, preprocessing: Preprocessing
) -> str:
    """Draw a photograph and what the network sees of it, `[3, crop, crop]`; a frame where that is not all of it."""
    left, right = axes
    crop = preprocessing.crop
    side = crop * min(photo.size) / preprocessing.resize  # in pixels of the photograph
    share = 100 * side**2 / (photo.width * photo.height)
    all_of_it = share > 99.5
    draw_photo(left, photo, "the picture; all of it is seen" if all_of_it else f"the picture; {share:.0f} % is seen")
    corner = ((photo.width - side) / 2 - 0.5, (photo.height - side) / 2 - 0.5)
    for colour, style in () if all_of_it else (("black", "-"), ("white", "--")):  # seen on any ground
        frame = Rectangle(corner, side, side, fill=False, edgecolor=colour, linestyle=style, linewidth=2)
        frame.set_clip_on(False)
        left.add_patch(frame)
    low, high = prepared.min().item(), prepared.max().item()
    title = f"what it sees: {crop} x {crop} pixels,\nnumbers from {low:.1f} to {high:.1f}"
    draw_photo(right, as_seen(prepared, preprocessing), title)
    return f"A picture of {photo.width} x {photo.height} pixels; {share:.0f} % of it is seen, in {crop} x {crop}."


def tuning_figure(tuned: Tuned) -> Shown:
    """Draw loss and accuracy after every epoch of a fine-tuning."""
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    return figure, draw_tuning(figure.subplots(1, 2), tuned)


def evaluation_figure(evaluation: Evaluation) -> Shown:
    """Draw the confusion matrix, whose classes may have long names, and confidence against accuracy."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [short(name) for name in evaluation.classes]
    draw_confusion(left, evaluation.confusion, names)
    left.set_title("answers on the test photographs")
    if max(map(len, names)) > 3:
        left.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    for label in (*left.get_xticklabels(), *left.get_yticklabels()):
        label.set_fontfamily(families())
    sure = draw_reliability(right, evaluation.reliability, "Calibration")
    return figure, f"{describe_confusion(evaluation.confusion, evaluation.classes)} {sure}"


def mistakes_figure(model: nn.Module, photos: PhotoSource, evaluation: Evaluation) -> Shown:
    """Draw the surest mistakes, and below each the places that spoke for the answer, and for the right class.

    The places are those of Grad-CAM, bright where they count; each map has a brightness of its own.
    """
    wrong = evaluation.mistakes(MOST)
    if not len(wrong):
        figure, (ax,) = _row(1)
        draw_photo(ax, Image.new("RGB", (40, 4), "white"), "no mistake among the test photographs")
        return figure, "There is no mistake among the test photographs to be shown."
    x = photos.prepared(wrong)
    ways = {"the answer": evaluation.predictions[wrong], "the right class": evaluation.labels[wrong]}
    names = [short(name, 11) for name in evaluation.classes]
    shares = 100 * evaluation.logits[wrong].softmax(1).max(1).values
    figure = Figure(figsize=(max(1.25 * len(wrong), 2.5), 4.6), layout="constrained")
    axes = figure.subplots(3, len(wrong), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    captions = []
    for i, (said, right) in enumerate(zip(*ways.values(), strict=True)):
        captions.append(f"{names[said]}, {shares[i]:.0f} %\nis {names[right]}")
        draw_photo(axes[0, i], as_seen(x[i], photos.preprocessing), captions[-1])
    for row, (what, classes) in enumerate(ways.items(), 1):
        for i, places in enumerate(grad_cam(model, x, classes)):
            axes[row, i].imshow(as_seen(x[i], photos.preprocessing).convert("L"), cmap="gray")
            axes[row, i].imshow(places.numpy(), cmap="inferno", alpha=0.6)
        axes[row, 0].set_title(f"for {what}", fontsize=10, loc="left")
    listed = "; ".join(caption.replace("\n", ", ") for caption in captions)
    return figure, f"The {len(wrong)} surest mistakes, with the places that spoke for answer and right class: {listed}."


def _row(count: int) -> tuple[Figure, np.ndarray]:
    """Return a row of axes for photographs, in the size that they have where there are many."""
    figure = Figure(figsize=(max(1.1 * count, 3), 2.0), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]
