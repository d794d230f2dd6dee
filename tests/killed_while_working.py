"""Works, and is killed at random moments; says what lay on disk after each.

    python tests/killed_while_working.py FOLDER MOMENTS [WAY ...]

A process that was killed by signal 9 cleans nothing up. After it, a training goes on from its checkpoint to the same
bits as one that was never stopped, a classifier is the older one or the newer one, whole, a download is whole or not
there, and grading goes on to the marks of a run that was never stopped. The next write deletes what was left
half-written. Ends with status 0 then. The ways are those of `WAYS`; without any, all.
"""

import csv
import http.server
import os
import random
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import torch

from tlcourse import cli
from tlcourse.data.downloads import download
from tlcourse.lessons.registry import find
from tlcourse.photos.classifier import load_classifier, save_classifier
from tlcourse.photos.networks import COURSE_PREPROCESSING, photo_network
from tlcourse.storage import sha256
from tlcourse.teaching import grade as grade_command
from tlcourse.teaching.student_edition import cells_of
from tlcourse.teaching.unfinished import Unfinished
from tlcourse.training import pretrain
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.loop import fit

X, Y = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
DATA = np.random.default_rng(0).bytes(2_000_000)
STUDENTS = 3


def killed(work, seconds, computing=False):
    """Do some work in a process of its own, and kill that after so many seconds; say whether it was still at it.

    Seconds of `computing` do not depend on what else the machine does; the signal at their end, which nobody hears,
    kills as signal 9 does.
    """
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if computing:
            signal.setitimer(signal.ITIMER_PROF, seconds)
        work()
        os._exit(0)
    if not computing:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def timed(work, clock=time.perf_counter):
    begin = clock()
    return work(), clock() - begin


def goes_on(folder, draws, work, checkpoint):
    """Kill `work(folder)`, which returns weights, and let it go on: it ends with the weights of one that was not."""
    work(folder / "first")  # which also imports what a training needs
    whole, seconds = timed(lambda: work(folder / "whole"), time.process_time)
    for number, draw in enumerate(draws):
        here = folder / str(number)
        stopped = killed(lambda here=here: work(here), draw * seconds, computing=True)
        kept = (here / checkpoint).exists()
        again = work(here)
        assert all(torch.equal(whole[name], again[name]) for name in whole), f"another training at {draw}"
        yield stopped, f"went on from a checkpoint: {kept}"


def fine_tuning(folder, draws):
    def work(here):
        here.mkdir(parents=True, exist_ok=True)
        model = photo_network("small_cnn", 3, None).model
        fit(model, [(X, Y)], epochs=3, checkpoint=here / "checkpoint.pth", device="cpu", progress=False)
        return copy_weights(model)

    yield from goes_on(folder, draws, work, "checkpoint.pth")


def pretraining(folder, draws):
    recipe = replace(pretrain.RECIPES["small_cnn"], epochs=3, steps=2, batch=8)
    pretrain.HELD_OUT = 64  # they are asked about when nothing is written any more

    def work(here):
        here.mkdir(parents=True, exist_ok=True)
        return copy_weights(pretrain.pretrain("small_cnn-letters", recipe, here, images=64, progress=False)[0])

    yield from goes_on(folder, draws, work, "small_cnn-letters.training")


def saving(folder, draws):
    def save(temperature):
        model = photo_network("small_cnn", 3, None).model
        options = {"backbone": "small_cnn", "classes": "abc", "preprocessing": COURSE_PREPROCESSING}
        save_classifier(folder / "model", model, temperature=temperature, **options)

    def save_often():
        for temperature in range(1, 1000):
            save(float(temperature))

    _, seconds = timed(lambda: save(0.5))
    for draw in draws:
        stopped = killed(save_often, 8 * draw * seconds)
        found = load_classifier(folder / "model").temperature
        assert found in (0.5, *map(float, range(1, 1000)))
        save(0.5)
        yield stopped, f"the newer one was there: {found != 0.5}"


class Slowly(http.server.BaseHTTPRequestHandler):
    """Sends `DATA` in pieces."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        for start in range(0, len(DATA), 100_000):
            self.wfile.write(DATA[start : start + 100_000])
            time.sleep(0.01)


def downloading(folder, draws):
    os.environ["no_proxy"] = "*"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slowly)
    server.handle_error = lambda *_: None  # whoever was killed hangs up
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, path = f"http://127.0.0.1:{server.server_port}/weights.bin", folder / "weights.bin"

    def fetch():
        download(url, path, sha256(DATA), progress=False)

    _, seconds = timed(fetch)
    for draw in draws:
        path.unlink()
        stopped = killed(fetch, 1.2 * draw * seconds)
        there = path.exists()
        assert not there or path.read_bytes() == DATA
        fetch()
        assert path.read_bytes() == DATA
        yield stopped, f"it was there: {there}"
    server.shutdown()


def grading(folder, draws):
    """One class after the other: a run that was killed is started again until all is marked."""
    grade_command.fair_seed = lambda judges, numbers, seed, trusted: seed  # takes long, and writes nothing
    for student in range(STUDENTS):
        cells = cells_of("00")
        for name in ("00.q2", "00.q3"):
            item = find(name)
            cells[f"{name.replace('.', '-')}-answer"].source = (
                item.reference if student % 2 else item.mistakes[0].answer
            )
        place = folder / "class" / f"student{student}" / "00_start_here.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=list(cells.values())), place)

    def grade(out):
        words = ["--out", str(out), "--seed", "1", "--jobs", "1", "--trusted"]
        assert cli.main(["grade", str(folder / "class"), *words]) == 0

    def marks(out):
        return [row[:-1] for row in csv.reader(out.read_text(encoding="utf-8-sig").splitlines())]

    out = folder / "whole.csv"
    _, seconds = timed(lambda: grade(out))
    right, out = marks(out), folder / "marks.csv"
    assert len(right) == STUDENTS + 1
    for draw in draws:
        stopped = killed(lambda: grade(out), draw * seconds)
        assert not out.exists() or marks(out) == right
        kept = len(Unfinished(out, "none")._marked)
        if out.exists() and not kept:
            out.unlink()
        yield stopped, f"marked until then: {kept or 'all or none'}"
    grade(out)
    assert marks(out) == right


WAYS = {way.__name__: way for way in (fine_tuning, saving, downloading, pretraining, grading)}


def main(folder, moments, ways):
    torch.set_num_threads(1)
    for way in ways or WAYS:
        here, counts = folder / way, {}
        here.mkdir(parents=True)
        draws = [random.Random(f"{way} {moment}").random() for moment in range(moments)]
        stops = 0
        for stopped, found in WAYS[way](here, draws):
            stops += stopped
            counts[found] = counts.get(found, 0) + 1
        left = [path for path in here.rglob("*") if path.name.endswith((".tmp", ".partial", ".before"))]
        assert not left, f"the next write deletes what a killed one left, but there is {left}"
        print(f"{way}: {stops} of {moments} were stopped, and all was whole; {counts}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
