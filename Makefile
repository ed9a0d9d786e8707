# make demo   install, build the sample models, optimize them, show what happened
# make test   install with the development tools, then lint, types, tests: what CI runs
# make help   the rest
#
# PYTHON picks the interpreter that .venv is made with: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
JOBS ?= 2
N ?= 10000
SEED ?= 0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PROJECT := pyproject.toml setup.py

.DELETE_ON_ERROR:
.PHONY: help demo bench-rules test lint format docs site models trained hostile kills rule conformance fuzz sabotage proofs hunt test-capture test-engines clean

help:
	@echo "make demo                        install, then optimize the sample models"
	@echo "make test                        lint, types and tests"
	@echo "make lint                        lint and types only"
	@echo "make format                      let ruff fix and format the code"
	@echo "make models                      rebuild models/*.onnx from their scripts"
	@echo "make trained                     train models/trained/*.onnx again"
	@echo "make bench-rules                 what each rewrite gains on its own pattern"
	@echo "make docs                        regenerate what docs/ holds that the code says itself"
	@echo "make site                        the documentation as a website, in build/site"
	@echo "make hostile                      run the command line on every malformed or hostile file"
	@echo "make kills N=200                  kill as many runs at random moments, and look at what they leave"
	@echo "make rule NAME= SUBJECT= ROOT=   start a new rewrite rule"
	@echo "make conformance                 optimize every case of onnx's backend test suite, compare with its outputs"
	@echo "make fuzz N=10000 SEED=0         optimize random models grown from the case files, compare"
	@echo "make sabotage                    leave out every guard once; the cases or random models must notice"
	@echo "make proofs                      prove every rule on symbols, and write down how each was shown"
	@echo "make hunt N=10000 SEED=0         prove what rules make of random models; where that fails, a bug is near"
	@echo "make test-capture                capture programs of real frameworks, which it installs beside .venv"
	@echo "make test-engines                run the tests of many models on Ray, Dask and URLs, which it installs first"
	@echo "make clean                       remove .venv, build/ and caches"

# An environment that is missing, broken or too old is made anew; a good one is kept.
define make_venv
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv --clear $(VENV); }
endef

# The stamps are older than the project files when those changed, and pip then runs again.
# The installation is editable, so that it never lags behind the tree.
$(VENV)/.installed: $(PROJECT)
	$(make_venv)
	@echo "installing ncgopt into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(PROJECT)
	$(make_venv)
	@echo "installing ncgopt and its development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	$(BIN)/python models/build.py $(DEMO)
	$(BIN)/ncgopt optimize $(DEMO)/dense.onnx --target onnxruntime -o $(DEMO)/dense.opt.onnx --report $(DEMO)/dense.json
	$(BIN)/ncgopt inspect $(DEMO)/dense.opt.onnx
	$(BIN)/ncgopt optimize $(DEMO)/dense_linear.onnx -o $(DEMO)/dense_linear.opt.onnx
	$(BIN)/ncgopt inspect $(DEMO)/dense_linear.opt.onnx
	$(BIN)/ncgopt optimize $(DEMO)/cnn.onnx -o $(DEMO)/cnn.opt.onnx
	$(BIN)/ncgopt optimize $(DEMO)/transformer.onnx --target onnxruntime -o $(DEMO)/transformer.opt.onnx
	$(BIN)/ncgopt optimize $(DEMO)/control_flow.onnx -o $(DEMO)/control_flow.opt.onnx
	$(BIN)/ncgopt optimize $(DEMO)/duplicates.onnx -o $(DEMO)/duplicates.opt.onnx
	$(BIN)/ncgopt verify $(DEMO)/cnn.onnx $(DEMO)/cnn.opt.onnx
	$(BIN)/ncgopt bench $(DEMO)/cnn.onnx $(DEMO)/cnn.opt.onnx
	@echo "The optimized models are in $(DEMO)."

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-rules: $(VENV)/.installed
	$(BIN)/python benchmarks/rules.py

docs: $(VENV)/.installed-dev
	$(BIN)/python -m ncgopt.docs

site: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

models: $(VENV)/.installed-dev
	$(BIN)/python models/build.py

trained: $(VENV)/.installed-dev
	$(BIN)/python models/trained/build.py

hostile: $(VENV)/.installed-dev
	NCGOPT_HOSTILE=all $(BIN)/python -m pytest tests/hostile

kills: $(VENV)/.installed-dev
	$(BIN)/python tests/model/kills.py $(or $(N),200)

rule: $(VENV)/.installed-dev
	@test -n "$(NAME)" && test -n "$(SUBJECT)" && test -n "$(ROOT)" \
	  || { echo "usage: make rule NAME=eliminate-mul-one SUBJECT=algebra ROOT=Mul"; exit 64; }
	$(BIN)/python tests/new_rule.py $(NAME) --subject $(SUBJECT) --root $(ROOT)

conformance: $(VENV)/.installed-dev
	cd tests && $(abspath $(BIN))/python -m conformance --jobs $(JOBS) --json $(abspath build)/conformance.json

fuzz: $(VENV)/.installed-dev
	cd tests && $(abspath $(BIN))/python -m fuzz --jobs $(JOBS) --count $(N) --seed $(SEED) --save $(abspath build)/fuzz \
	  $(if $(ONLY),--only $(ONLY))

sabotage: $(VENV)/.installed-dev
	cd tests && $(abspath $(BIN))/python -m sabotage --jobs $(JOBS) --json $(abspath build)/sabotage.json

proofs: $(VENV)/.installed-dev
	cd tests && $(abspath $(BIN))/python -m proofs
	$(BIN)/python -m ncgopt.docs

hunt: $(VENV)/.installed-dev
	cd tests && $(abspath $(BIN))/python -W ignore -m proofs.hunt --count $(N) --seed $(SEED) $(if $(ONLY),--only $(ONLY))

# Not part of `make test`: Ray and Dask are 300 MB, and starting their clusters takes longer than all other tests of a fleet.
test-engines: $(VENV)/.installed-dev
	$(PIP) --editable '.[ray,dask,urls]' psutil
	$(BIN)/python -m pytest tests/fleet/test_engines.py tests/fleet/test_urls.py

# Frameworks are large, and not for the environment that everything else is tested in.
CAPTURE := build/capture
test-capture:
	@test -x $(CAPTURE)/bin/python || $(PYTHON) -m venv $(CAPTURE)
	$(CAPTURE)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[torch,keras]' transformers pytest
	$(CAPTURE)/bin/python -m pytest tests/capture

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
