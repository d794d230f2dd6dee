"""The benchmarks' arithmetic, and that everybody who shall take part does; nothing is timed."""

import ast
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import tlcourse as tl
from benchmarks.peers import figure, measure, table
from benchmarks.peers.network import network
from benchmarks.peers.workloads import CONTESTANTS, COURSE, RESULTS, ROOT, WORKLOADS

EVERYBODY = {COURSE, "tutorial", "tutorial, 2 workers", "expert", "fastai", "Lightning", "timm"}


def rows(seconds, workload="few", accuracy=80.0):
    """Rows as `measure` writes them, from the seconds of every round by contestant."""
    return pd.DataFrame(
        {"workload": workload, "contestant": name, "seed": seed, "device": "cpu", "work": value, "whole": value + 3}
        | {"processor": 2 * value, "memory": 500.0, "accuracy": accuracy + seed, "to_target": value / 2}
        for name, values in seconds.items()
        for seed, value in enumerate(values)
    )


def line(found, contestant):
    return found[found["contestant"] == contestant].iloc[0]


def test_a_ratio_is_the_geometric_mean_with_the_t_interval_of_logarithms():
    theirs, ours = [3.0, 4.5, 4.0], [1.0, 2.0, 1.5]
    logs = np.log(np.divide(theirs, ours))
    low, high = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    found = table.ratio(theirs, ours)
    assert np.allclose([found.mean, found.low, found.high], [(3 * 2.25 * 8 / 3) ** (1 / 3), *np.exp([low, high])])


def test_twice_and_half_as_long_are_as_long():
    assert table.ratio([2.0, 1.0], [1.0, 2.0]).mean == pytest.approx(1)


def test_the_same_ratio_in_every_round_has_no_width():
    found = table.ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])
    assert [found.mean, found.low, found.high] == pytest.approx([2, 2, 2])


def test_one_round_has_no_interval():
    found = table.ratio([3.0], [1.5])
    assert found.mean == pytest.approx(2)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_summary_pairs_rounds_and_takes_medians():
    found = table.summary(rows({COURSE: [1.0, 2.0, 4.0], "expert": [2.0, 4.0]}))
    expert = line(found, "expert")
    assert expert["ratio_mean"] == pytest.approx(2)  # of the two rounds that both have
    assert expert["seconds"] == 3
    assert expert["images_a_second"] == pytest.approx(5_000 / 3)
    assert line(found, COURSE)["seconds"] == 2
    assert line(found, COURSE)["accuracy_mean"] == pytest.approx(81)


def test_whole_processes_are_compared_where_the_workload_says_so():
    found = table.summary(rows({COURSE: [1.0, 1.0], "fastai": [5.0, 5.0]}, "probe"))
    assert line(found, "fastai")["ratio_mean"] == pytest.approx(2)  # 5 + 3 against 1 + 3


def test_without_the_course_there_is_no_ratio_and_a_dash():
    found = table.summary(rows({"expert": [2.0, 4.0]}))
    assert math.isnan(line(found, "expert")["ratio_mean"])
    assert "| expert | 3.00 | – |" in table.markdown(found)


def test_the_page_says_ratio_interval_target_and_machine():
    page = table.page(rows({COURSE: [1.0, 2.0], "timm": [2.0, 5.0]}), "a picture")
    found = table.ratio([2.0, 5.0], [1.0, 2.0])
    assert f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]" in page
    assert "to 80 %: course 0.75 s; timm 1.75 s" in page
    assert f"torch {torch.__version__.split('+')[0]}" in page
    assert "cores of" in page


def test_one_table_holds_all_works_and_names_each_once():
    found = table.summary(
        pd.concat([rows({COURSE: [1.0, 2.0], "timm": [2.0, 4.0]}), rows({COURSE: [1.0, 2.0]}, "answers")])
    )
    lines = table.markdown(found).splitlines()
    assert len(lines) == 2 + 3
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [
        WORKLOADS["few"].title,
        "",
        WORKLOADS["answers"].title,
    ]


def test_the_picture_says_ratios_and_growth_in_words():
    sizes = {"what": "images, one epoch", "size": [1_000, 50_000], "seconds": [1.0, 40.0], "memory": [500.0, 700.0]}
    picture, words = figure.draw(rows({COURSE: [1.0, 2.0], "timm": [2.0, 4.0]}), pd.DataFrame(sizes))
    assert f"{WORKLOADS['few'].title}: timm 2.0" in words
    assert "1.0 s and 500 MiB for 1,000, 40.0 s and 700 MiB for 50,000" in words
    assert all(ax.get_xlabel() for ax in picture.axes)
    plt.close(picture)


@pytest.mark.parametrize("workload", ["few", "scratch"])
def test_everybody_trains(workload):
    assert set(WORKLOADS[workload].contestants) == EVERYBODY == set(CONTESTANTS)


def test_every_contestant_has_what_it_is_asked_for():
    """Read, not imported: not everybody has the packages of the extra `bench`."""
    for name, workload in WORKLOADS.items():
        for contestant in workload.contestants:
            module = ROOT / "benchmarks" / "peers" / f"{CONTESTANTS[contestant].module}.py"
            defined = [n.name for n in ast.parse(module.read_text()).body if isinstance(n, ast.FunctionDef)]
            assert workload.does in defined, f"{contestant} has no {workload.does} for {name}"


def test_no_peer_imports_the_course():
    """It would change settings of PyTorch for them."""
    for contestant in CONTESTANTS.values():
        module = ROOT / "benchmarks" / "peers" / f"{contestant.module}.py"
        if contestant.module != COURSE:
            assert "tlcourse" not in module.read_text().replace("`tlcourse", "")


def test_the_network_of_the_peers_is_that_of_the_course():
    with tl.seeded("network"):
        ours = tl.TinyResNet(35).eval()
    theirs = network(35, ours.state_dict()).eval()
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), ours(x))


def test_contestants_take_turns_and_every_round_begins_with_another():
    plan = list(measure.jobs(["few", "sweep"], [COURSE, "expert"], 3, "cpu"))
    assert [job.seed for job in plan] == sorted(job.seed for job in plan)
    few = [job.contestant for job in plan if job.workload == "few"]
    assert few == [COURSE, "expert", "expert", COURSE, COURSE, "expert"]


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "WORK", tmp_path)
    monkeypatch.setattr(measure, "ROWS", tmp_path / "rounds.csv")
    monkeypatch.setattr(measure, "prepare", lambda workloads, rounds: None)
    asked = []

    def run(job):
        asked.append(job)
        if len(asked) == 2:
            raise OSError("killed")
        some = {"workload": job.workload, "contestant": job.contestant, "seed": job.seed, "device": job.device}
        return some | {"work": 1.0, "whole": 2.0, "processor": 1.0, "memory": 1.0, "accuracy": 50.0, "to_target": None}

    monkeypatch.setattr(measure, "run", run)
    assert measure.measure_all(["few"], [COURSE, "expert"], 1, "cpu") == 1
    assert measure.measure_all(["few"], [COURSE, "expert"], 1, "cpu") == 0
    assert [job.contestant for job in asked] == [COURSE, "expert", "expert"]
    assert measure.measure_all(["few"], [COURSE, "expert"], 1, "cpu") == 0
    assert len(asked) == 3


def test_the_readme_shows_the_picture_with_the_ratios_that_were_measured():
    rows, growth = (pd.read_csv(RESULTS / name) for name in ("speed.csv", "growth.csv"))
    image = f"![{figure.in_words(table.summary(rows), growth)}]"
    assert f"{image}(speed.png)" in (RESULTS / "speed.md").read_text(encoding="utf-8")
    assert f"{image}(benchmarks/results/speed.png)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert rows.groupby("workload")["seed"].nunique().min() >= 5
