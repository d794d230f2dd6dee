"""Every notebook in a real JupyterLab in a real browser: run all, drive its lab by keyboard, look at the console.

They take minutes and the system's Chromium (`TLCOURSE_CHROMIUM` names another one), so they run when asked for:
`TLCOURSE_BROWSER=required python -m pytest tests/test_browser.py`. Screenshots are kept in `screenshots/`.
"""

import os
import shutil
from pathlib import Path

import pytest
from jupyter_in_browser import FLAGS, NotebookPage, chromium, jupyterlab

ROOT = Path(__file__).parent.parent
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
    own = {"TLCOURSE_PROGRESS": str(folder / "progress.json")}
    with jupyterlab(folder / "notebooks", folder / "settings", os.environ | offline | own) as (address, token):
        yield address, token, folder / "notebooks"


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request, browser, lab_server):
    """A notebook after Run All Cells."""
    address, token, _ = lab_server
    page = NotebookPage(browser, address, token, request.param.name)
    page.name = request.param.stem
    page.errors = page.run_all()
    yield page
    page.close()


def keep(page, what):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.page.screenshot(path=SCREENSHOTS / f"{page.name}_{what}.png")


def test_it_runs_from_top_to_bottom(notebook):
    notebook.lab()
    keep(notebook, "lab")
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


def test_every_slider_answers_to_the_keyboard(notebook):
    handles = notebook.lab().locator(".noUi-handle:visible")
    assert handles.count() >= 1
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
        choice.focus()
        choice.press("ArrowDown")
        after = settled(notebook, before, 5)
        if after == before:
            choice.press("ArrowUp")
            after = settled(notebook, before)
        assert after != before, f"list {number}"
    for row in notebook.lab().locator(".widget-toggle-buttons:visible").all():
        off = row.locator("button:enabled:not(.mod-active)")
        if off.count():
            before = state(notebook)
            off.first.focus()
            off.first.press("Enter")
            assert settled(notebook, before) != before, row.inner_text()


def test_the_picture_fits_a_small_screen(notebook):
    picture = notebook.lab().locator("img").first
    picture.scroll_into_view_if_needed()
    keep(notebook, "lab_moved")
    box = picture.bounding_box()
    assert box["width"] > 300
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    assert notebook.lab().bounding_box()["height"] <= 720, "controls and picture should be seen together"


def test_the_browser_has_nothing_to_complain_about(notebook):
    assert [text for text in notebook.complaints if not any(word in text for word in HARMLESS)] == []
