# make demo · make test · make check · make bench · make lab
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
DEMO   := samples/mixed/closed-after-mail-from-listed.txt

.PHONY: setup demo test check bench lab docs clean
setup: $(STAMP)
$(STAMP): pyproject.toml hatch_build.py analyzer/batch/sift.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m compileall -q analyzer   # also where PYTHONDONTWRITEBYTECODE is set: a start compiles nothing
	@touch $@

demo: setup          ## diagnose a sample: text on the terminal, HTML report in out/
	@mkdir -p out
	@$(BIN)/mailwhy diagnose $(DEMO) || test $$? -eq 1   # 1: a fault was diagnosed
	@$(BIN)/mailwhy diagnose $(DEMO) --format html -o out/demo.html || test $$? -eq 1
	@echo "HTML report: $(CURDIR)/out/demo.html"

test: setup
	$(BIN)/pytest -n auto --dist loadfile

check: setup
	$(BIN)/pytest -n auto --dist loadfile
	$(BIN)/mailwhy rules lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: setup
	$(BIN)/python -m tests.bench

lab: setup
	$(BIN)/python -m tests.lab

docs: setup           ## the generated pages
	$(BIN)/python -m analyzer.authoring.docs
	$(BIN)/python -m tests.reliability

clean:
	rm -rf $(VENV) out dist build
