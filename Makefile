# make run   sets up and makes every figure of params.yaml
# make test  sets up and runs all checks
# make docs  builds the pages of docs/ into .cache/site
# make mutants  makes small wrong edits of the source and says which no test sees; MUTANTS='--seed 1 --count 50'

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A GPU box needs torch with CUDA; everybody else is spared its gigabytes.
TORCH_INDEX := $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' requirements.lock)

.PHONY: run test docs mutants setup format lock picture clean

run: setup
	$(BIN)/snakemake --cores all

test: setup $(VENV)/mutants $(VENV)/cluster $(VENV)/docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow src/polysem/workflow/fresh/files/Snakefile
	$(BIN)/mypy
	$(BIN)/python benchmarks/mutants.py --smoke
	$(BIN)/pytest -n 2 --dist worksteal

docs: $(VENV)/docs
	PYTHONPATH=$< NO_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict --site-dir .cache/site
	@echo "open .cache/site/index.html"

mutants: $(VENV)/mutants
	$(BIN)/python benchmarks/mutants.py --report .cache/mutants/report.json $(MUTANTS)

$(VENV)/mutants: benchmarks/mutants.txt $(VENV)/ready
	$(BIN)/pip install --quiet --constraint requirements.lock -r $<
	touch $@

# Beside the environment, as every call of Snakemake imports all plugins that it finds.
$(VENV)/cluster: requirements-cluster.lock $(VENV)/ready
	$(BIN)/pip install --quiet --upgrade --no-deps --target $@ -r $<
	touch $@

# Beside it, too: a study needs none of it.
$(VENV)/docs: requirements-docs.lock $(VENV)/ready
	$(BIN)/pip install --quiet --upgrade --no-deps --target $@ -r $<
	touch $@

setup: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "polysem needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/pip install --quiet --retries 0 --timeout 20 --no-deps --index-url $(TORCH_INDEX) $(TORCH) || true)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
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

# The picture of the DAG in the README; needs graphviz. In the default study an SAE is trained away from another one, and
# rules that go round in a circle cannot be laid out from left to right; the quick preset has none.
picture: setup
	$(BIN)/snakemake --rulegraph dot --configfile presets/quick.yaml 2>/dev/null | sed '/-> 0$$/d; /\t0\[label/d; s/, color = "[^"]*", style="rounded"//' > docs/dag.dot
	tred docs/dag.dot | dot -Grankdir=LR -Gbgcolor=transparent -Nfillcolor=white -Nstyle="rounded,filled" -Npenwidth=1 -Nfontname=sans -Epenwidth=1 -Tsvg > docs/dag.svg

clean:
	rm -rf $(VENV) .cache logs
