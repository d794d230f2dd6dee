"""The judge, without a screen: every control to both ends and the middle, and formulas against slower ones."""

import threading

import ipywidgets
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import calibration_error, fit_temperature
from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.evaluation.metrics import confusion_matrix
from tlcourse.lessons.nb04_evaluation import duelling
from tlcourse.lessons.nb04_evaluation import lab as evaluation
from tlcourse.lessons.nb04_evaluation import lab_duels as duels
from tlcourse.lessons.nb04_evaluation import lab_figures as judge_pictures
from tlcourse.lessons.nb04_evaluation import lab_luck as judge_luck
from tlcourse.lessons.nb04_evaluation import lab_pages as judge_pages
from tlcourse.lessons.nb04_evaluation.experiment import answer_table, read_answers, three_piles
from tlcourse.notebook.controls import relabel
from tlcourse.notebook.display import as_image

NAMES = ("letters", "digits")


@pytest.fixture(scope="module")
def validation():
    return three_piles()[1]


@pytest.fixture(scope="module")
def scores(validation):
    draws = torch.Generator().manual_seed(0)
    told = torch.nn.functional.one_hot(validation.labels, 10)
    noise = torch.randn(2, len(validation), 10, generator=draws)
    return {"scratch": 3 * (noise[0] + told), "letters": 2 * (noise[1] + 2 * told)}


@pytest.fixture(scope="module")
def hits():
    draws = torch.Generator().manual_seed(1)
    shares = {"letters": 0.8, "digits": 0.9, "scratch": 0.5}
    return {name: torch.rand(20, 300, generator=draws) < share for name, share in shares.items()}


@pytest.fixture(scope="module")
def lab(scores, validation, hits):
    return evaluation.JudgeLab(scores, validation, hits)


@pytest.fixture(scope="module", autouse=True)
def quick_pictures():
    """Say what is drawn instead of drawing it, which takes most of the time; other tests look at pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tlcourse.notebook.handmade_lab.as_image", lambda figure, alt, quick: f'<img alt="{alt}">{drawn_on(figure)}'
        )
        yield


def drawn_on(figure):
    """Everything on a figure, in numbers and words."""
    said = []
    for ax in figure.axes:
        said += [ax.get_title(), ax.get_xlabel(), *(text.get_text() for text in ax.texts)]
        said += [line.get_xydata().tolist() for line in ax.lines]
        said += [patch.get_bbox().bounds for patch in ax.patches]
        said += [hash(image.get_array().tobytes()) for image in ax.images]
    return said


@pytest.fixture
def page(lab, request):
    """One page, by its title; all its controls are put back afterwards."""
    lab.look_at.value = request.param
    before = [(control, control.value) for control in lab.page.controls]
    yield lab.page
    with lab._adjust():
        for control, value in before:
            control.value = value
    lab._draw()


def on(title):
    return pytest.mark.parametrize("page", [title], indirect=True)


def places(control):
    """Both ends and the middle."""
    if isinstance(control, ipywidgets.IntSlider):
        return control.min, (control.min + control.max) // 2, control.max
    values = [option[1] if isinstance(option, tuple) else option for option in control.options]
    return (values[0], values[len(values) // 2], values[-1]) if len(values) > 2 else values


# what is computed


def test_a_cell_holds_its_images_the_surest_first(scores, validation):
    confidence, answers = scores["scratch"].softmax(1).max(1)
    counts = confusion_matrix(validation.labels, answers, 10)
    for row, column in ((9, 7), (3, 3), (0, 5)):
        behind = duels.compute_cell(scores["scratch"], validation, row, column)
        assert len(behind) == counts[row, column]
        assert (validation.labels[behind] == row).all()
        assert (answers[behind] == column).all()
        assert confidence[behind].tolist() == sorted(confidence[behind].tolist(), reverse=True)


def test_mistakes_are_ranked_by_how_often_they_happen():
    confusion = torch.tensor([[5, 2, 0], [0, 7, 0], [3, 0, 4]])
    assert duels.rank_mistakes(confusion) == [(2, 0), (0, 1)]
    assert duels.rank_mistakes(torch.eye(3, dtype=torch.int64)) == []


def test_the_duel_agrees_with_the_numbers_behind_it(hits):
    duel = duels.compute_duel(hits, NAMES, seeds=20, images=300, draw=1)
    difference = 100 * (hits["letters"].double().mean(1) - hits["digits"].double().mean(1))
    assert duel.over_seeds.mean == pytest.approx(difference.mean().item())
    assert sorted(duel.differences) == pytest.approx(sorted(difference.tolist()))
    per_image = 100 * (hits["letters"].double() - hits["digits"].double()).mean(0)
    expected = t_interval(per_image.tolist())
    assert (duel.over_images.low, duel.over_images.high) == pytest.approx((expected.low, expected.high))
    assert duel.accuracy[1] == pytest.approx(100 * hits["digits"].double().mean().item())
    assert duel.verdict == "digits is better"


def test_another_draw_is_another_experiment(hits):
    found = [duels.compute_duel(hits, NAMES, 2, 50, draw) for draw in range(1, 11)]
    assert any(duel.verdict.startswith("cannot tell") for duel in found)
    assert len({duel.over_seeds for duel in found}) == 10
    assert duels.compute_duel(hits, NAMES, 2, 50, 3) == found[2]
    assert all(len(duel.differences) == len(duel.clear) == 2 for duel in found)


@pytest.mark.parametrize(
    ("seeds", "images", "verdict"),
    [
        (Interval(2, 1, 3), Interval(2, 1, 3), "letters is better"),
        (Interval(-2, -3, -1), Interval(-2, -3, -1), "digits is better"),
        (Interval(2, -1, 5), Interval(2, 1, 3), "cannot tell: other seeds could turn it"),
        (Interval(2, 1, 3), Interval(2, -1, 5), "cannot tell: other images could turn it"),
        (Interval(2, -1, 5), Interval(2, 0, 4), "cannot tell: other seeds and images could turn it"),
    ],
)
def test_verdicts(seeds, images, verdict):
    assert duels.give_verdict(NAMES, seeds, images) == verdict
    assert "the same" in duels.give_verdict(("letters", "letters"), seeds, images)


def test_many_experiments_agree_with_t_intervals_one_by_one():
    draws = torch.Generator().manual_seed(0)
    chosen = torch.rand(4, 5, generator=draws).double()  # four experiments with five seeds
    tested = torch.rand(4, 30, generator=draws).double()
    tested += (chosen.mean(1) - tested.mean(1))[:, None]  # both ways to the same mean
    repeats = duels._repeats(chosen, tested.square().mean(1), 30)
    for i in range(4):
        for values, reach in ((chosen[i], repeats.by_seeds[i]), (tested[i], repeats.by_images[i])):
            expected = t_interval((100 * values).tolist())
            assert repeats.mean[i].item() == pytest.approx(expected.mean)
            assert reach.item() == pytest.approx(expected.high - expected.mean)


def test_many_experiments_find_what_is_there_and_nothing_else():
    draws = torch.Generator().manual_seed(3)
    shift = torch.rand(20, 300, generator=draws) < 0.3
    better = duels.compute_grid(shift.float(), (2, 10), (50, 300))
    says_a, opens, says_b = better[10, 300].verdicts()
    assert says_a > 95 > 5 > says_b
    assert says_a + opens + says_b == pytest.approx(100)
    assert better[10, 300].mean.mean().item() == pytest.approx(100 * shift.double().mean().item(), abs=0.5)
    same = torch.rand(20, 300, generator=draws) - 0.5
    nothing = duels.compute_grid(same - same.mean(), (10,), (300,))[10, 300].verdicts()
    assert nothing[0] + nothing[2] < 8  # both intervals promise at most 5


def test_less_evidence_makes_wider_intervals(hits):
    grid = duels.compute_grid(hits["letters"].float(), (2, 5, 20), (25, 100))
    assert grid[2, 100].widths()[0] > 2 * grid[5, 100].widths()[0] > 4 * grid[20, 100].widths()[0] > 0
    assert grid[20, 25].widths()[1] == pytest.approx(2 * grid[20, 100].widths()[1], rel=0.1)  # one over the root


# the challengers that came with the course


def test_challengers_met_the_same_images_as_the_rivals():
    labels = load("handwritten-photo", split="test").labels
    came = duelling.challenger_hits(labels)
    assert list(came) == list(duelling.CHALLENGERS)
    assert all(hits.shape == (20, len(labels)) for hits in came.values())
    accuracy = {name: hits.double().mean().item() for name, hits in came.items()}
    assert accuracy["letters probe"] > accuracy["scratch"] > 0.3


def test_a_challenger_is_trained_by_the_recipe(monkeypatch):
    asked = []

    def trial(*which, **options):
        asked.append((which, options["source"]))
        return type("Trial", (), {"accuracy": 50.0}), None

    monkeypatch.setattr(duelling, "run_trial", trial)
    monkeypatch.setattr(duelling, "predict", lambda *_: torch.eye(10)[[3, 1]])
    row = duelling.challenge("digits probe", 4, None, None)
    assert (row.network, row.seed, row.accuracy, row.answers) == ("digits probe", 4, 50.0, "31")
    assert asked == [(("linear probe", 5, 4), "digits")]


@pytest.fixture(scope="module")
def shipped():
    labels = load("handwritten-photo", split="test").labels
    rivals = {name: answer_table(read_answers(), name) == labels for name in NAMES}
    return {**rivals, **duelling.challenger_hits(labels)}


def verdicts(shipped, names, seeds, images=891):
    return {duels.compute_duel(shipped, names, seeds, images, draw).verdict.split(":")[0] for draw in range(1, 21)}


def test_what_the_notebook_tells_to_try_is_so(shipped):
    assert verdicts(shipped, NAMES, 3) == verdicts(shipped, NAMES, 20) == {"cannot tell"}
    assert verdicts(shipped, ("letters probe", "digits probe"), 5) == {"digits probe is better"}
    assert verdicts(shipped, ("digits", "digits probe"), 3, 100) == {"cannot tell", "digits is better"}
    difference = shipped["letters"].float() - shipped["digits"].float()
    grid = duels.compute_grid(difference, *judge_luck.sizes_of(shipped))
    assert grid[5, 891].verdicts()[2] < 15 < 35 < grid[20, 891].verdicts()[2] < 55
    assert grid[20, 50].widths()[0] < grid[20, 50].widths()[1]
    assert grid[5, 891].widths()[0] > 2 * grid[5, 891].widths()[1]


# every control


def written_in(matrix):
    return tuple(button.description for row in matrix.cells for button in row)


@pytest.mark.parametrize("title", ["mistakes", "temperature", "interval width", "is A better than B?"])
def test_every_control_at_both_ends_and_in_the_middle_changes_the_picture(lab, title):
    lab.look_at.value = title
    assert lab.stack.selected_index == lab.look_at.index
    for control in lab.page.controls:
        before, seen = control.value, set()
        for value in places(control):
            control.value = value
            assert '<img alt="' in lab.picture.value
            seen.add((lab.picture.value, *written_in(lab.pages["mistakes"].matrix)))
        assert len(seen) == len(places(control)), control.description
        control.value = before
    assert "stopped" not in lab.text.value


def test_every_page_becomes_a_picture(lab, monkeypatch):
    monkeypatch.setattr("tlcourse.notebook.handmade_lab.as_image", as_image)
    pictures = set()
    for title in lab.pages:
        lab.look_at.value = title
        lab._draw()
        assert 'src="data:image/png;base64,' in lab.picture.value
        pictures.add(lab.picture.value)
    assert len(pictures) == 4


@on("mistakes")
def test_mistakes_say_what_is_in_the_cell(page, lab, scores, validation):
    for name, row, column in (("scratch", 0, 0), ("scratch", 5, 9), ("letters", 9, 5)):
        page.names.value, page.true.value, page.said.value = name, row, column
        count = len(duels.compute_cell(scores[name], validation, row, column))
        assert f"{count} of {int((validation.labels == row).sum())} images of a {row} " in lab.text.value
        assert f"were answered {column}" in lab.text.value
        times = page.said.options[column][0]
        assert times.startswith(f"{column}: {judge_pages._times(count)}")
        assert ("✓" in times) == (row == column)
        assert page.true.options[row][0].startswith(f"{row}: 26 images") or count


@on("mistakes")
def test_next_mistake_walks_from_the_most_frequent_to_the_rarest_and_begins_again(page, lab, monkeypatch):
    page.names.value = "scratch"
    ranked = duels.rank_mistakes(page.confusions["scratch"])
    page.true.value, page.said.value = 4, 4
    drawn = []
    monkeypatch.setattr(lab, "_draw", lambda: drawn.append((page.true.value, page.said.value)))
    for _ in range(len(ranked) + 1):
        page.further.click()
    assert drawn == [*ranked, ranked[0]]  # and drawn once each


def test_without_mistakes_there_is_no_next(validation):
    told = torch.nn.functional.one_hot(validation.labels, 10).float()
    page = judge_pages.MistakesPage({"all right": told}, validation)
    page.adjust()
    assert page.further.disabled
    assert judge_pages.TemperaturePage({"all right": told}, validation).image.value == 1


@on("mistakes")
def test_shares_go_along_the_row_or_the_column(page):
    page.counted.value = "% of row (recall)"
    assert (page._cells().sum(1) - 100).abs().max() <= 5  # rounded
    page.counted.value = "% of column (precision)"
    assert (page._cells().sum(0) - 100).abs().max() <= 5
    page.counted.value = "images"
    assert page._cells().sum() == 260


@on("mistakes")
def test_the_cell_that_is_framed_is_the_one_whose_images_are_shown(page, scores, validation):
    page.names.value, page.true.value, page.said.value = "scratch", 3, 3
    framed = [button for row in page.matrix.cells for button in row if button.layout is page.matrix._framed]
    assert framed == [page.matrix.cells[3][3]]
    (images,) = page.look()[0].axes
    behind = duels.compute_cell(scores["scratch"], validation, 3, 3)
    assert (images.images[0].get_array()[:32, :32] == validation.images[behind[0]].permute(1, 2, 0).numpy()).all()


def test_an_empty_cell_says_so(ax, validation):
    judge_pictures.draw_behind(ax, validation, torch.zeros(0, dtype=torch.int64), [], right=False)
    assert "no image in this cell" in [text.get_text() for text in ax.texts]


@on("temperature")
def test_the_temperature_changes_sureness_and_no_answer(page, lab, scores, validation):
    page.names.value = "scratch"
    errors = page.errors()
    assert errors[1.0] == pytest.approx(calibration_error(scores["scratch"], validation.labels))
    best = fit_temperature(scores["scratch"], validation.labels)
    assert min(errors.values()) < errors[1.0]
    said = set()
    for heat in places(page.temperature):
        page.temperature.value = heat
        assert f"calibration error {errors[heat]:.1f} points" in lab.text.value
        assert f"temperature {best:.2f}" in lab.text.value
        said.add(lab.text.value.split("is answered ")[1][0])
    assert len(said) == 1


@on("temperature")
def test_it_begins_with_the_surest_mistake(page, lab):
    assert "wrong: it is a" in lab.text.value
    right = page.scores["scratch"].argmax(1) == page.data.labels
    assert right[page.surest["scratch"]][: page.image.value - 1].all()


@on("interval width")
def test_widths_name_the_larger_luck(page, lab):
    page.seeds.value, page.images.value = 2, 300
    assert "more seeds would help most" in lab.text.value
    page.seeds.value, page.images.value = 20, 25
    assert "more images would help most" in lab.text.value
    page.minus.value = page.of.value
    assert "0 whatever is drawn" in lab.text.value
    page.minus.value = "digits"
    assert "letters minus digits" in lab.text.value


@on("is A better than B?")
def test_the_duel_says_who_wins_and_how_often_that_would_be_seen(page, lab):
    page.seeds.value, page.images.value, page.b.value = 20, 300, "scratch"
    assert "Verdict: letters is better" in lab.text.value
    assert "100 would say letters, 0 would say scratch" in lab.text.value
    assert page.draw.disabled  # with everything there is one experiment only
    page.images.value = 25
    assert not page.draw.disabled
    page.b.value = "letters"
    assert "A and B are the same" in lab.text.value
    page.seeds.value = 2
    assert "2 seeds, 25 images" in lab.text.value


@on("is A better than B?")
def test_a_and_b_change_places_with_their_differences(page):
    one, _ = page.compute()
    page.a.value, page.b.value = "digits", "letters"
    other, _ = page.compute()
    assert other.differences == pytest.approx([-d for d in one.differences])


# the widget


def test_sizes_end_with_all_there_is(hits):
    assert judge_luck.sizes_of(hits) == ([2, 3, 4, 5, 7, 10, 15, 20], [25, 50, 100, 200, 300])


def test_new_texts_keep_the_choice():
    chooser = ipywidgets.Dropdown(options=[("a", 0), ("b", 1)], value=1)
    relabel(chooser, ["c", "d"])
    assert (chooser.value, chooser.label) == (1, "d")


def test_an_error_is_shown_and_raised(lab, monkeypatch):
    lab.look_at.value = "is A better than B?"
    monkeypatch.setattr(judge_pictures, "draw_verdicts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lab.page.seeds.value = 7
    assert "division by zero" in lab.text.value


def test_every_control_has_a_name_and_a_tip(lab):
    for page in lab.pages.values():
        shown = [control for row in page.rows for control in row]
        assert set(page.controls) <= set(shown)
        assert all(control.description and control.tooltip for control in shown)


def test_the_judge_brings_challengers_and_closes_without_a_trace(scores, validation, monkeypatch):
    rivals = {name: torch.ones(20, 891, dtype=torch.bool) for name in NAMES}
    made = []
    real = evaluation.JudgeLab
    monkeypatch.setattr(evaluation, "JudgeLab", lambda *arguments: made.append(real(*arguments)) or made[0])
    threads = threading.active_count()
    assert isinstance(evaluation.judge(scores, validation, rivals), ipywidgets.Widget)
    duel = made[0].pages["is A better than B?"]
    assert [*duel.hits] == [*NAMES, *duelling.CHALLENGERS]
    made[0].close()
    assert duel.seeds.comm is None
    assert made[0].widget.comm is None
    assert threading.active_count() == threads


@on("mistakes")
def test_a_click_on_a_cell_shows_its_images_and_moves_both_lists(page, lab, monkeypatch):
    page.names.value, page.true.value, page.said.value = "scratch", 0, 0
    drawn, draw = [], lab._draw
    monkeypatch.setattr(lab, "_draw", lambda: (drawn.append(1), draw()))
    page.matrix.cells[5][9].click()
    assert (page.true.value, page.said.value) == (5, 9)
    assert "were answered 9" in lab.text.value
    assert page.matrix.cells[5][9].layout is page.matrix._framed
    assert len(drawn) == 1


@on("mistakes")
def test_the_cells_hold_the_confusion_matrix_and_mistakes_are_shaded_by_how_often(page):
    page.names.value, page.counted.value = "scratch", "images"
    confusion = page.confusions["scratch"]
    for row, cells in enumerate(page.matrix.cells):
        for column, button in enumerate(cells):
            count = int(confusion[row, column])
            assert button.description == (str(count) if count else "")
            shade = page.matrix._shades.index(button.style)
            assert (shade > 0) == (count > 0 and row != column)
    worst = duels.rank_mistakes(confusion)[0]
    assert page.matrix.cells[worst[0]][worst[1]].style is page.matrix._shades[-1]


def test_the_matrix_is_seen_on_its_own_page_only(lab):
    for title in lab.pages:
        lab.look_at.value = title
        assert (lab.pages["mistakes"].matrix.widget.layout.display == "none") == (title != "mistakes")
