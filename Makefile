# Everything on a fresh machine: `make demo`, `make test`. The virtual environment is made as needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LINTERS := .venv-linters
LINTERS_STAMP := $(LINTERS)/.installed
SITE := .venv-site
SITE_STAMP := $(SITE)/.installed
# One more than there are cores: tests wait for locks, timeouts and processes at times.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)

# The Node drivers with which tests/drivers tries docs/how-to/open-a-context.md, Prisma, with which `tenantry export prisma` is tried, and
# the clients of Supabase, with which sign-in is tried; without npm these tests are skipped, and say so.
NODE_TESTS := tests/drivers/node tests/drivers/prisma tests/drivers/supabase
NODE_STAMP := $(if $(shell command -v npm 2>/dev/null),$(NODE_TESTS:%=%/node_modules/.installed))

.PHONY: demo test wheel chaos fuzz corpus lint bench bench-check site docs lock clean

demo: $(STAMP) ## take the sample database from one tenant to many, and show what was done
	$(BIN)/tenantry demo $(ARGS)

test: $(STAMP) $(NODE_STAMP) ## all tests, on every PostgreSQL version that is here
	@test -n "$(NODE_STAMP)" || echo "npm is not here: the tests of Node drivers, of Prisma and of Supabase's clients are skipped"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

wheel: $(STAMP) ## build Tenantry and Clinic, install them into a new environment one after the other, and use them in an empty folder
	tests/wheel.sh $(BIN)/python

chaos: $(STAMP) ## kill migrations of two applications in every way under load, 300 times each; writes docs/explanation/chaos.md
	$(BIN)/python -m tests.chaos.campaign --page $(ARGS)

fuzz: $(STAMP) ## take random applications there, back and there again, 300 of them; ARGS="--seeds 17", "--count 50", --help
	$(BIN)/python -m tests.fuzz $(ARGS)

corpus: $(STAMP) ## take 15 invented schemas from their connection string to the cut-over, under writers; ARGS="rails", "--scale 1", --help
	$(BIN)/python -m tests.corpus.run $(ARGS)

lint: $(STAMP) $(LINTERS_STAMP) site ## ruff, mypy; pgrls and squawk over what is generated for Clinic; the site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.linters $(LINTERS)/bin

bench: $(STAMP) ## the figures behind the claims; takes some minutes
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file $(ARGS) || exit 1; done

bench-check: $(STAMP) ## that benchmarks run to their end, on little data; live.py takes minutes on any
	@for file in $(filter-out benchmarks/live.py,$(wildcard benchmarks/[a-z]*.py)); do $(BIN)/python $$file --quick --json > /dev/null || exit 1; done

site: $(SITE_STAMP) ## build the documentation as a site, build/site/index.html; a warning or a dead link fails
	rm -rf build/site
	$(SITE)/bin/python -m sphinx --quiet --fail-on-warning --fresh-env --jobs auto --builder html \
		--conf-dir tools/site --doctree-dir build/doctrees . build/site
	$(SITE)/bin/python -m tools.site.check build/site

docs: $(STAMP) ## write the generated pages of docs/ again
	$(BIN)/python -m tools.docs

PIN := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe --strip-extras
lock: $(STAMP) ## pin the dependencies again, by hash
	@mkdir -p build
	$(BIN)/python -m tools.dependencies apps/clinic/pyproject.toml >build/clinic.in
	$(PIN) --upgrade --extra dev --extra auth --output-file requirements.lock pyproject.toml build/clinic.in
	$(PIN) --constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml
	$(PIN) --constraint requirements.lock --output-file apps/clinic/requirements.lock pyproject.toml build/clinic.in
	$(PIN) --upgrade --output-file requirements-linters.lock requirements-linters.in
	$(PIN) --upgrade --output-file requirements-site.lock requirements-site.in

clean: ## what demo and test leave behind: the embedded server's data and the demo's report
	rm -rf .tenantry demo

$(STAMP): requirements.lock pyproject.toml apps/clinic/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tenantry needs Python 3.11 or newer (make PYTHON=python3.x)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e apps/clinic
	touch $(STAMP)

%/node_modules/.installed: %/package-lock.json
	cd $* && npm ci --silent --ignore-scripts --no-audit --no-fund
	touch $@

# pgrls needs another pglast than Tenantry does.
$(LINTERS_STAMP): requirements-linters.lock
	$(PYTHON) -m venv $(LINTERS)
	$(LINTERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-linters.lock
	touch $(LINTERS_STAMP)

$(SITE_STAMP): requirements-site.lock
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-site.lock
	touch $(SITE_STAMP)
