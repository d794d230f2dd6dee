"""The command's linear probe beside a plain script with torchvision's parts, and its memory for many photographs.

    TLCOURSE_REAL_DATA=FOLDER python benchmarks/photo_probe.py [ROUNDS]

Close other programs first. Script and command take turns, each in a process of its own, with the same photographs and
weights: seconds from start to end, of the processor, largest memory, accuracy on the test photographs. Then a probe is
trained on 2,000 and on 20,000 links to 200 photographs, at 64 pixels: but for the features, memory must not grow.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from tlcourse.lessons.nb12_your_own_images.experiment import NETWORK, real_data
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.pipeline import train_on_photos

WEIGHTS = "imagenet_weights/mobilenet_v2.pth"


def script() -> None:
    """What one would write without the course."""
    net = mobilenet_v2()
    net.load_state_dict(torch.load(real_data() / WEIGHTS, weights_only=True))
    net.classifier = torch.nn.Identity()
    (x, y), (x_test, y_test) = (features(net.eval(), real_data() / "groceries" / part) for part in ("train", "test"))
    head = LogisticRegression(max_iter=5000).fit(x, y)
    print(f"accuracy {100 * head.score(x_test, y_test):.1f}")


@torch.inference_mode()
def features(net: torch.nn.Module, folder: Path) -> list[torch.Tensor]:
    photos = ImageFolder(folder, MobileNet_V2_Weights.DEFAULT.transforms())
    pairs = [(net(x), y) for x, y in DataLoader(photos, 32, num_workers=2)]
    return [torch.cat(part) for part in zip(*pairs, strict=True)]


def many(count: int) -> None:
    """Train a probe on so many links to 200 photographs."""
    photos = sorted((real_data() / "groceries" / "train").glob("*/*"))[:200]
    classes = sorted({photo.parent.name for photo in photos})
    with tempfile.TemporaryDirectory() as folder:
        links = [Path(folder) / f"{number}.jpg" for number in range(count)]
        for number, link in enumerate(links):
            link.symlink_to(photos[number % len(photos)])
        labels = torch.tensor([classes.index(photos[number % len(photos)].parent.name) for number in range(count)])
        given = PhotoSet(tuple(links), labels, tuple(classes), torch.arange(count))
        print(
            train_on_photos(given, NETWORK, real_data() / WEIGHTS, side=64, probe_only=True, progress=False).evaluation
        )


def run(*words: str) -> str:
    """Run Python in a process of its own, and say how long it took, how large it was, and what it found."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    accuracy = re.search(r"accuracy ([\d.]+)", printed)
    seconds, work = time.perf_counter() - begin, usage.ru_utime + usage.ru_stime
    found = f"{accuracy[1]} % right" if accuracy and not status else f"failed with status {status}"
    return f"{seconds:6.1f} s, {work:6.1f} s of processor, {usage.ru_maxrss / 2**20:.2f} GiB, {found}"


def main(rounds: int) -> None:
    groceries = real_data() / "groceries"
    with tempfile.TemporaryDirectory() as out:
        command = ["-m", "tlcourse", "finetune", str(groceries / "train"), "--test", str(groceries / "test")]
        command += ["--weights", str(real_data() / WEIGHTS), "--out", f"{out}/model", "--probe-only", "--device", "cpu"]
        for _ in range(rounds):
            print("script ", run(__file__, "script"), flush=True)
            print("command", run(*command), flush=True)
    for count in (2_000, 20_000):
        print(f"{count:6,} links", run(__file__, "many", str(count)), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["script"]:
            script()
        case ["many", count]:
            many(int(count))
        case words:
            main(*map(int, words or ["3"]))
