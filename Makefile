# Everything on a fresh machine: `make demo`, `make test`. The virtual environment is made as needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LINTERS := .venv-linters
LINTERS_STAMP := $(LINTERS)/.installed
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

# The Node drivers with which tests/drivers tries docs/how-to/open-a-context.md; without npm these tests are skipped, and say so.
NODE_TESTS := tests/drivers/node
NODE_STAMP := $(if $(shell command -v npm 2>/dev/null),$(NODE_TESTS)/node_modules/.installed)

.PHONY: demo test wheel chaos fuzz lint bench docs lock clean

demo: $(STAMP) ## take the sample database from one tenant to many, and show what was done
	$(BIN)/tenantry demo $(ARGS)

test: $(STAMP) $(NODE_STAMP) ## all tests, on every PostgreSQL version that is here
	@test -n "$(NODE_STAMP)" || echo "npm is not here: the tests of the Node drivers are skipped"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

wheel: $(STAMP) ## build the wheel, install it by itself into a new environment, and use it in an empty folder
	tests/wheel.sh $(BIN)/python

chaos: $(STAMP) ## kill migrations of two applications in every way under load, 300 times each; writes docs/explanation/chaos.md
	$(BIN)/python -m tests.chaos.campaign --page $(ARGS)

fuzz: $(STAMP) ## take random applications there, back and there again, 300 of them; ARGS="--seeds 17", "--count 50", --help
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(STAMP) $(LINTERS_STAMP) ## ruff, mypy; pgrls and squawk over what is generated for Clinic
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.linters $(LINTERS)/bin

bench: $(STAMP) ## the figures behind the claims; takes some minutes
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file $(ARGS) || exit 1; done

docs: $(STAMP) ## write the generated pages of docs/ again
	$(BIN)/python -m clinic.docs
	$(BIN)/python -m typer tenantry.cli.main utils docs --name tenantry --output docs/reference/cli.md
	$(BIN)/python -m tenantry.mapping.docs docs/reference/transforms.md
	$(BIN)/python -m tenantry.prove.lint.docs docs/reference/checks.md
	$(BIN)/python -m tenantry.prove.attacks.docs docs/reference/attacks.md

lock: $(STAMP) ## pin the dependencies anew, by hash
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe --strip-extras \
		--extra dev --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe --strip-extras \
		--constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe --strip-extras \
		--output-file requirements-linters.lock requirements-linters.in

clean: ## what demo and test leave behind: the embedded server's data and the demo's report
	rm -rf .tenantry demo

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tenantry needs Python 3.11 or newer (make PYTHON=python3.x)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

$(NODE_TESTS)/node_modules/.installed: $(NODE_TESTS)/package-lock.json
	cd $(NODE_TESTS) && npm ci --silent --ignore-scripts --no-audit --no-fund
	touch $@

# pgrls needs another pglast than Tenantry does.
$(LINTERS_STAMP): requirements-linters.lock
	$(PYTHON) -m venv $(LINTERS)
	$(LINTERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-linters.lock
	touch $(LINTERS_STAMP)
