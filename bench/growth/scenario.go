package main

// A scenario is a source and what becomes of it.
type scenario struct {
	name  string
	title string // in tables
	bytes int64  // at first
	make  func(bytes int64) (*source, churn)
}

const seed = 1 // of every source, so that figures can be had again

// scenarios returns those of the report, of so many bytes at first.
func scenarios(bytes int64) []scenario {
	return []scenario{
		{"scattered-1", "1 % a night, anywhere in any file", bytes, func(bytes int64) (*source, churn) {
			return tree(seed, bytes), scattered(0.01)
		}},
		{"scattered-0.1", "0.1 % a night, anywhere in any file", bytes, func(bytes int64) (*source, churn) {
			return tree(seed, bytes), scattered(0.001)
		}},
		{"hot", "1 % a night, 95 % of it in 5 % of the files", bytes, func(bytes int64) (*source, churn) {
			return tree(seed, bytes), hot(0.01)
		}},
		{"files", "1 % of the files a night, rewritten whole", bytes, func(bytes int64) (*source, churn) {
			return tree(seed, bytes), rewritten(0.01)
		}},
		// A dump has four times the chunks, each of which is looked at every
		// night. What it comes to does not depend on its size.
		{"dump", "a dump, every night, 1 % of it changed", bytes / 10, func(bytes int64) (*source, churn) {
			return dump(seed, bytes), scattered(0.01)
		}},
		{"uploads", "0.2 % of the first size is added a night, nothing changes", bytes, func(bytes int64) (*source, churn) {
			return tree(seed, bytes), uploads(bytes / 500)
		}},
		{"logs", "files of 500 days: one day is added, one deleted a night", bytes, func(bytes int64) (*source, churn) {
			return logs(seed, bytes, 500)
		}},
		{"still", "nothing ever changes", bytes, func(bytes int64) (*source, churn) {
			return tree(seed, bytes), scattered(0)
		}},
	}
}
