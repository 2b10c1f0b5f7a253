# `make serve` runs the main job, `make test` passes the tests; both do all the set-up that they need.
# Nothing outside this folder is changed: libraries go to runtime/, everything that is built goes to target/.

PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),target)
VENVS := $(TARGET)/compat
# The frameworks that the tests need.
FRAMEWORKS = onnx tensorflow torch mxnet
# The daemon that fetches them: the one that is built anyway.
PROFILE = debug
BUILD_release = --release --package graphpiped

.DELETE_ON_ERROR:
.PHONY: serve test runtime bench bench-pieces bench-instrument bench-peers bench-codec bench-throughput compat torch-plugin clean
# The one of a pattern that would otherwise be removed as an intermediate file.
.PRECIOUS: $(VENVS)/%/ready

# Only what the example needs.
serve: FRAMEWORKS = onnx
serve bench bench-pieces bench-instrument bench-peers bench-codec bench-throughput: PROFILE = release

serve: runtime
	@echo
	@echo 'Ask it from another terminal:'
	@echo '    curl http://127.0.0.1:9000/                     what the model takes and gives'
	@echo '    curl http://127.0.0.1:9000/metrics              what the daemon counts'
	@echo 'README.md goes on with Python and Rust. Ctrl-C finishes what was accepted, and stops.'
	@echo
	@exec $(TARGET)/release/graphpiped serve --runtime runtime --model digits=models/digits/digits.onnx

test: runtime torch-plugin
	cargo test --workspace --locked
	$(MAKE) --no-print-directory compat

# The original GraphPipe client against the daemon, with the oldest and with the newest flatbuffers package.
compat: compat-oldest compat-newest

compat-%: $(VENVS)/%/ready runtime torch-plugin
	cargo build --locked
	GRAPHPIPED=$(abspath $(TARGET))/debug/graphpiped $(VENVS)/$*/bin/python -B -m pytest -p no:cacheprovider tests/compat
	$(VENVS)/$*/bin/python -B -m unittest discover -s benches/peers/tests

# An environment is made anew whenever its list of packages changes.
$(VENVS)/%/ready: tests/compat/requirements-%.txt tests/compat/requirements.txt
	rm -rf $(VENVS)/$*
	$(PYTHON) -m venv $(VENVS)/$*
	$(VENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	touch $@

# Builds the daemon, and has it fetch what is not there yet.
runtime:
	cargo build --locked $(BUILD_$(PROFILE))
	$(TARGET)/$(PROFILE)/graphpiped runtime install $(FRAMEWORKS) --into runtime --python $(PYTHON)

# What stands between the daemon and PyTorch's C++ interface; needs a C++ compiler. Asked for alone, it takes the daemon that
# `make serve` has built.
torch-plugin: FRAMEWORKS = torch
torch-plugin: PROFILE = release
torch-plugin: runtime/torch/libgraphpiped_torch.so

runtime/torch/libgraphpiped_torch.so: $(wildcard backends/torch/plugin/*) runtime/torch/.complete
	backends/torch/plugin/build.sh runtime/torch

# An installation replaces the folder that the plugin lies in, with the plugin. The recipe does nothing, but has make look at
# the time of the stamp again when `runtime` is through.
runtime/torch/.complete: runtime
	@:

bench: runtime
	cargo build --release --locked
	cargo run --release --locked -p graphpiped-benches

# What does not depend on how quiet the machine is: instructions and allocations; and times of the same pieces.
bench-pieces: runtime
	cargo bench --locked -p graphpiped-benches --bench counts --bench pieces

# Whether the load generator can be trusted; needs wrk.
bench-instrument: runtime
	cargo build --release --locked
	cargo run --release --locked -p graphpiped-benches -- instrument

# graphpiped beside the servers that package registries have, and GraphPipe's own two charts made again. Each writes a page
# and a picture to docs/benchmarks/; the first run installs the others into target/peers, which takes minutes.
bench-peers bench-codec bench-throughput: runtime
	cargo build --release --locked
	$(PYTHON) benches/peers/run.py $(@:bench-%=%)

clean:
	cargo clean
	rm -rf runtime
