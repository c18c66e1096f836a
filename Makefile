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
test: test-unit test-monitoring test-clusters ## Run all tests

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster
	go test -race -count=1 -timeout 15m ./...

.PHONY: test-clusters
test-clusters: controlplane ## Run the tests on real clusters
	cd test && go test -count=1 -p 2 -timeout 40m ./...

.PHONY: test-monitoring
test-monitoring: ## Check the alerts and the dashboard with Prometheus's parser and engine
	cd test/monitoring && go test -count=1 ./...

.PHONY: controlplane
controlplane: ## Build what the clusters are made of (the first time 7 minutes on 2 cores)
	cd test && go run ./demo -build

SECONDS ?= 300
SEED ?= $(shell date +%s)

.PHONY: soak
soak: controlplane ## Drive both clusters with random operations and faults: SECONDS=900 SEED=1
	go test -count=1 ./sync -rapid.seed=$(SEED) -rapid.checks=5000
	cd test && go run ./model/soak -seconds $(SECONDS) -seed $(SEED)

.PHONY: plans
plans: controlplane ## Run all of the enumerated plans, which takes long: a kill before and after each call of one scenario, and more
	cd test && go test -count=1 -timeout 12h -v ./model -run TestEnumeratedPlans -everything

ROUNDS ?= 1

.PHONY: traffic
traffic: controlplane ## Count the requests that are lost, and time failover (Linux, root, nft): ROUNDS=3
	cd test && go run ./traffic -rounds $(ROUNDS)

.PHONY: bench
bench: controlplane ## Measure xcc against bare clients that do the same work: BENCH=-quick for a short run
	cd test && go run ./bench $(BENCH)

.PHONY: lint
lint: ## Check the form of the code: gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	cd test && go vet ./...
	cd test/monitoring && go vet ./...
	@# SA1019 is about Endpoints, which Kubernetes calls deprecated and which xcc is there to write.
	go run $(STATICCHECK) -checks inherit,-SA1019 ./...
	cd test && go run $(STATICCHECK) -checks inherit,-SA1019 ./...

.PHONY: build
build: ## Build ./xcc
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.releaseVersion=$(VERSION)" -o xcc .

.PHONY: image
image: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: dist
dist: ## Build what a release consists of into dist/: binaries, .deb, .rpm, checksums
	manifests/package/build $(VERSION) dist

.PHONY: dist-check
dist-check: ## Build it twice, in two places, and compare every byte
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && epoch=$$(git log -1 --format=%ct) && \
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$$work" && \
	manifests/package/build $(VERSION) dist && \
	SOURCE_DATE_EPOCH=$$epoch "$$work/manifests/package/build" $(VERSION) "$$work/dist" > /dev/null && \
	diff -r dist "$$work/dist" && echo "both times the same bytes"

.PHONY: dist-test
dist-test: dist ## Install the .deb in a clean Debian (needs root and debootstrap)
	test/package/install dist/xcc_*_$$(go env GOARCH).deb

.PHONY: clean
clean: ## Remove what was built here; Go's caches stay
	rm -rf xcc dist test/bin
