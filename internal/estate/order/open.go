package order

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/order/feedback"
)

// refused is how much more than any harm it weighs that a person has said no:
// such a dependency is given up only if there is no other way.
const refused = 100 * MaxHarm

// open opens a knot. What comes first counts for most: what people have
// answered, then rules in their order, then little evidence and little harm. In
// the end all is taken back that was not needed, but for what people have said.
func (g *graph) open(part []int, rules []Rule) (Knot, error) {
	arcs := g.within(part)
	var opened []int // in the order in which they were
	set := func(a int, o Opening) {
		o.Pair, o.Need = g.pair(g.arcs[a]), g.arcs[a].needs[0]
		g.arcs[a].open, g.arcs[a].by = true, o
		opened = append(opened, a)
	}
	for _, a := range arcs {
		answer, ok := g.answers[g.pair(g.arcs[a])]
		if !ok {
			continue
		}
		g.fits[answer.Pair] = true
		if answer.May {
			set(a, Opening{Means: ByAnswer, Answer: &answer, Why: answerWords(answer)})
		}
	}
	g.byRules(part, arcs, rules, set)
	least, err := g.byHarm(part, arcs, set)
	if err != nil {
		return Knot{}, err
	}
	opened = g.takeBack(opened)
	k := Knot{Components: g.names(part), Circle: g.circle(part), Least: least}
	for _, a := range opened {
		arc := &g.arcs[a]
		if arc.by.Means == Weak || arc.by.Means == Least {
			k.Cost += g.weight(arc)
			arc.by.Question = arc.by.Pair.Question()
		}
		k.Opened = append(k.Opened, arc.by)
	}
	k.Least = min(k.Least, k.Cost)
	k.Why = k.words()
	return k, nil
}

// within returns the arcs of a knot.
func (g *graph) within(part []int) []int {
	var arcs []int
	for _, v := range part {
		for _, a := range g.out[v] {
			if g.knot[g.arcs[a].to] == g.knot[v] {
				arcs = append(arcs, a)
			}
		}
	}
	return arcs
}

func (g *graph) byRules(part, arcs []int, rules []Rule, set func(int, Opening)) {
	has := make(map[estate.Role]bool)
	for _, v := range part {
		for _, r := range g.components[v].Roles {
			has[r] = true
		}
	}
	for _, r := range rules {
		if slices.ContainsFunc(r.Among, func(role estate.Role) bool { return !has[role] }) {
			continue
		}
		in, count := g.circles(part)
		if count == 0 {
			return
		}
		var fit []int
		for _, a := range arcs {
			arc := &g.arcs[a]
			if !arc.open && in[arc.from] >= 0 && in[arc.from] == in[arc.to] && g.applies(r, arc) {
				fit = append(fit, a)
			}
		}
		if r.Once && len(fit) > 0 {
			one := g.arcs[slices.MinFunc(fit, func(a, b int) int {
				x, y := g.arcs[a].from, g.arcs[b].from
				return cmp.Or(cmp.Compare(rank(r.From, g.components[x]), rank(r.From, g.components[y])), cmp.Compare(x, y))
			})].from
			fit = slices.DeleteFunc(fit, func(a int) bool { return g.arcs[a].from != one })
		}
		for _, a := range fit {
			set(a, Opening{Means: ByRule, Rule: &r, Why: ruleWords(r, g.pair(g.arcs[a]))})
		}
	}
}

func (g *graph) applies(r Rule, a *arc) bool {
	if rank(r.From, g.components[a.from]) < 0 || rank(r.Without, g.components[a.to]) < 0 {
		return false
	}
	if a.needs[0] == estate.Hosting {
		return false // nothing starts without what it runs on
	}
	if r.Needed && !slices.ContainsFunc(g.out[a.to], func(b int) bool { return g.arcs[b].to == a.from }) {
		return false
	}
	return !r.Hosted || g.hosts(a.from, a.to)
}

// weight is what it costs to give an arc up.
func (g *graph) weight(a *arc) int {
	if answer, ok := g.answers[g.pair(*a)]; ok && !answer.May {
		return refused
	}
	if worth, weak := a.doubt(); weak {
		return worth
	}
	if a.harm > 0 {
		return a.harm
	}
	return harms[a.needs[0]]
}

// byHarm gives up what is left to give up, and returns what no choice can stay
// below. Weak evidence weighs next to nothing, so it goes first, the weakest
// before the others, but not lots of it where one harm would do.
func (g *graph) byHarm(part, arcs []int, set func(int, Opening)) (least int, err error) {
	in, count := g.circles(part)
	if count == 0 {
		return 0, nil
	}
	at := make(map[int]int, len(part))
	for i, v := range part {
		at[v] = i
	}
	var list []feedback.Arc
	var number []int
	for _, a := range arcs {
		arc := &g.arcs[a]
		if !arc.open && in[arc.from] >= 0 && in[arc.from] == in[arc.to] {
			list = append(list, feedback.Arc{From: at[arc.from], To: at[arc.to], Weight: g.weight(arc)})
			number = append(number, a)
		}
	}
	answer, err := feedback.Solve(len(part), list)
	if err != nil {
		return 0, err
	}
	for _, i := range answer.Cut {
		arc := &g.arcs[number[i]]
		o := Opening{Means: Least, Why: g.harmWords(arc)}
		if _, weak := arc.doubt(); weak && g.weight(arc) < refused {
			o = Opening{Means: Weak, Why: g.weakWords(arc)}
		}
		set(number[i], o)
	}
	return answer.Bound, nil
}

// takeBack closes again what was opened in vain: first what harms most, then
// what rules opened, the last resort first.
func (g *graph) takeBack(opened []int) []int {
	order := make([]int, 0, len(opened))
	for _, a := range slices.Backward(opened) {
		if m := g.arcs[a].by.Means; m == Weak || m == Least {
			order = append(order, a)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(g.weight(&g.arcs[b]), g.weight(&g.arcs[a])) })
	for _, a := range slices.Backward(opened) {
		if g.arcs[a].by.Means == ByRule {
			order = append(order, a)
		}
	}
	for _, a := range order {
		if arc := &g.arcs[a]; !g.leads(arc.to, arc.from) {
			arc.open, arc.by = false, Opening{}
		}
	}
	return slices.DeleteFunc(opened, func(a int) bool { return !g.arcs[a].open })
}

// unfit returns the answers that changed nothing, with the reason.
func (g *graph) unfit() []Unfit {
	var list []Unfit
	for pair, answer := range g.answers {
		if g.fits[pair] {
			continue
		}
		list = append(list, Unfit{answer, g.unfitWords(pair)})
	}
	slices.SortFunc(list, func(a, b Unfit) int { return a.Pair.Compare(b.Pair) })
	return list
}

func (g *graph) unfitWords(pair Pair) string {
	for _, id := range []estate.ID{pair.From, pair.To} {
		if _, ok := g.number[id]; !ok {
			return fmt.Sprintf("%s is not on the map any more.", id)
		}
	}
	needs := slices.ContainsFunc(g.out[g.number[pair.From]], func(a int) bool { return g.ids[g.arcs[a].to] == pair.To })
	if !needs {
		return fmt.Sprintf("The map does not say any more that %s needs %s.", pair.From, pair.To)
	}
	return fmt.Sprintf("%s and %s are in no knot any more: the order can wait, and does.", pair.From, pair.To)
}

func answerWords(a Answer) string {
	return fmt.Sprintf("%s may start without %s: %s said so on %s, because: %s", a.From, a.To, a.Who, a.When.UTC().Format("2006-01-02"), a.Why)
}

func ruleWords(r Rule, p Pair) string {
	text := fmt.Sprintf("%s may start without %s by the rule %s", p.From, p.To, r.Name)
	if r.Source != "" {
		text += " (" + r.Source + ")"
	}
	return text + ", until " + r.Until + "."
}

func (g *graph) weakWords(a *arc) string {
	return fmt.Sprintf("%s may not need %s %s: the evidence is weak (%s), and without it the knot is open. Is it so?",
		g.ids[a.from], g.ids[a.to], a.needsWords(), a.evidenceWords())
}

func (g *graph) harmWords(a *arc) string {
	from, to := g.ids[a.from], g.ids[a.to]
	if answer, ok := g.answers[g.pair(*a)]; ok {
		return fmt.Sprintf("%s has to start without %s, although %s said no on %s, because: %s There is no other way to open the knot.",
			from, to, answer.Who, answer.When.UTC().Format("2006-01-02"), answer.Why)
	}
	if a.needs[0] == estate.Hosting {
		return fmt.Sprintf("%s runs on %s (%s) and that, in the end, needs %s: one of these cannot be true, or a part of it can run elsewhere. Which?",
			from, to, a.evidenceWords(), from)
	}
	text := fmt.Sprintf("%s needs %s %s (%s). Of all that would open the knot this harms least", from, to, a.needsWords(), a.evidenceWords())
	if a.harm > 0 {
		text += fmt.Sprintf(", with a harm of %d as stated", a.harm)
	}
	if a.needs[0] == estate.Run {
		return text + ": it starts without it, and is completed once it is there. May it?"
	}
	return text + ". May it start without it, and how?"
}

// words says how a knot was opened, on the whole.
func (k Knot) words() string {
	var parts []string
	count := make(map[Means]int)
	for _, o := range k.Opened {
		count[o.Means]++
	}
	for _, m := range []struct {
		means     Means
		one, many string
	}{
		{ByAnswer, "one answer", "answers"},
		{ByRule, "one rule for how to start", "rules for how to start"},
		{Weak, "one dependency given up for little evidence", "dependencies given up for little evidence"},
		{Least, "one dependency given up as the least harm", "dependencies given up as the least harm"},
	} {
		switch n := count[m.means]; n {
		case 0:
		case 1:
			parts = append(parts, m.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, m.many))
		}
	}
	text := fmt.Sprintf("%d components need each other. The knot is opened by %s.", len(k.Components), strings.Join(parts, ", "))
	switch {
	case k.Cost == 0:
	case k.Cost == k.Least:
		text += fmt.Sprintf(" What is given up costs %d; it is proven that nothing costs less.", k.Cost)
	default:
		text += fmt.Sprintf(" What is given up costs %d; it is proven that nothing costs less than %d, so this may be up to %d %% too much.",
			k.Cost, k.Least, (100*(k.Cost-k.Least)+k.Least-1)/max(1, k.Least))
	}
	return text
}
