"""Every notebook run from top to bottom without network: what it asks of memory, and what it shows.

Where the browser tests run, they execute the notebooks and take these tests along.
`tools/run_notebooks.py` runs them under nbval and compares outputs; how long they take is measured in
`benchmarks/startup.py`.
"""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_MEMORY = 1.5 * 2**30  # bytes
WITHOUT_NETWORK = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except OSError as error:
    print(error)
"""
# On Linux, ru_maxrss begins at the size of the program that started this one; the high-water mark of /proc does not.
PEAK_MEMORY = """
import pathlib, re, resource
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def with_questions(path):
    """A notebook with cells behind its own that ask for the network and for the memory it took."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(WITHOUT_NETWORK))
    if sys.platform != "win32":
        notebook.cells.append(nbformat.v4.new_code_cell(PEAK_MEMORY))
    return notebook


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request, own_cache, offline):
    """The cells of a notebook after a run in a kernel of its own, and those appended to it."""
    if os.environ.get("TLCOURSE_BROWSER") == "required":
        pytest.skip("the browser tests run the same and ask the same")
    notebook = with_questions(request.param)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    with client.setup_kernel(env=os.environ | offline, cwd=ROOT):
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells):
    return [output for cell in cells for output in cell.outputs]


def printed(cell):
    return "".join(output.text for output in cell.outputs)


def test_it_runs_with_the_network_unplugged(executed):
    (guard,) = [cell for cell in executed if cell.source == WITHOUT_NETWORK]
    assert "the network is unplugged in tests, but something asked for '192.0.2.1'" in printed(guard)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak memory this way")
def test_it_is_modest_with_memory(executed):
    peak = int(printed(executed[-1]))
    assert 2**27 < peak <= MOST_MEMORY


def test_it_says_nothing_on_stderr(executed):
    """Neither a warning nor a progress bar that is left standing."""
    complaints = [o.text for o in outputs(executed) if o.output_type == "stream" and o.name == "stderr"]
    assert not complaints


def test_every_picture_it_shows_has_a_text(executed):
    shown = [o.data for o in outputs(executed) if o.output_type == "display_data"]
    pictures = [image for data in shown for image in re.findall(r"<img[^>]*>", data.get("text/html", ""))]
    assert pictures
    assert not [data for data in shown if "image/png" in data], "a picture that was not shown with show()"
    for picture in pictures:
        text = html.unescape(re.search(r'alt="([^"]*)"', picture)[1])
        assert len(text) >= 30
        assert "nan" not in text


def ask(code, environment):
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return run.returncode, run.stderr


@pytest.mark.parametrize("call", ["create_connection(('192.0.2.1', 80), 1)", "getaddrinfo('example.org', 80)"])
def test_the_guard_keeps_programs_from_the_network(environment, call):
    code, complaint = ask(f"import socket; socket.{call}", environment)
    assert code
    assert "the network is unplugged in tests" in complaint


def test_the_guard_lets_a_kernel_talk_to_its_notebook(environment):
    code = (
        "import socket; server = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(server.getsockname()).close()"
    )
    assert ask(code, environment) == (0, "")
