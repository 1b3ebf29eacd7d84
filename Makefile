# Everything a user or CI runs. `make demo` and `make test` each work as the first command on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
DATA ?= fashion-mnist

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
PUBLISHED := mnasnet-a1 mnasnet-b1 mobilenet-v2 mobilenet-v3-large
READY := $(VENV)/.ready
BOARDS := qemu-user-static mmdebstrap openssh-server openssh-client adb mksh toybox
FASHION_MNIST := /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz

.PHONY: setup data boards demo test check lint bench tables clean

setup: $(READY)

# The CPU build of torch first, so that nothing after it can pull the CUDA build in.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mnas needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet '$(TORCH)+cpu' || { \
	  echo "No CPU build of torch on pip's indexes: taking the default one, which on Linux x86-64 is several GB."; \
	  echo "To avoid that, set PIP_EXTRA_INDEX_URL to the index of CPU builds that PyTorch's installation page names."; \
	  $(PIP) install --quiet '$(TORCH)'; }
	$(PIP) install --quiet --editable '.[dev]'
	@touch $(READY)

# Fashion-MNIST where Debian's package can be installed; mnas itself says how to get it elsewhere.
data:
	@if [ ! -f $(FASHION_MNIST) ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { apt-get install -y -qq dataset-fashion-mnist || { apt-get update -qq && apt-get install -y -qq dataset-fashion-mnist; }; } \
	  >/dev/null 2>&1 || echo "The Debian package dataset-fashion-mnist could not be installed."; fi

# What the tests of boards and phones need, where Debian's packages can be installed; without it they are skipped. Where
# systemd runs, openssh-server would start a server for everyone: there it is left to you.
boards:
	@if ! { command -v qemu-aarch64-static && command -v mmdebstrap && command -v sshd && command -v adb && command -v mksh && command -v toybox; } >/dev/null && \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  if [ -d /run/systemd/system ]; then echo "To test boards and phones, too: apt-get install $(BOARDS)"; \
	  else export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get install -y -qq $(BOARDS) || { apt-get update -qq && apt-get install -y -qq $(BOARDS); }; } \
	  >/dev/null 2>&1 || echo "These Debian packages could not be installed: $(BOARDS)"; fi; fi

ifeq ($(DATA),fashion-mnist)
demo: data
endif
demo: setup
	$(VENV)/bin/mnas demo --data $(DATA) $(if $(OUT),--out $(OUT))

test: setup data boards lint
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

check: setup lint
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m 'not slow'

lint: setup
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Writes most of benchmarks/results; takes hours.
bench: setup
	$(VENV)/bin/python -m benchmarks.lut_error
	$(VENV)/bin/python -m benchmarks.profiling
	$(VENV)/bin/python -m benchmarks.tailoring
	$(VENV)/bin/python -m benchmarks.predictor_speed --table mnasnet-amd-epyc-litert-float32
	$(VENV)/bin/python -m benchmarks.hot_paths --table mnasnet-small-amd-epyc-litert-float32
	$(VENV)/bin/python -m benchmarks.darts step
	$(VENV)/bin/python -m benchmarks.darts search
	$(VENV)/bin/python -m benchmarks.supernet
	$(VENV)/bin/python -m benchmarks.proxies --also supernet

# The tables that are shipped, measured anew on a host of this kind; about 20 minutes.
tables: setup
	@for space in "mnasnet-small" "mnasnet $(PUBLISHED:%=--arch %)"; do for runtime in litert onnxruntime; do \
	  for dtype in float32 int8; do \
	    table=latency_tables/$${space%% *}-amd-epyc-$$runtime-$$dtype; rm -f $$table.*; \
	    $(VENV)/bin/mnas profile --space $$space --device amd-epyc --runtime $$runtime --dtype $$dtype -o $$table || exit 1; \
	  done; done; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
