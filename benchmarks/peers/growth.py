"""How the course's cost grows with images, classes and photographs: time should be linear, a folder's memory flat.

Each size is a process of its own. Photographs are links to 200 of them, at 64 pixels.
"""

import csv
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.measure import measure, with_the_course
from benchmarks.peers.workloads import GROWTH, WORK, real_data

IMAGES, CLASSES, PHOTOS = "images, one epoch", "classes, one epoch of 5,000 images", "photographs, a probe"
SIZES = {IMAGES: (1_000, 5_000, 20_000, 50_000), CLASSES: (2, 10, 100, 1_000), PHOTOS: (500, 5_000, 50_000)}
BATCH, DIFFERENT, SIDE = 128, 200, 64


def measure_growth(device: str) -> None:
    """Measure all sizes of which there is no row yet."""
    WORK.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(GROWTH.open(encoding="utf-8"))) if GROWTH.exists() else []
    done = {(row["what"], int(row["size"])) for row in rows}
    for what, sizes in SIZES.items():
        for size in sizes:
            if (what, size) in done or (what == PHOTOS and real_data() is None):
                continue
            result = WORK / "result.json"
            words = with_the_course("growth", what, str(size), str(result))
            cost = measure(words, device, WORK / "log.txt")
            seconds = json.loads(result.read_text(encoding="utf-8"))
            rows.append({"what": what, "size": size, "seconds": f"{seconds:.3f}", "memory": f"{cost['memory']:.0f}"})
            print(f"growth  {what}: {size:,}  {seconds:.2f} s, {cost['memory']:.0f} MiB", flush=True)
            with GROWTH.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)


def images(count: int) -> Callable[[], object]:
    """Prepare one epoch of so many images."""
    import tlcourse as tl

    data, model = tl.load("printed-photo", "letters", count=count), tl.TinyResNet(35)
    train, recipe = tl.train, tl.Recipe(epochs=1, steps=None, batch=BATCH)
    return lambda: train(model, data, recipe)


def classes(count: int) -> Callable[[], object]:
    """Prepare one epoch of images whose labels say nothing, for so many classes."""
    import torch

    import tlcourse as tl

    drawn = tl.load("printed-photo", "letters", count=5_000)
    data = tl.ImageSet(drawn.images, torch.arange(len(drawn)) % count, tuple(map(str, range(count))))
    model, train, recipe = tl.TinyResNet(count), tl.train, tl.Recipe(epochs=1, steps=None, batch=BATCH)
    return lambda: train(model, data, recipe)


def photographs(count: int, folder: Path) -> Callable[[], object]:
    """Prepare a probe on so many links, a fifth of which are for the test."""
    import torch

    from tlcourse.photos.photoset import PhotoSet
    from tlcourse.photos.pipeline import train_on_photos

    photos = sorted((real_data() / "groceries" / "train").glob("*/*"))[:DIFFERENT]
    names = sorted({photo.parent.name for photo in photos})
    links = [folder / f"{number}.jpg" for number in range(count)]
    for number, link in enumerate(links):
        link.symlink_to(photos[number % len(photos)])
    labels = torch.tensor([names.index(photos[number % len(photos)].parent.name) for number in range(count)])
    given = PhotoSet(tuple(links), labels, tuple(names), torch.arange(count))
    weights = real_data() / "imagenet_weights" / "mobilenet_v2.pth"
    return lambda: train_on_photos(given, "mobilenet_v2", weights, side=SIDE, probe_only=True, progress=False)


def main(what: str, size: str, file: str) -> None:
    """Do the work of one size, and write its seconds; the device is the one in TLCOURSE_DEVICE."""
    with tempfile.TemporaryDirectory() as folder:
        if what == PHOTOS:
            work = photographs(int(size), Path(folder))
        else:
            work = {IMAGES: images, CLASSES: classes}[what](int(size))
        begin = time.perf_counter()
        work()
        seconds = time.perf_counter() - begin
    Path(file).write_text(json.dumps(seconds), encoding="utf-8")
