package daemon

import (
	"bytes"
	"fmt"
	"testing"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/largetest"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// tellLarge has the sources of a safe have told a large estate, of which the
// configuration has applications.
func tellLarge(b *testing.B, s *Safe) {
	b.Helper()
	var text, hosts bytes.Buffer
	text.WriteString("safe: test\nstore: /store\nsources:\n")
	for _, src := range s.config.Sources {
		fmt.Fprintf(&text, "  %s: { kind: local, include: [/etc] }\n", src.Name)
	}
	facts := make(map[safe.SourceName]estate.Facts)
	for i, told := range largetest.Estate(5000, 50_000) {
		name := s.config.Sources[i%len(s.config.Sources)].Name
		f := facts[name]
		f.Components, f.Links = append(f.Components, told.Facts.Components...), append(f.Links, told.Facts.Links...)
		facts[name] = f
		if first := told.Facts.Components[0].ID; first.Kind() == estate.Host {
			fmt.Fprintf(&hosts, "  %s: { must_hold: { data: [ %s ] } }\n", first, name)
		}
	}
	fmt.Fprintf(&text, "components:\n%sapplications:\n", &hosts)
	for i := range largetest.Applications {
		fmt.Fprintf(&text, "  app-%02d: { consists_of: [ %s ], levels: { rpo: 26h } }\n", i, largetest.App(i))
	}
	cfg, err := config.Parse("test.yaml", text.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	s.config.Components, s.config.Applications = cfg.Components, cfg.Applications
	err = s.state.Update(b.Context(), func(tx *state.Tx) error {
		for name, f := range facts {
			if err := tx.SetFacts(name, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
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
