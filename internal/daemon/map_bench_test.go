package daemon

import (
	"bytes"
	"fmt"
	"testing"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate/largetest"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// applicationsOf is the part of a configuration that has the applications of a
// large estate, and says of its first hosts that the sources hold them.
func applicationsOf(sources int) []byte {
	var b bytes.Buffer
	b.WriteString("components:\n")
	for i := range sources {
		fmt.Fprintf(&b, "  host/rack%02d-%03d: { must_hold: { data: [ source-%03d ] } }\n", i%20, i, i)
	}
	b.WriteString("applications:\n")
	for i := range largetest.Applications {
		fmt.Fprintf(&b, "  app-%02d: { consists_of: [ %s ], levels: { rpo: 26h } }\n", i, largetest.App(i))
	}
	return b.Bytes()
}

// tellLarge has the sources of a safe have told a large estate, of which the
// configuration has so many applications.
func tellLarge(b *testing.B, s *Safe) {
	b.Helper()
	sources := len(s.config.Sources)
	text := fmt.Appendf(nil, "safe: test\nstore: /store\nsources:\n")
	for i := range sources {
		text = fmt.Appendf(text, "  source-%03d: { kind: local, include: [/etc] }\n", i)
	}
	cfg, err := config.Parse("test.yaml", append(text, applicationsOf(min(sources, 500))...))
	if err != nil {
		b.Fatal(err)
	}
	s.config.Components, s.config.Applications = cfg.Components, cfg.Applications
	told := largetest.Estate(5000, 50_000)
	err = s.state.Update(b.Context(), func(tx *state.Tx) error {
		for i, t := range told {
			name := safe.SourceName(t.Source)
			if err := tx.SetFacts(name, t.Facts); err != nil {
				return err
			}
			if i < sources {
				continue
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range told {
		src := s.config.Sources[0]
		src.Name = safe.SourceName(t.Source)
		s.config.Sources = append(s.config.Sources, src)
	}
}

// BenchmarkMap looks at an estate of 5,000 components with 50,000 dependencies.
func BenchmarkMap(b *testing.B) {
	s := collectedFor(b, 500, 60)
	tellLarge(b, s)
	look := func(name string, look func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := look(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	look("told", func() error { _, err := s.knowledge(b.Context()); return err })
	k, err := s.knowledge(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	look("facts", func() error { _, err := s.facts(k.told); return err })
	look("draw", func() error { _, err := s.draw(k, s.opts.Now()); return err })
	look("map", func() error { _, err := s.Map(b.Context()); return err })
	m, err := s.Map(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	look("order", func() error { _, err := orderOf(s.config, m, nil); return err })
	look("coverage", func() error { _, err := s.Coverage(b.Context()); return err })
	look("keep", func() error { return s.keepMap(b.Context()) })
	look("overview", func() error { _, err := s.LookOverview(b.Context()); return err })
	look("page", func() error { _, err := s.LookMap(b.Context(), report.MapFilter{}); return err })
	look("component", func() error { _, err := s.LookComponent(b.Context(), largetest.App(3)); return err })
	look("application", func() error { _, err := s.LookApplication(b.Context(), "app-03"); return err })
}
