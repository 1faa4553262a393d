# The commands of the README. Everything real is in CMakeLists.txt and scripts/.
#   make             builds build/release/cli/spillway
#   make demo        trains twelve models on Fashion-MNIST, two small devices, and checks the figures
#                    (ARGS="key=value ..." changes settings, and leaves the check out)
#   make test        all tests, sampled where they are a matrix; 20 minutes on two cores at most
#   make test-full   all tests, nothing sampled
#   make bench       the speed figures of bench/README.md
#   make fuzz        every parser's fuzz target, FUZZ_SECONDS=60 each
#   make format      clang-format over our sources
#   make tidy        clang-tidy over our sources
#   make clean       removes build/; runs/ stays
# WERROR=ON turns warnings into errors.

SHELL := /bin/bash
export WERROR

.PHONY: all demo test test-full bench fuzz format tidy clean

all:
	@scripts/setup.sh build
	@scripts/build.sh release spillway

demo:
	@scripts/setup.sh build demo
	@scripts/build.sh release spillway
	@out=runs/demo-$$(date +%Y%m%d-%H%M%S); \
	build/release/cli/spillway run examples/demo.yaml $(ARGS) --out $$out || exit; \
	$(if $(ARGS),:,python3 scripts/check_demo.py $$out --command build/release/cli/spillway)

test:
	@scripts/setup.sh build test
	@scripts/test.sh sampled

test-full:
	@scripts/setup.sh build test
	@scripts/test.sh full

bench:
	@scripts/setup.sh build
	@scripts/build.sh release
	@bench/run.sh build/release $(ARGS)

fuzz:
	@scripts/setup.sh build fuzz
	@scripts/fuzz.sh

format:
	@scripts/setup.sh format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

tidy:
	@scripts/setup.sh build test tidy
	@scripts/tidy.sh

clean:
	rm -rf build
