# make demo   set up and run the main job on the bundled sample
# make test   set up and run all checks
# Python 3.11 or newer is needed; another one than python3 by: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without an NVIDIA GPU a processor build of torch is taken where pip is set up to find one.
GPU := $(shell command -v nvidia-smi 2>/dev/null)
CONSTRAINTS := $(if $(GPU),,-c ci/constraints.txt)
CONFOCAL_SAMPLE ?= ../shared/data/cells3d/nuclei.tif

.PHONY: demo test setup system lint types layers plugin pytest samples model figures registration training likeness clean

demo: setup
	$(BIN)/napari-deep3d demo

test: setup lint types layers plugin pytest

setup: system $(VENV)/.installed

system:
	@sh ci/system-packages.sh

$(VENV)/.installed: pyproject.toml ci/constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[test]'
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

plugin: setup
	$(BIN)/npe2 validate --imports napari-deep3d

pytest: setup
	$(BIN)/pytest

# What follows rebuilds what is shipped; it takes long.

samples: setup
	$(BIN)/python benchmarks/make_samples.py

model: setup
	$(BIN)/napari-deep3d simulate -o data/train --pairs 160 --shape 64,144,144 --seed 2026 --from $(CONFOCAL_SAMPLE)
	$(BIN)/napari-deep3d train data/train -o runs/generalist --config configs/generalist.toml --name generalist
	$(BIN)/python benchmarks/publish_model.py runs/generalist/model.safetensors --known data/train

figures: setup
	$(BIN)/python benchmarks/nucleus.py

registration: setup
	$(BIN)/python benchmarks/registration_confidence.py
	$(BIN)/python benchmarks/registration.py
	$(BIN)/python benchmarks/registration_speed.py

training: setup
	$(BIN)/napari-deep3d simulate -o data/ablation-train --pairs 40 --shape 64,128,128 --seed 41 --from $(CONFOCAL_SAMPLE)
	$(BIN)/napari-deep3d simulate -o data/ablation-test --pairs 12 --shape 64,128,128 --seed 7041 --from $(CONFOCAL_SAMPLE)
	$(BIN)/python benchmarks/ablation.py data/ablation-train data/ablation-test
	$(BIN)/python benchmarks/ablation.py data/ablation-train data/ablation-test --table
	$(BIN)/python benchmarks/finetune.py
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/kill_resume.py

likeness: setup
	$(BIN)/napari-deep3d simulate -o data/known-test --pairs 60 --shape 64,144,144 --seed 7001 --from $(CONFOCAL_SAMPLE)
	$(BIN)/python benchmarks/likeness.py --model generalist data/known-test

clean:
	rm -rf $(VENV) demo
