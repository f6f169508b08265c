package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// save keeps the results of a course on a medium, in place of those of an
// earlier run, for the report.
func save(dir, course, medium string, results []measurement) error {
	b, err := json.MarshalIndent(results, "", "\t")
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "results")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("saving results: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, course+"-"+medium+".json"), b, 0o644)
}

func report(options, io.Writer) error { return nil }
