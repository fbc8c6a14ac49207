# make demo   set up and run the main job on the bundled sample
# make test   set up and run all checks
# make check  the quick ones, before a commit
# make gpu    tests, speed tables and the long training on an NVIDIA GPU
# make docs   the pages as a site, in build/site; make examples runs the examples of some
# Python 3.11 or newer is needed; another one than python3 by: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# Without an NVIDIA GPU a processor build of torch is taken where pip is set up to find one.
GPU := $(shell command -v nvidia-smi 2>/dev/null)
CONSTRAINTS := $(if $(GPU),,-c ci/constraints.txt)
CONFOCAL_SAMPLE ?= ../shared/data/cells3d/nuclei.tif
# The simulator before its samples and its light were widened: the tests of old stay what they were.
BEFORE = configs/held-out/before.toml
# Real confocal stack and measured PSF that pairs of the studies are made with; they are used from where they lie.
REAL = --from $(CONFOCAL_SAMPLE) --psf data/psf.ome.tif
CHOOSING_SAMPLES = --from data/real/choosing/pollen.ome.tif --from data/real/choosing/purkinje_neuron.ome.tif
TEST_SAMPLES = --from data/real/testing/fly_neuron.ome.tif --from data/real/testing/cortex_neurons.ome.tif
# configs/study begins from the second model: git show 5a47520:src/napari_deep3d/models/generalist.safetensors > data/second.safetensors

.PHONY: demo test check docs examples setup system lint types layers plugin pytest samples model usual-pairs gpu has-gpu settings study unseen foreign adapt widening held-out tiles peers registration training results figures clean

demo: setup
	$(BIN)/napari-deep3d demo

test: setup lint types layers plugin pytest

check: setup lint types layers
	$(PYTEST) -m 'not slow'

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

# One process for each processor, and in each one thread.
pytest: setup
	$(PYTEST)

# A warning is an error: a link that leads nowhere, a page that is on no list.
docs: setup $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going --quiet docs build/site

$(VENV)/.docs: pyproject.toml
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[docs]'
	touch $@

examples: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.examples

# What follows rebuilds what is shipped; it takes long.

samples: setup
	$(BIN)/python -m tools.release.make_samples

# The seventh leg, on from the model of six legs that the project had before (docs/results.md says how that was made):
# 18 minutes on a GPU beside 14 processors that simulate the pairs meanwhile; days without one.
FOREIGN = ../shared/data/foreign-choose
model: setup
	$(BIN)/python -m benchmarks.data.fetch_images
	git show dfabca9:src/napari_deep3d/data/models/generalist.safetensors > data/sixth_leg.safetensors
	$(BIN)/napari-deep3d simulate -o data/calibration --pairs 24 --shape 64,128,128 --seed 8201 --config configs/simulate/usual.toml
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.release.train_endless configs/generalist.toml configs/mixture.toml -o runs/seventh --start data/sixth_leg.safetensors --from data/real/training
	$(BIN)/python -m tools.release.publish_model runs/seventh/model.safetensors --calibration data/calibration

# Pairs in the light of usual microscopes; a recipe of its own, since the real volumes must be there before it is read.
REAL_SHAPES = $(foreach file,$(wildcard data/real/training/*.ome.tif),--from $(file))
usual-pairs:
	$(BIN)/napari-deep3d simulate -o data/usual --pairs 440 --shape 64,128,128 --seed 4201 --config configs/simulate/usual.toml $(REAL_SHAPES)

# On a machine with an NVIDIA GPU: the tests of the GPU, both speed tables, and the long training (hours).
gpu: has-gpu setup
	$(BIN)/python -m pip install --quiet -e '.[test,benchmark]'
	@$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else f"torch {torch.__version__} finds no CUDA: install a build for this GPU (see pytorch.org) into $(VENV)")'
	$(BIN)/pytest -m gpu
	$(BIN)/python -m benchmarks.prediction.speed --device cuda --shape 76,1024,1024 --table $(RESULTS)/prediction_speed_cuda.csv
	$(BIN)/python -m benchmarks.training.speed --device cuda --steps 20 --table $(RESULTS)/training_speed_cuda.csv
	$(BIN)/napari-deep3d info > $(RESULTS)/gpu.txt
	$(MAKE) model

has-gpu:
	@command -v nvidia-smi >/dev/null && nvidia-smi -L || { echo "make gpu needs a machine with an NVIDIA GPU and its driver; nvidia-smi finds none here."; exit 1; }

# What follows measures again what docs/results.md says, and writes it to docs/data; then: make results
RESULTS = docs/data

results: setup
	$(BIN)/python -m tools.results

# The paper's tables and figures in kind, on simulated thick tissue: what needs no training first, then some hours of
# trainings, which go on where they were if it is given again. CAREamics gets an environment of its own.
study: setup
	$(BIN)/python -m benchmarks.study --no-seeds --tables $(RESULTS)
	$(BIN)/python -m benchmarks.study.care_venv || echo "CAREamics is left out"
	$(BIN)/python -m benchmarks.study --tables $(RESULTS) --images docs/images

# Short trainings that differ in one setting each, on validation pairs.
settings: setup
	$(BIN)/python -m benchmarks.data.fetch_images
	$(BIN)/python -m tools.release.measured_psf data/psf.ome.tif
	$(BIN)/napari-deep3d simulate -o data/train --pairs 420 --shape 64,128,128 --seed 2027 --config $(BEFORE) $(REAL)
	$(BIN)/napari-deep3d simulate -o data/validation --pairs 24 --shape 64,128,128 --seed 8101 --config $(BEFORE) $(REAL)
	$(BIN)/napari-deep3d simulate -o data/choosing-real --pairs 8 --shape 64,128,128 --seed 8102 --kind confocal $(CHOOSING_SAMPLES)
	$(BIN)/python -m benchmarks.training.native_pairs data/train data/native
	$(BIN)/python -m benchmarks.training.choose data/train data/validation data/choosing-real --table $(RESULTS)/study.csv
	$(BIN)/python -m benchmarks.training.native_scores data/validation data/choosing-real --table $(RESULTS)/study_voxels.csv

# Stacks that the bundled model never saw.
unseen: setup
	$(BIN)/python -m benchmarks.data.fetch_images
	$(BIN)/napari-deep3d simulate -o data/test --pairs 40 --shape 64,144,144 --seed 7001 --config $(BEFORE)
	$(BIN)/napari-deep3d simulate -o data/test-real --pairs 12 --shape 64,144,144 --seed 7002 --config $(BEFORE) --kind confocal $(TEST_SAMPLES)
	$(BIN)/python -m benchmarks.prediction.simulated data/test --model prediction=generalist --table $(RESULTS)/simulated.csv
	$(BIN)/python -m benchmarks.prediction.simulated data/test-real --model prediction=generalist --table $(RESULTS)/simulated_real.csv
	$(BIN)/python -m benchmarks.prediction.nucleus --table $(RESULTS)/nucleus.csv
	$(BIN)/python -m benchmarks.prediction.real_images --with-nucleus -o runs/real --table $(RESULTS)/resolution.csv
	$(BIN)/python -m benchmarks.prediction.invented --table $(RESULTS)/invented.csv
	$(BIN)/python -m benchmarks.data.looks_real data/test --sheet docs/images/simulated.png --with-nucleus --tables $(RESULTS)
	$(BIN)/python -m benchmarks.novelty.warnings --model generalist data/test --table $(RESULTS)/novelty.csv
	$(MAKE) usual-pairs
	$(BIN)/python -m benchmarks.novelty.held_out data/usual --table $(RESULTS)/novelty_held_out.csv
	$(BIN)/python -m benchmarks.prediction.uncertainty data/test --stacks 12 --nucleus --table $(RESULTS)/uncertainty.csv

# Microscopes and samples of other simulators, and models that do not know one kind of them (an hour on two cores).
foreign: setup
	$(BIN)/python -m benchmarks.generalisation.foreign --model prediction=generalist --table $(RESULTS)/foreign_choose.csv
	$(BIN)/python -m benchmarks.generalisation.mixing --table $(RESULTS)/mixing.csv
	$(BIN)/python -m benchmarks.generalisation.foreign_simulator -o data/foreign-test --pairs 16 --seed 1
	$(BIN)/python -m benchmarks.generalisation.foreign data/foreign-test --model prediction=generalist --table $(RESULTS)/foreign_test.csv
	$(BIN)/python -m benchmarks.generalisation.blind_simulator -o data/foreign-blind --pairs 16 --seed 1
	$(BIN)/python -m benchmarks.generalisation.foreign data/foreign-blind --model prediction=generalist --table $(RESULTS)/foreign_blind.csv
	$(BIN)/python -m benchmarks.generalisation.registration --table $(RESULTS)/foreign_registration.csv

# The bundled model adapted to six of these stacks, with the NA told right and 15 % wrong (four hours on two cores).
adapt: setup
	$(BIN)/python -m benchmarks.generalisation.adapt data/foreign-test --table $(RESULTS)/adapt.csv
	$(BIN)/python -m benchmarks.generalisation.adapt data/foreign-test --lens 1.15 --table $(RESULTS)/adapt.csv

# What each widening of the simulated pairs is worth; after make model and make foreign (40 minutes on two cores).
widening: setup
	git show 5692c4b:src/napari_deep3d/data/models/generalist.safetensors > data/fourth_leg.safetensors
	$(BIN)/python -m benchmarks.generalisation.widening data/fourth_leg.safetensors --choosing $(FOREIGN) --choosing data/foreign-test --choosing data/calibration --table $(RESULTS)/widening.csv

held-out: setup
	$(BIN)/python -m benchmarks.generalisation.held_out_kinds --steps 3000 --bounds configs/held-out/before.toml --test-bounds configs/simulate/sharper.toml
	$(BIN)/python -m benchmarks.generalisation.held_out_kinds --steps 3000 --bounds configs/simulate/sharper.toml --table $(RESULTS)/held_out_kinds.csv

# Tiles of a prediction; after make unseen.
tiles: setup
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[test,benchmark]'
	$(BIN)/python -m benchmarks.prediction.turns data/test --table $(RESULTS)/turns.csv
	$(BIN)/python -m benchmarks.prediction.tiles --table $(RESULTS)/tiles.csv
	$(BIN)/python -m benchmarks.prediction.borders --table $(RESULTS)/borders.csv
	$(BIN)/python -m benchmarks.prediction.tiling data/usual --only-model generalist --stacks 1 --table $(RESULTS)/tile_norms_bundled.csv
	$(BIN)/python -m benchmarks.prediction.tiling data/usual --table $(RESULTS)/tile_norms_published.csv

# Seconds and memory beside other programs, those that cannot live here in environments of their own (half an hour on
# two cores, and some gigabytes to install); begun again, it goes on where it was.
peers: setup
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[test,benchmark]'
	$(BIN)/python -m benchmarks.peers.environments
	$(BIN)/python -m benchmarks.peers --tables $(RESULTS) --figure docs/images/peers.png
	$(BIN)/python -m benchmarks.prediction.speed --table $(RESULTS)/prediction_speed.csv
	$(BIN)/python -m benchmarks.prediction.field --table $(RESULTS)/field.csv
	$(BIN)/python -m benchmarks.prediction.computed --table $(RESULTS)/computed.csv
	$(BIN)/python -m benchmarks.prediction.parts --table $(RESULTS)/parts.csv
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) onnx onnxruntime onnxscript openvino
	$(BIN)/python -m benchmarks.prediction.engines --table $(RESULTS)/engines.csv
	$(BIN)/python -m benchmarks.training.speed --table $(RESULTS)/training_speed.csv

registration: setup
	$(BIN)/python -m benchmarks.registration.confidence
	$(BIN)/python -m benchmarks.registration.accuracy --tables $(RESULTS)
	$(BIN)/python -m benchmarks.registration.borders --table $(RESULTS)/registration_borders.csv

training: setup
	$(BIN)/napari-deep3d simulate -o data/ablation-train --pairs 40 --shape 64,128,128 --seed 41 --from $(CONFOCAL_SAMPLE)
	$(BIN)/napari-deep3d simulate -o data/ablation-test --pairs 12 --shape 64,128,128 --seed 7041 --from $(CONFOCAL_SAMPLE)
	$(BIN)/python -m benchmarks.training.ablation data/ablation-train data/ablation-test --table $(RESULTS)/ablation.csv
	$(BIN)/python -m benchmarks.training.finetune --table $(RESULTS)/finetune.csv
	$(BIN)/python -m benchmarks.training.grid_frames --table $(RESULTS)/grid_frames.csv
	$(BIN)/python -m benchmarks.training.kill_resume

# Pictures of the docs; those of the window need a screen.
figures: setup
	$(BIN)/python -m benchmarks.prediction.nucleus --no-deconvolution
	$(BIN)/python -m tools.figures.predict_window
	$(BIN)/python -m tools.figures.batch_window
	$(BIN)/python -m tools.figures.register_window
	$(BIN)/python -m tools.figures.compare_window
	$(BIN)/python -m tools.figures.train_window --start generalist --steps 100
	cp runs/pictures/train_8_done.png docs/images/train.png

clean:
	rm -rf $(VENV) demo
