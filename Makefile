# Everything that is done to this repository by name; `make` lists it.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build web age axe test lint demo screenshots soak fuzz clean deps facts bench peers bench-remote bench-bucket bench-scale bench-growth bench-map

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The race detector needs cgo, and that a C compiler.
RACE := $(if $(shell command -v gcc 2>/dev/null),-race)

# What confines itself cannot do so in a program linked with cgo, so these are
# tested once more as they are released.
CONFINED := ./internal/confine ./internal/daemon ./internal/daemon/child ./cmd/...

# What takes too long under the race detector is named TestLong..., skips
# there, and runs without it.
LONG := ./internal/collect ./internal/estate/facts/tree ./bench/growth

# Stock age, as pinned in go.mod: what tests and the restore by hand read our
# objects with. Tests find it by this variable, and by nothing else.
export STRONGROOM_AGE := $(CURDIR)/bin/age

# axe-core, which finds barriers in pages. Tests find it in the same way.
export STRONGROOM_AXE := $(CURDIR)/bin/axe/node_modules/axe-core/axe.min.js

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the program: bin/strongroom, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/strongroom ./cmd/strongroom

web: deps ## the scripts of the pages, from TypeScript: internal/web/assets
	@internal/web/src/build internal/web/assets internal/web/browsertest

age: ## stock age of the pinned version: bin/age
	@CGO_ENABLED=0 go build -trimpath -o bin/age filippo.io/age/cmd/age

axe: deps $(STRONGROOM_AXE) ## axe-core of the pinned version: bin/axe

$(STRONGROOM_AXE): hack/axe/package.json hack/axe/package-lock.json
	@mkdir -p bin/axe && cp $^ bin/axe && cd bin/axe && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@

test: deps age axe ## all tests, with the race detector if there is gcc
	$(if $(RACE),,@echo 'no gcc: testing without the race detector')
	go test -timeout 15m $(RACE) ./...
	$(if $(RACE),CGO_ENABLED=0 go test -timeout 15m $(CONFINED))
	$(if $(RACE),go test -timeout 15m -run '^TestLong' $(LONG))

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l bench cmd docs hack internal) && if [ -n "$$unformatted" ]; then echo "not as gofmt writes it:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

demo: deps age build ## shows the whole: two people, nights, an opening, a theft, a fire
	@go build -o bin/demo ./hack/demo
	@bin/demo

screenshots: deps ## pictures of every page, light and dark, wide and narrow: bin/screenshots
	go run ./hack/screenshots -o bin/screenshots
	STRONGROOM_SCREENSHOTS=$(CURDIR)/bin/screenshots go test -count=1 -run '^TestPictures$$' ./internal/web/browsertest

soak: deps age ## the long tests, named TestSoak...
	STRONGROOM_SOAK=1 go test -count=1 -v -run '^TestSoak' -timeout 3h ./...

facts: ## how much the readers of facts find of what is known, and how much of it is right
	@go test -count=1 -v -run '^TestScore$$' ./internal/estate/facts/score

fuzz: ## every fuzz target for FUZZTIME each (10s)
	@hack/fuzz $(or $(FUZZTIME),10s)

# BENCH_SHORT=1 tries the whole with little data and whoever is there; BENCH is
# for flags, such as '-courses tree -runs 1'.
bench: $(if $(BENCH_SHORT),,peers) build ## measures this and other programs on the same data: docs/performance.md
	@go build -o bin/bench ./bench
	@bin/bench $(if $(BENCH_SHORT)$(BENCH),,-o docs/performance.md) $(BENCH)

peers:
	@hack/deps bench
	cd bench/peers && CGO_ENABLED=0 go build -trimpath -o ../../bin/peers/ github.com/restic/restic/cmd/restic github.com/kopia/kopia

bench-remote: ## a restore from far away, against sftp: times-sftp above 1 is faster
	$(if $(wildcard /dev/shm),GOTMPDIR=$${TMPDIR:-/tmp} TMPDIR=/dev/shm) go test -run '^$$' -bench Remote -benchtime 5x ./bench/remote

# SOAK=1 takes an hour or more, needs 20 GB in TMPDIR, and writes the document;
# SCALE is for flags, such as '-files 100000 -size 0'.
bench-scale: ## millions of files, hundreds of GB, in bounded memory: docs/scale.md
	@CGO_ENABLED=0 go build -o bin/scale ./bench/scale
	@bin/scale $(if $(SOAK),-soak -write docs/scale.md) $(SCALE)

# GROWTH is for flags, such as '-scale 0.1', which takes a tenth of the time.
bench-growth: ## simulates how a store grows over seven years: docs/growth.md
	@go build -o bin/growth ./bench/growth
	@bin/growth -write docs $(GROWTH)

bench-bucket: ## reading a snapshot from where every request takes long: requests, bytes, seconds
	go test -run '^$$' -bench Bucket -benchtime 1x ./bench/remote

bench-map: deps ## a map of 5,000 components at a real safe: commands, and pages in a browser: docs/scale.md
	STRONGROOM_BENCH=1 go test -count=1 -v -run '^TestMapOfThousands$$' -timeout 20m ./cmd/strongroom

clean: ## remove what was built, and what the demo left
	rm -rf bin
	@if grep -qs '^// made by make demo' demo/go.mod; then chmod -R u+rwX demo && rm -rf demo; fi

deps:
	@hack/deps
