# make lab    set up what is missing and open JupyterLab on notebook 00
# make test   set up what is missing and run everything that must pass
# make bench  measure the course beside what a learner would pick instead (half an hour or more; close other programs)

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Learners get the course alone; nbgrader, which only the tests need, would put a menu of its own into JupyterLab.
TEST_READY := .venv/.ready-for-tests
BENCH_READY := .venv/.ready-for-bench
# such as BENCH_FLAGS='--rounds 1 --workloads few scratch', or '--device cuda'
BENCH_FLAGS ?=
# JupyterLab refuses to run as root unless told; in a container there is often nobody else.
LAB_FLAGS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test bench tidy

lab: $(READY)
	$(BIN)/jupyter lab $(LAB_FLAGS) notebooks/00_start_here.ipynb

test: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
	$(BIN)/python tools/run_notebooks.py

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks.peers $(BENCH_FLAGS)

# Put code and notebooks into the form that `make test` wants to see.
tidy: $(TEST_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/place_exercises.py
	$(BIN)/python tools/strip_notebooks.py
	$(BIN)/python tools/draw_pictures.py

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, but {sys.executable} is {sys.version.split()[0]}. Name another with: make $(MAKECMDGOALS) PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable .
	@# Nothing leaves the machine: JupyterLab shall not ask whether it may fetch news.
	@mkdir -p .venv/share/jupyter/lab/settings
	@printf '%s\n' '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
		> .venv/share/jupyter/lab/settings/overrides.json
	@touch $(READY)

$(TEST_READY): $(READY)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[test]'
	@touch $(TEST_READY)

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[bench]'
	@touch $(BENCH_READY)
