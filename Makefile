# The README's two commands; everything lives in .venv, nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Not those with time limits, which the checks break, nor, for the pool, those that start many processes, and the one whose
# child of fork starts threads while others still train, which is more than ThreadSanitizer can follow.
KERNEL_TESTS := tests/engine -k "not ctrl_c and not idle"
POOL_TESTS := tests/engine -k "(thread or fork or worker or signal) and not ctrl_c and not fresh and not joblib and not idle \
  and not child_of_a_training"

.PHONY: mnist test lint bench sanitize tsan clean

mnist: $(VENV)/.installed
	$(BIN)/layerloop train mnist $(ARGS)

test: $(VENV)/.with-tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.with-checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/table.py $(ARGS)
	$(BIN)/python benchmarks/sparse.py
	$(BIN)/python benchmarks/startup.py

# The compiled engine under the sanitizers, each built into an environment of its own. Their libraries have to be there
# before Python starts; and libstdc++ with ASan's, or the first C++ exception ends inside it. Addresses are not laid out
# at random under TSan where the system lets us say so.
sanitize: .venv-asan/.installed
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 PYTHONMALLOC=malloc \
	  LD_PRELOAD="`$(CXX) -print-file-name=libasan.so` `$(CXX) -print-file-name=libstdc++.so.6`" \
	  .venv-asan/bin/python -m pytest -p no:cacheprovider $(or $(ARGS),$(KERNEL_TESTS))

tsan: .venv-tsan/.installed
	OPENBLAS_NUM_THREADS=2 TSAN_OPTIONS=exitcode=66:die_after_fork=0 LD_PRELOAD="`$(CXX) -print-file-name=libtsan.so`" \
	  `setarch -R true 2>/dev/null && echo setarch -R` \
	  .venv-tsan/bin/python -m pytest -p no:cacheprovider $(or $(ARGS),$(POOL_TESTS))

# To save time: the kernels of AVX-512, which take longest, only where they can run; no packages compiled ahead.
LESS := --no-compile $(shell grep -qs avx512f /proc/cpuinfo || echo --config-settings=cmake.define.HAVE_v4=OFF)

.venv-asan/.installed: CHECK := LAYERLOOP_SANITIZE
.venv-tsan/.installed: CHECK := LAYERLOOP_TSAN
.venv-asan/.installed .venv-tsan/.installed: pyproject.toml $(wildcard native/*)
	@echo "building the compiled engine with $(CHECK) into $(@D) ..."
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	CXX=$(CXX) LAYERLOOP_REQUIRE_NATIVE=1 $(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --config-settings=cmake.define.$(CHECK)=ON --config-settings=cmake.build-type=RelWithDebInfo \
	  --config-settings=install.strip=false --config-settings=build-dir=build/$(@D) $(LESS) --editable '.[test-engine]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-asan .venv-tsan build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "layerloop needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version`: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each builds the compiled engine, which takes a minute: what comes with more marks what comes with less as done too.
$(VENV)/.installed $(VENV)/.with-tests $(VENV)/.with-checks: $(VENV)/bin/python pyproject.toml $(wildcard native/*)

$(VENV)/.installed:
	@echo "installing layerloop and what it needs into $(VENV) (about 90 MB, once) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.with-tests:
	@echo "installing layerloop and what the tests need into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.with-checks:
	@echo "installing layerloop, what the tests need and the checks into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.installed $(VENV)/.with-tests $@
