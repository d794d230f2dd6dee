"""JupyterLab on this machine, and a page of Chromium that looks at it: what the browser tests drive."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # all cells stay in the page, so that a test can look at any of them without scrolling
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    # two saves at a time, on a slow machine, end in a question that nobody answers
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# without a graphics processor, without a sandbox of its own (needed for root), and without calling home
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
SIZE = {"width": 1280, "height": 800}


def chromium():
    """The system's Chromium, or None."""
    return os.environ.get("TLCOURSE_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)


@contextlib.contextmanager
def jupyterlab(root, settings, environment):
    """A JupyterLab that serves a folder on loopback, with a token; yields its address."""
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(OVERRIDES))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={root}", f"--LabApp.app_settings_dir={settings}"]
    places = {f"JUPYTER_{part}_DIR": str(settings / part.lower()) for part in ("CONFIG", "DATA", "RUNTIME")}
    places |= {f"JUPYTERLAB_{part}_DIR": str(settings / part.lower()) for part in ("SETTINGS", "WORKSPACES")}
    with open(settings / "server.log", "w") as log:
        server = subprocess.Popen(command, env=environment | places, stdout=log, stderr=subprocess.STDOUT, cwd=root)
        try:
            wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server)
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            server.wait(30)


def wait_for(address, server, seconds=90):
    """Wait until the server answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError("JupyterLab did not start; see server.log in its settings folder")


class NotebookPage:
    """A notebook in a page of the browser.

    Attributes:
        page: the page.
        complaints: what the browser's console called an error.
    """

    def __init__(self, browser, address, token, name):
        self.page = browser.new_page(viewport=SIZE)
        self.complaints = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{address}/lab/tree/{name}?token={token}&reset", timeout=90_000)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
        # a run that is asked for before the kernel is there makes JupyterLab ask which kernel is meant
        self.page.locator(".jp-StatusBar-TextItem", has_text="| Idle").first.wait_for(timeout=90_000)

    def menu(self, *names):
        """Click through the menu."""
        for name in names:
            self.page.locator(".lm-MenuBar-itemLabel, .lm-Menu-itemLabel").get_by_text(name, exact=True).first.click()

    def run_all(self, seconds=600):
        """Run all cells and wait until every one has a number; returns the texts of errors in the outputs."""
        cells = self.page.locator(".jp-Notebook .jp-CodeCell").count()
        self.menu("Run", "Run All Cells")
        done = r"""count => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')]
            .filter(prompt => /\[\d+\]/.test(prompt.textContent)).length >= count
            || document.querySelector('.jp-OutputArea-output[data-mime-type*=error]') !== null"""
        self.page.wait_for_function(done, arg=cells, timeout=1000 * seconds)
        return self.page.locator(".jp-OutputArea-output[data-mime-type*=error]").all_text_contents()

    def save(self):
        """Write the notebook with its outputs to disk; the dot on its tab says when that is done."""
        self.menu("File", "Save Notebook")
        self.page.locator(".jp-mod-dirty").first.wait_for(state="detached", timeout=30_000)

    def lab(self):
        """The notebook's lab, scrolled into view."""
        lab = self.page.locator(".tlcourse-lab").first
        lab.scroll_into_view_if_needed()
        return lab

    def picture(self):
        """The source of the lab's picture: other bytes, another picture."""
        return self.lab().locator("img:visible").first.get_attribute("src")

    def wait_for_change(self, before, seconds=20):
        """Wait until the lab shows another picture."""
        changed = "before => document.querySelector('.tlcourse-lab img')?.getAttribute('src') !== before"
        self.page.wait_for_function(changed, arg=before, timeout=1000 * seconds)

    def close(self):
        """Stop the kernel, which would keep its gigabyte, and close the page."""
        self.menu("Kernel", "Shut Down Kernel")
        self.page.locator(".jp-StatusBar-TextItem", has_text="No Kernel").first.wait_for(timeout=30_000)
        self.page.close()
