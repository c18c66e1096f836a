# Everything needs Go, and nothing else that it would not fetch as a Go module; `make test` needs a C compiler as well, for
# Go's race detector.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
IMAGE ?= xcc:$(VERSION)

# The version comes from above. Go's own way to find it fails where the tree belongs to another user.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Boot two clusters on this machine, show what xcc does, and clean up
	cd test && go build -o bin/demo ./demo && exec bin/demo

.PHONY: play
play: ## Boot the same, leave clusters and xcc running, and print commands to try
	cd test && go build -o bin/demo ./demo && exec bin/demo -play

.PHONY: test
test: test-unit test-clusters ## Run all tests

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster
	KUBE_CACHE_MUTATION_DETECTOR=true go test -race -count=1 -timeout 15m ./...

.PHONY: test-clusters
test-clusters: controlplane ## Run the tests on real clusters
	cd test && go test -count=1 -p 1 -timeout 40m ./...

.PHONY: controlplane
controlplane: ## Build what the clusters are made of (the first time 7 minutes on 2 cores)
	cd test && go run ./demo -build

SECONDS ?= 300
SEED ?= $(shell date +%s)

.PHONY: soak
soak: controlplane ## Drive both clusters with random operations and faults: SECONDS=900 SEED=1
	cd test && go run ./model/soak -seconds $(SECONDS) -seed $(SEED)

.PHONY: bench
bench: controlplane ## Measure xcc against bare clients that do the same work: BENCH=-quick for a short run
	cd test && go run ./bench $(BENCH)

.PHONY: lint
lint: ## Check the form of the code: gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	cd test && go vet ./...
	@# SA1019 is about Endpoints, which Kubernetes calls deprecated and which xcc is there to write.
	go run $(STATICCHECK) -checks inherit,-SA1019 ./...
	cd test && go run $(STATICCHECK) -checks inherit,-SA1019 ./...

.PHONY: build
build: ## Build ./xcc
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.releaseVersion=$(VERSION)" -o xcc .

.PHONY: image
image: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: clean
clean: ## Remove what was built here; Go's caches stay
	rm -rf xcc test/bin
