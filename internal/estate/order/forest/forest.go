// Package forest chooses the domain controller that a domain of Active Directory
// is restored from, out of a table of all that it has, and says why, criterion
// by criterion.
//
// The criteria are Microsoft's (Active Directory Forest Recovery Guide,
// "Determine how to recover the forest"). It names them without saying which
// outweighs which; the order here is that of its own example. So it is a
// proposal, for a person to look at: whether a backup is good, and older than
// what it is to undo, no table says.
package forest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// An Is is what a table says of a property.
type Is int

const (
	Unknown Is = iota
	No
	Yes
)

// A Controller is a row of the table.
type Controller struct {
	Name          string
	System        string // "Windows Server 2022"
	Roles         string // the operations master roles that it holds
	Catalog       Is     // it is a global catalog
	ReadOnly      Is
	Backup        Is // there is a full backup that can be trusted
	DNS           Is // it is a DNS server, with the zones of forest and domain
	Core          Is // it is a Server Core installation
	Virtual       Is
	Accessible    Is // it can be reached, and so isolated
	NetworkUnlock Is // BitLocker Network Unlock is all that opens its disk
}

// A Choice is which one to restore, if any.
type Choice struct {
	Chosen  string   `json:"chosen,omitempty"` // none if nothing can be restored
	Why     string   `json:"why"`
	Ranking []Ranked `json:"ranking"`           // best first; those that cannot be restored last
	Advice  []string `json:"advice,omitempty"`  // what follows from the choice
	Missing []string `json:"missing,omitempty"` // if there is none: what would make one
}

// Ranked is a controller beside the others.
type Ranked struct {
	Name     string      `json:"name"`
	Possible bool        `json:"possible"` // it meets all that is mandatory
	Criteria []Criterion `json:"criteria"`
	Behind   string      `json:"behind,omitempty"` // why it is not the one before it
}

// A Criterion is what one property means for one controller.
type Criterion struct {
	Name      string `json:"name"`
	Mandatory bool   `json:"mandatory,omitempty"`
	Met       bool   `json:"met"`
	Why       string `json:"why"`
	rank      int    // the higher the better
}

// Choose returns the one to restore first in a domain. It does not depend on
// the order of the rows.
func Choose(table []Controller) Choice {
	table = slices.Clone(table)
	slices.SortFunc(table, func(a, b Controller) int { return cmp.Compare(a.Name, b.Name) })
	newest := 0
	for _, c := range table {
		if c.ReadOnly == No && c.Backup == Yes {
			newest = max(newest, version(c.System))
		}
	}
	choice := Choice{}
	for _, c := range table {
		criteria := judge(c, newest)
		possible := !slices.ContainsFunc(criteria, func(c Criterion) bool { return c.Mandatory && !c.Met })
		choice.Ranking = append(choice.Ranking, Ranked{Name: c.Name, Possible: possible, Criteria: criteria})
	}
	slices.SortStableFunc(choice.Ranking, compare)
	for i := range choice.Ranking {
		if i > 0 {
			choice.Ranking[i].Behind = behind(choice.Ranking[i-1], choice.Ranking[i])
		}
	}
	if len(choice.Ranking) == 0 || !choice.Ranking[0].Possible {
		choice.Why = "No domain controller of the table can be restored as the first one of its domain."
		choice.Missing = missing(table)
		return choice
	}
	best := choice.Ranking[0]
	choice.Chosen, choice.Why = best.Name, because(choice.Ranking)
	choice.Advice = advice(table[slices.IndexFunc(table, func(c Controller) bool { return c.Name == best.Name })])
	return choice
}

// judge goes through the criteria: what is mandatory first, then what counts for
// more before what counts for less.
func judge(c Controller, newest int) []Criterion {
	list := []Criterion{
		mandatory("writable", c.ReadOnly, No, "it is writable",
			"it is read-only: a writable domain controller cannot be restored from its backup", "the table does not say whether it is writable"),
		mandatory("backup", c.Backup, Yes, "there is a backup of it", "there is no backup of it", "the table does not say whether there is a backup of it"),
	}
	if c.NetworkUnlock == Yes {
		list = append(list, Criterion{Name: "unlock", Mandatory: true,
			Why: "its disk is opened by BitLocker Network Unlock, which needs a directory that is not there yet"})
	}
	v := version(c.System)
	clone := Criterion{Name: "virtual", Met: c.Virtual == Yes && v >= 2*2012, Why: "it is a virtual machine with Windows Server 2012 or newer, and so a source for clones"}
	switch {
	case clone.Met:
		clone.rank = 1
	case c.Virtual != Yes:
		clone.Why = "it is not known to be a virtual machine, and so no source for clones"
	default:
		clone.Why = fmt.Sprintf("%s is not known to be Windows Server 2012 or newer, and so no source for clones", named(c.System))
	}
	system := Criterion{Name: "system", Met: v > 0 && v >= newest, Why: named(c.System) + " is the newest system among those that can be restored", rank: v}
	if !system.Met {
		system.Why = named(c.System) + " is not the newest system among those that can be restored"
	}
	list = append(list, clone, system,
		wish("dns", c.DNS, Yes, "it is a DNS server, so names come back with it", "it is not a DNS server", "the table does not say whether it is a DNS server"))
	if c.Accessible != Unknown {
		list = append(list, wish("accessible", c.Accessible, Yes, "it can be reached, and so isolated", "it cannot be reached, and so hardly isolated", ""))
	}
	return append(list,
		wish("full", c.Core, No, "it is a full installation", "it is a Server Core installation, with which recovery is less convenient", "the table does not say whether it is a full installation"),
		wish("catalog", c.Catalog, No, "it is not a global catalog, which therefore need not be removed (a slight advantage)",
			"it is a global catalog, which has to be removed again if there are several domains (a slight disadvantage)", "the table does not say whether it is a global catalog"))
}

func named(system string) string {
	if system == "" {
		return "an unknown system"
	}
	return system
}

func mandatory(name string, is, wanted Is, met, not, unknown string) Criterion {
	c := wish(name, is, wanted, met, not, unknown)
	c.Mandatory = true
	return c
}

func wish(name string, is, wanted Is, met, not, unknown string) Criterion {
	switch is {
	case wanted:
		return Criterion{Name: name, Met: true, Why: met, rank: 1}
	case Unknown:
		return Criterion{Name: name, Why: unknown}
	default:
		return Criterion{Name: name, Why: not}
	}
}

var year = regexp.MustCompile(`\b(20[0-9]{2})( R2)?\b`)

// version is the year of a system, twice, and one more for its second release;
// 0 if it is unknown.
func version(system string) int {
	m := year.FindStringSubmatch(system)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // four digits
	n *= 2
	if m[2] != "" {
		n++
	}
	return n
}

// compare puts what can be restored first, and then what is better in the first
// criterion in which two differ.
func compare(a, b Ranked) int {
	if a.Possible != b.Possible {
		if a.Possible {
			return -1
		}
		return 1
	}
	if c := differ(a, b); c != "" {
		return cmp.Compare(b.of(c).rank, a.of(c).rank)
	}
	return cmp.Compare(a.Name, b.Name)
}

// names are those of all criteria, in the order in which they count.
var names = []string{"writable", "backup", "unlock", "virtual", "system", "dns", "accessible", "full", "catalog"}

func (r Ranked) of(name string) Criterion {
	i := slices.IndexFunc(r.Criteria, func(c Criterion) bool { return c.Name == name })
	if i < 0 {
		// What is not said of one is no fault of it.
		return Criterion{Name: name, Met: true, rank: 1}
	}
	return r.Criteria[i]
}

// differ returns the first criterion in which two differ, or "".
func differ(a, b Ranked) string {
	for _, name := range names {
		if a.of(name).rank != b.of(name).rank {
			return name
		}
	}
	return ""
}

func behind(before, r Ranked) string {
	if !r.Possible {
		var why []string
		for _, c := range r.Criteria {
			if c.Mandatory && !c.Met {
				why = append(why, c.Why)
			}
		}
		return "It cannot be the first: " + strings.Join(why, "; ") + "."
	}
	name := differ(before, r)
	if name == "" {
		return fmt.Sprintf("It is as good as %s in all criteria, and comes after it by its name.", before.Name)
	}
	return fmt.Sprintf("%s comes first: of %s, %s; of this one, %s.", before.Name, before.Name, before.of(name).Why, r.of(name).Why)
}

// because says why the first one is.
func because(ranking []Ranked) string {
	best := ranking[0]
	var speaks, against []string
	for _, c := range best.Criteria {
		if c.Met {
			speaks = append(speaks, c.Why)
		} else {
			against = append(against, c.Why)
		}
	}
	text := fmt.Sprintf("Restore %s: %s.", best.Name, strings.Join(speaks, "; "))
	if len(against) > 0 {
		text += fmt.Sprintf(" Against it: %s. By these criteria, in their order, no other that can be restored is better.", strings.Join(against, "; "))
	}
	return text
}

// advice is what has to be done because of what the chosen one is.
func advice(c Controller) []string {
	list := []string{
		"Have the DSRM password of this domain controller, and that of a domain administrator of the time of the backup.",
		"Restore it on an isolated network: AD DS non-authoritatively, SYSVOL authoritatively. Read-only and all other domain controllers stay off, and are made anew later.",
	}
	if c.Roles != "" {
		list = append(list, fmt.Sprintf("It holds operations master roles (%s). That is neither for nor against it: all roles are seized after the restore.", c.Roles))
	} else {
		list = append(list, "It holds no operations master role. Seize all of them after the restore.")
	}
	switch c.DNS {
	case Yes:
		list = append(list, "Make its own address its preferred DNS server, until others are there.")
	default:
		list = append(list, "Install the DNS Server role on it right after the restore, and make its own address its preferred DNS server.")
	}
	switch c.Catalog {
	case Yes:
		list = append(list, "If the forest has several domains, remove the global catalog from it after the restore.")
	default:
		list = append(list, `Until there is a global catalog, log in as the built-in Administrator (RID 500), or set HKLM\SYSTEM\CurrentControlSet\Control\Lsa, IgnoreGCFailures, to 1 for that time.`)
	}
	return list
}

// missing says what would make one of the table a candidate.
func missing(table []Controller) []string {
	if len(table) == 0 {
		return []string{"The table has no domain controller."}
	}
	var list []string
	for _, c := range table {
		var lacks []string
		for _, k := range judge(c, 0) {
			if k.Mandatory && !k.Met {
				lacks = append(lacks, k.Why)
			}
		}
		list = append(list, fmt.Sprintf("%s: %s.", c.Name, strings.Join(lacks, "; ")))
	}
	return list
}
