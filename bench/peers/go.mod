// The programs that Strongroom is measured against, in a module of their own:
// what they need is no business of ours.
module strongroom/bench/peers

go 1.26.0

require (
	github.com/kopia/kopia v0.22.3
	github.com/restic/restic v0.18.1
)
