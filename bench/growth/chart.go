package main

import (
	"fmt"
	"strings"
)

// Measures of the chart, in pixels: four panels beside each other.
const (
	panel  = 170
	gap    = 16
	height = 180
	margin = 28 // left and below, for numbers; above, for titles
)

// chart draws what is kept over the years of the sources that changes were
// tried on. Its colours follow the reader's.
func chart(trials []trial) string {
	var most float64
	for _, t := range trials {
		most = max(most, t.times(t.life.whole, reportYears))
	}
	most = float64(10 * (int(most)/10 + 1))
	width := margin + len(triedOn)*(panel+gap)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">
<title>TB kept for each TB of a source, over %d years</title>
<style>
text { fill: #444 } path { fill: none; stroke-width: 1.5 } .grid { stroke: #8884; stroke-width: 1 }
.whole { stroke: #0b62c4 } .exact { stroke: #b45309; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } .whole { stroke: #6cb0ff } .exact { stroke: #f5a742 } }
</style>
`, width, height+2*margin, reportYears)
	y := func(times float64) float64 { return margin + height*(1-times/most) }
	for level := 0.0; level <= most; level += 10 {
		fmt.Fprintf(&b, `<text x="%d" y="%.0f" text-anchor="end">%.0f</text>`+"\n", margin-6, y(level)+4, level)
	}
	for i, on := range triedOn {
		left := float64(margin + i*(panel+gap))
		x := func(night int) float64 { return left + panel*float64(night)/float64(nightsOf(reportYears)) }
		fmt.Fprintf(&b, `<text x="%.0f" y="%d">%s</text>`+"\n", left, margin-10, on.title)
		for level := 0.0; level <= most; level += 10 {
			fmt.Fprintf(&b, `<path class="grid" d="M%.0f %.0fh%d"/>`+"\n", left, y(level), panel)
		}
		for year := range reportYears {
			fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%d</text>`+"\n", x(nightsOf(year+1)), height+margin+16, year+1)
		}
		for _, t := range trials {
			if t.scenario.name != on.name {
				continue
			}
			for class, stored := range [][]int64{t.life.whole, t.life.exact} {
				fmt.Fprintf(&b, `<path class="%s" d="`, []string{"whole", "exact"}[class])
				for night := 0; night < len(stored); night += 14 {
					fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(night, 1)], x(night), y(float64(stored[night])/float64(t.scenario.bytes)))
				}
				fmt.Fprint(&b, "\"/>\n")
			}
		}
	}
	fmt.Fprint(&b, "</svg>\n")
	return b.String()
}
