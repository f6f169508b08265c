package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/gate"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/child"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
)

// gateTask says what the gate of an opening shows, and to whom.
func (s *Safe) gateTask(ctx context.Context, a asked, grant opening.Grant, inner []api.Inner, listen netip.AddrPort) (child.GateTask, error) {
	fail := func(err error) (child.GateTask, error) { return child.GateTask{}, err }
	if got := s.Roster().Gate; got != s.keys.gate.public {
		return fail(fmt.Errorf("the roster names another host key of the gate than the one in %s", keysPath(s.config)))
	}
	descriptions, err := described(s.state.View(ctx), a.request)
	if err != nil {
		return fail(err)
	}
	files := []gate.File{
		{Name: layout.FormatName, Content: layout.Format(s.id)},
		{Name: "README", Content: []byte(gateReadme(grant))},
	}
	for _, in := range inner {
		files = append(files, gate.File{Name: layout.Inner(in.Run), Content: in.File})
	}
	for _, d := range descriptions {
		files = append(files, gate.File{Name: layout.Snapshot(d.Run), Content: d.Encode()})
	}
	evidence, err := s.evidence(ctx, a.request, descriptions)
	if err != nil {
		return fail(err)
	}
	inbox := s.inboxPath(grant.Opening)
	if err := makeInbox(inbox); err != nil {
		return fail(err)
	}
	return child.GateTask{
		StorePath: s.config.Store, InboxPath: inbox,
		Gate: gate.Task{
			Listen: listen, Peer: grant.Address, User: string(grant.Operator), Key: grant.Key.String(), HostKey: s.keys.gate.private,
			Until: grant.Until, Files: append(files, evidence...), Scope: scopeOf(descriptions),
		},
	}, nil
}

// evidence returns the files by which the operator's program verifies the
// descriptions: ledger and roster.
func (s *Safe) evidence(ctx context.Context, q access.Request, descriptions []safe.Snapshot) ([]gate.File, error) {
	head, size, err := s.head(ctx, q.Known)
	if err != nil {
		return nil, err
	}
	files := []gate.File{{Name: "ledger/checkpoint", Content: head.Checkpoint}}
	if head.Consistency != nil {
		files = append(files, gate.File{Name: "ledger/proofs/consistency.json", Content: head.Consistency})
	}
	v := s.state.View(ctx)
	for _, d := range descriptions {
		proof, err := s.prove(ctx, v, d.Run, size)
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(proof)
		if err != nil {
			return nil, err
		}
		files = append(files, gate.File{Name: "ledger/proofs/" + d.Run.String() + ".json", Content: b})
	}
	for after := 0; ; after += maxLinks {
		links, err := v.Links(after, maxLinks)
		if err != nil {
			return nil, err
		}
		for i, link := range links {
			files = append(files, gate.File{Name: layout.Roster(after + 1 + i), Content: link.Roster})
		}
		if len(links) < maxLinks {
			return files, nil
		}
	}
}

// scopeOf returns the objects that the snapshots need, and no other.
func scopeOf(descriptions []safe.Snapshot) []gate.Scope {
	scopes := make(map[safe.RunID]*gate.Scope)
	of := func(run safe.RunID) *gate.Scope {
		if scopes[run] == nil {
			scopes[run] = &gate.Scope{Run: run}
		}
		return scopes[run]
	}
	for _, d := range descriptions {
		of(d.Run).Roots = append(of(d.Run).Roots, d.Root)
		for run, needs := range d.Runs {
			of(run).Packs = append(of(run).Packs, needs.Packs...)
		}
	}
	var all []gate.Scope
	for _, run := range runsOf(descriptions) {
		scope := scopes[run]
		slices.SortFunc(scope.Packs, safe.Digest.Compare)
		scope.Packs = slices.Compact(scope.Packs)
		all = append(all, *scope)
	}
	return all
}

// makeInbox makes the folder that an opening's gate may add to, if there is
// none.
func makeInbox(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) > 0 {
		return err // it is that of an opening that is prolonged
	}
	folder, err := dir.Create(path)
	if err != nil {
		return fmt.Errorf("making the inbox: %w", err)
	}
	return folder.Close()
}

func gateReadme(g opening.Grant) string {
	var b strings.Builder
	fmt.Fprintf(&b, "This is opening %s of store %s, for %s.\n", g.Opening, g.Store, g.Operator)
	fmt.Fprintf(&b, "It ends on %s, whatever is in flight.\n\n", g.Until.Format(time.RFC1123))
	b.WriteString("Read it with your own program, the one you had before:\n\n")
	b.WriteString("    strongroom restore --help\n\n")
	b.WriteString("This safe offers no program, and you should run none that it gives you.\n")
	b.WriteString("What you put into inbox/ (*.json) is kept, and recorded in the ledger.\n\n")
	b.WriteString("Snapshots:\n")
	for _, s := range g.Snapshots {
		fmt.Fprintf(&b, "    %s %s\n", s.Run, s.Source)
	}
	return b.String()
}
