# make help lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GOLANGCI_LINT := v2.8.0
GOFUMPT := v0.12.0
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
# How many packages are tested at once; each may run a Postgres of its own.
PARALLEL ?= 2

.PHONY: help demo test test-kafka bench-replay check build fmt lint golden contributing clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## everything on this machine, embedded; prints ready: and the address
	@go run ./cmd/demo

test: ## everything that proves the project, with the race detector; a skipped test fails
	@set -o pipefail; go test -race -timeout 15m -p $(PARALLEL) -json ./... | go run ./.ci/report.go

test-kafka: ## the suites that speak to Kafka, on a real Apache Kafka that is started for them and killed (Java 17, Maven)
	@exec .ci/with-kafka bash -o pipefail -c "{ go test -race -tags realkafka -json -run 'Kafka|Broker' ./internal/devstack; \
		go test -race -tags realkafka -timeout 15m -p 1 -json ./internal/messaging/... ./cmd/boxoffice ./cmd/internal/...; } | \
		go run ./.ci/report.go -figures 'Killed|restarted_member'"

EVENTS ?= 1000000
# boxoffice replay sets the same.
bench-replay: export GOGC = 400
bench-replay: ## replay, verify and live projections on one log of EVENTS events, beside a raw read of it
	@go test -run '^$$' -bench BenchmarkReplay -benchtime 5x -timeout 60m ./projections/replay -args -log.events $(EVENTS)
	@go test -run '^$$' -bench BenchmarkLog -benchtime 1x -timeout 30m ./projections/verify -args -log.events $(EVENTS)
	@go test -run '^$$' -bench BenchmarkApplier -benchtime 1x -timeout 30m ./projections -args -log.events $(EVENTS)

check: lint golden contributing ## format, vet, lint, layout, golden events, CONTRIBUTING, modules; needs no server
	@go test -count=1 -run 'TestLayout|TestTheEnvironment|TestTheTopLevel' .
	@go mod verify

build: ## bin/OS-ARCH/ for Linux and macOS, amd64 and arm64
	@set -e; for platform in $(PLATFORMS); do \
		out=bin/$${platform/\//-}; mkdir -p $$out; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -trimpath -o $$out/ ./cmd/boxoffice ./cmd/demo; \
		echo "$$out: $$(ls $$out | tr '\n' ' ')"; \
	done

fmt: .tools ## format all Go files
	@.tools/gofumpt -l -w .

lint: .tools ## gofumpt, go vet (also for macOS) and golangci-lint
	@unformatted=$$(.tools/gofumpt -l .); [ -z "$$unformatted" ] || { echo "not formatted (make fmt): $$unformatted" >&2; exit 1; }
	@go vet ./... && go vet -tags failpoints ./... && go vet -tags realkafka ./internal/devstack && GOOS=darwin go vet ./...
	@.tools/golangci-lint run

contributing: ## the diffs of CONTRIBUTING.md still apply and compile
	@.ci/contributing

golden: ## the golden events of the log, against their list of checksums
	@.ci/golden

clean: ## remove what was built; the demo's data in .boxoffice stays
	@rm -rf bin .tools

# The tools are brought to these versions; the script does nothing when they are there.
.PHONY: .tools
.tools:
	@.ci/tools golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint $(GOLANGCI_LINT)
	@.ci/tools gofumpt mvdan.cc/gofumpt $(GOFUMPT)
