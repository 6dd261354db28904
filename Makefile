# What there is to do here. The work is in cargo and in scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo test build image bench fmt generate clean-cache

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## a real API server, a simulated Label Studio, the operator: shows what it does and ends by itself
	@scripts/demo

test: ## everything that has to pass, on real parts
	@scripts/test

build: ## the release binary: target/release/label-studio-operator
	@scripts/requirements cargo cc
	LABEL_STUDIO_OPERATOR_REVISION="$$(scripts/revision)" cargo build --release --locked --bin label-studio-operator

image: ## the container image as one file: target/label-studio-operator-VERSION.oci.tar
	@scripts/image

bench: ## the scale runs and their table
	@scripts/bench

fmt: ## formats the code
	cargo fmt --all

generate: ## crds/, and the chart's copy of it, from src/resources/
	cargo run --quiet --bin label-studio-operator -- crds --output crds
	cp crds/*.yaml charts/label-studio-operator/files/crds/

clean-cache: ## forgets the control plane, the parts of a node and Label Studio that were built outside the checkout
	@scripts/clean-cache
