package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
)

// RuleMap records what an officer has signed of a dependency.
func (s *Safe) RuleMap(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	err := s.change(ctx, from, access.Rule{}.Act(), func(tx *state.Tx) error {
		sit, h, act, err := officerAct[access.Rule](s, tx, signed)
		if err != nil {
			return err
		}
		if err := checkReason(act.Reason); err != nil {
			return err
		}
		verdict, ok := verdicts[act.Verdict]
		if !ok {
			return invalid("%.40q is no verdict", act.Verdict)
		}
		r := estate.Ruling{Verdict: verdict, From: estate.ID(act.From), To: estate.ID(act.To), Need: estate.Need(act.Need)}
		if err := s.mayRule(tx.View(), sit.now, r); err != nil {
			if overruled, ok := errors.AsType[*OverruledError](err); ok {
				return invalid("%v. Change it there", overruled)
			}
			return err
		}
		return tx.Append(sit.now, ledger.Who(h.Person), ledger.MapRuled{
			Verdict: act.Verdict, From: act.From, To: act.To, Need: act.Need, Reason: act.Reason, Signed: signed,
		})
	})
	return s.thenRedraw(ctx, err)
}

// TakeBackRuling takes back what an entry of the ledger says of the map, as an
// officer has signed, whoever has said it.
func (s *Safe) TakeBackRuling(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	err := s.change(ctx, from, access.TakeBack{}.Act(), func(tx *state.Tx) error {
		sit, h, act, err := officerAct[access.TakeBack](s, tx, signed)
		if err != nil {
			return err
		}
		if err := checkReason(act.Reason); err != nil {
			return err
		}
		rulings, err := rulingsOf(tx.View())
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(rulings, func(r Ruling) bool { return r.Entry == act.Entry }) {
			return invalid("nothing that entry %d of the ledger says of the map is in force", act.Entry)
		}
		return tx.Append(sit.now, ledger.Who(h.Person), ledger.MapWithdrawn{Entry: act.Entry, Reason: act.Reason, Signed: signed})
	})
	return s.thenRedraw(ctx, err)
}

// officerAct is hearAct for what only officers do.
func officerAct[A access.Act](s *Safe, tx *state.Tx, signed ledger.Signed) (situation, heard, A, error) {
	sit, h, act, err := hearAct[A](s, tx, signed)
	if err == nil {
		_, err = sit.holder(h.Person, access.Officer)
	}
	return sit, h, act, err
}

func checkReason(reason ledger.Text) error {
	switch {
	case strings.TrimSpace(string(reason)) == "":
		return invalid("it gives no reason")
	case len(reason) > estate.MaxDetail:
		return invalid("its reason has %d bytes, at most %d are possible", len(reason), estate.MaxDetail)
	}
	return nil
}

// thenRedraw sees to what follows when something was said of the map, unless err
// says that nothing was. What was said stands, whatever becomes of that.
func (s *Safe) thenRedraw(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if err := s.redrawn(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("what follows from what was said of the map is not recorded yet", "error", err)
	}
	return nil
}
