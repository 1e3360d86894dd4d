# make run   sets up and makes every figure of params.yaml
# make test  sets up and runs all checks
# make docs  builds the pages of docs/ into .cache/site
# make mutants  makes small wrong edits of the source and says which no test sees; MUTANTS='--seed 1 --count 50'

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A GPU box needs torch with CUDA; everybody else is spared its gigabytes.
TORCH_INDEX := $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)
# uv installs in a third of the time, where it is there; `make run UV=` takes pip all the same.
UV := $(shell command -v uv)
INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/pip install --quiet --no-compile)
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' requirements.lock)

.PHONY: run test docs mutants setup format lock platforms picture clean

run: setup
	$(BIN)/snakemake --cores all

test: setup $(VENV)/mutants $(VENV)/cluster $(VENV)/docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow src/polysem/workflow/fresh/files/Snakefile
	$(BIN)/pytest -n 2 --dist worksteal

docs: $(VENV)/docs
	PYTHONPATH=$< NO_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict --site-dir .cache/site
	@echo "open .cache/site/index.html"

mutants: $(VENV)/mutants
	$(BIN)/python benchmarks/mutants.py --report .cache/mutants/report.json $(MUTANTS)

$(VENV)/mutants: benchmarks/mutants.txt $(VENV)/ready
	$(INSTALL) --constraint requirements.lock -r $<
	touch $@

# Beside the environment, as every call of Snakemake imports all plugins that it finds.
$(VENV)/cluster: requirements-cluster.lock $(VENV)/ready
	$(INSTALL) --upgrade --no-deps --target $@ -r $<
	touch $@

# Beside it, too: a study needs none of it.
$(VENV)/docs: requirements-docs.lock $(VENV)/ready
	$(INSTALL) --upgrade --no-deps --target $@ -r $<
	touch $@

setup: $(VENV)/ready

# pip is kept from compiling what it installs: that takes half of its time, and Python compiles what a study imports.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "polysem needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(INSTALL) $(if $(UV),,--retries 0 --timeout 20) --no-deps --index-url $(TORCH_INDEX) $(TORCH) || true)
	$(INSTALL) -r requirements.lock
	$(INSTALL) --no-deps --editable .
	touch $@

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow src/polysem/workflow/fresh/files/Snakefile

lock: setup
	$(BIN)/pip install --quiet uv
	grep -v '^#' docs/unlocked.txt | sed 's/^/--no-emit-package /' | xargs $(BIN)/uv pip compile pyproject.toml --extra dev --extra gguf \
		--universal --python-version 3.11 --no-annotate --no-header --output-file requirements.lock
	for extra in cluster docs; do \
		grep -v '^#' docs/unlocked.txt | sed 's/^/--no-emit-package /' | xargs $(BIN)/uv pip compile pyproject.toml --extra $$extra \
			--constraint requirements.lock --universal --python-version 3.11 --no-annotate --no-header --quiet | \
			awk -F== 'NR == FNR {known[$$1]; next} !($$1 in known)' requirements.lock -> requirements-$$extra.lock; \
	done

# Every machine that the README names has a wheel of every locked package, but for three of pure Python that have none.
# netCDF4 has wheels from macOS 15 on, fastcluster up to Python 3.13.
SOURCES_ALONE := antlr4-python3-runtime connection-pool transformers-stream-generator
platforms: setup
	$(BIN)/pip install --quiet uv
	for platform in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu aarch64-apple-darwin; do \
		for version in 3.11 3.12 3.13; do \
			MACOSX_DEPLOYMENT_TARGET=15.0 $(BIN)/uv pip compile --quiet --no-deps --only-binary :all: \
				$(addprefix --no-binary ,$(SOURCES_ALONE)) --python-platform $$platform --python-version $$version \
				requirements.lock --output-file /dev/null || exit 1; \
		done; \
	done

# The picture of the DAG in the README; needs graphviz. In the default study an SAE is trained away from another one, and
# rules that go round in a circle cannot be laid out from left to right; the quick preset has none.
picture: setup
	$(BIN)/snakemake --rulegraph dot --configfile presets/quick.yaml 2>/dev/null | sed '/-> 0$$/d; /\t0\[label/d; s/, color = "[^"]*", style="rounded"//' > docs/dag.dot
	tred docs/dag.dot | dot -Grankdir=LR -Gbgcolor=transparent -Nfillcolor=white -Nstyle="rounded,filled" -Npenwidth=1 -Nfontname=sans -Epenwidth=1 -Tsvg > docs/dag.svg

clean:
	rm -rf $(VENV) .cache logs
