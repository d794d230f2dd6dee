"""Every notebook in a real JupyterLab in a real browser: run all, drive its lab by keyboard, look at the console.

They take minutes and the system's Chromium (`TLCOURSE_CHROMIUM` names another one), so they run when asked for:
`TLCOURSE_BROWSER=required python -m pytest tests/notebooks/test_browser.py`. Screenshots are kept in `screenshots/`.
"""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from jupyter_in_browser import FLAGS, NotebookPage, chromium, jupyterlab
from test_running_notebooks import (
    test_every_picture_it_shows_has_a_text,  # noqa: F401
    test_it_is_modest_with_memory,  # noqa: F401
    test_it_runs_with_the_network_unplugged,  # noqa: F401
    test_it_says_nothing_on_stderr,  # noqa: F401
    with_questions,
)

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SCREENSHOTS = ROOT / "screenshots"
# favicons and source maps that a browser asks for by itself, and that JupyterLab does not have
HARMLESS = ("favicon", "source map", ".map")


@pytest.fixture(scope="session")
def browser():
    if os.environ.get("TLCOURSE_BROWSER") != "required":
        pytest.skip("the browser tests were not asked for: set TLCOURSE_BROWSER=required")
    found = chromium()
    if found is None:
        pytest.fail("no Chromium on this machine: install chromium, or name one in TLCOURSE_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chosen = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chosen
        chosen.close()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory, own_cache, offline):
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    for path in NOTEBOOKS:
        nbformat.write(with_questions(path), folder / "notebooks" / path.name)
    own = {"TLCOURSE_PROGRESS": str(folder / "progress.json")}
    with jupyterlab(folder / "notebooks", folder / "settings", os.environ | offline | own) as (address, token):
        yield address, token, folder / "notebooks"


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request, browser, lab_server):
    """A notebook after Run All Cells."""
    address, token, folder = lab_server
    page = NotebookPage(browser, address, token, request.param.name)
    page.name = request.param.stem
    page.errors = page.run_all()
    page.save()
    page.cells = [cell for cell in nbformat.read(folder / request.param.name, 4).cells if cell.cell_type == "code"]
    yield page
    page.close()


@pytest.fixture
def executed(notebook):
    """What the tests of running notebooks look at."""
    return notebook.cells


def keep(page, what, lab=None):
    """Keep a picture of the page, and one of the lab alone for `tools/keep_lab_pictures.py`."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.page.screenshot(path=SCREENSHOTS / f"{page.name}_{what}.png")
    if lab is not None:
        lab.screenshot(path=SCREENSHOTS / f"{page.name}_lab.png")


def test_it_runs_from_top_to_bottom(notebook):
    keep(notebook, "page", notebook.lab())
    assert notebook.errors == []


def state(page):
    """All that the lab says and shows."""
    return page.lab().inner_text(), page.lab().locator("img").evaluate_all("all => all.map(one => one.src)")


def settled(page, before, seconds=20):
    """Wait for the lab to say or show something else, and return that."""
    for _ in range(int(seconds * 20)):
        now = state(page)
        if now != before:
            return now
        page.page.wait_for_timeout(50)
    return before


def still(page, seconds=20):
    """Wait until the lab has said and shown the same for half a second."""
    seen = None
    for _ in range(2 * seconds):
        seen, before = state(page), seen
        if seen == before:
            return
        page.page.wait_for_timeout(500)
    pytest.fail("the lab never came to rest")


def test_every_slider_answers_to_the_keyboard(notebook):
    handles = notebook.lab().locator(".noUi-handle:visible")
    if not handles.count():  # notebook 04's first lab has none
        notebook.lab().get_by_role("button", name="temperature").click()
        handles.first.wait_for()
    for number in range(handles.count()):
        handle = handles.nth(number)
        if handle.get_attribute("tabindex") is None or handle.locator("xpath=ancestor::*[@disabled]").count():
            continue
        before = state(notebook)
        handle.focus()
        handle.press("ArrowRight")
        after = settled(notebook, before, 5)
        if after == before:  # it stood at its end
            handle.press("ArrowLeft")
            after = settled(notebook, before)
        assert after != before, f"slider {number}"


def test_every_list_and_button_row_changes_what_is_seen(notebook):
    for number in range(notebook.lab().locator("select:visible:enabled").count()):
        choice = notebook.lab().locator("select:visible:enabled").nth(number)
        before = state(notebook)
        last = choice.evaluate("one => one.selectedIndex === one.length - 1")
        choice.focus()
        for key in ("Space", "ArrowUp" if last else "ArrowDown", "Enter"):  # a closed list leaves arrows to JupyterLab
            choice.press(key)
        assert settled(notebook, before) != before, f"list {number}: {choice.get_attribute('aria-label')}"
    for row in notebook.lab().locator(".widget-toggle-buttons:visible").all():
        off = row.locator("button:enabled:not(.mod-active)")
        if off.count():
            before = state(notebook)
            off.first.focus()
            off.first.press("Enter")
            assert settled(notebook, before) != before, row.inner_text()


def trainer(notebook):
    """The lab, and its buttons to run and to stop."""
    lab = notebook.lab()
    stop = lab.get_by_role("button", name=re.compile("Stop$"))  # before it, the picture on the button
    if not stop.count():
        pytest.skip("this lab trains nothing")
    return lab, lab.get_by_role("button", name=re.compile("^Run")), stop


def test_a_training_runs_to_its_end(notebook):
    from playwright.sync_api import expect

    lab, run, stop = trainer(notebook)
    before = notebook.picture()
    run.click()
    expect(lab).to_contain_text(
        re.compile(r"Done: \d+ steps|Run \d+ took|% after \d+ (updates|rounds)"),
        timeout=240_000,  # no measure of speed: machines differ
    )
    expect(stop).to_be_disabled()
    assert notebook.picture() != before


def test_a_training_stops_and_leaves_the_other_controls_free(notebook):
    from playwright.sync_api import expect

    if not notebook.name.startswith("03"):
        pytest.skip("only the lab of notebook 03 trains for long")
    lab, run, stop = trainer(notebook)
    before = notebook.picture()
    run.click()
    expect(stop).to_be_enabled(timeout=10_000)
    expect(run).to_be_disabled()
    lab.locator(".noUi-handle:visible").first.press("End")
    expect(lab).to_contain_text("50 labels", timeout=5_000)
    notebook.wait_for_change(before, 60)  # an epoch is over
    keep(notebook, "training")
    stop.click()
    expect(stop).to_be_disabled(timeout=5_000)
    expect(lab).to_contain_text("was stopped", timeout=5_000)
    expect(run).to_be_enabled()


def test_a_click_on_a_cell_of_the_confusion_matrix_shows_its_images(notebook):
    if not notebook.name.startswith("04"):
        pytest.skip("only notebook 04 has a matrix to click on")
    notebook.lab().get_by_role("button", name="mistakes").click()
    still(notebook)
    before = notebook.picture()
    notebook.lab().locator("button[title='3 answered 3']").click()
    notebook.wait_for_change(before)
    assert "images of a 3" in notebook.lab().inner_text()


def test_the_picture_fits_a_small_screen(notebook):
    still(notebook)
    picture = notebook.lab().locator("img:visible").first
    picture.scroll_into_view_if_needed()
    keep(notebook, "moved")
    box = picture.bounding_box()
    assert box["width"] > 300
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    assert notebook.lab().bounding_box()["height"] <= 720, "controls and picture should be seen together"


def test_the_browser_has_nothing_to_complain_about(notebook):
    assert [text for text in notebook.complaints if not any(word in text for word in HARMLESS)] == []
