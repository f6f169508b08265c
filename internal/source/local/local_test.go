//go:build linux

package local_test

import (
	"testing"

	"strongroom/internal/source"
	"strongroom/internal/source/local"
	"strongroom/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Kind{
		Full: true,
		New: func(include, exclude []string, limits source.Limits) (source.Source, error) {
			return local.New(local.Options{Include: include, Exclude: exclude, Limits: limits})
		},
	})
}
