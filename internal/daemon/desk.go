package daemon

import (
	"context"
	"errors"
	"net/netip"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

var errNotYet = errors.New("not yet")

func (s *Safe) Invite(ctx context.Context, name safe.PersonName, roles []access.Role) (access.Invitation, error) {
	return access.Invitation{}, errNotYet
}
func (s *Safe) Enrol(ctx context.Context, from netip.Addr, token access.Token, enrolment []byte) error {
	return errNotYet
}
func (s *Safe) Everyone(ctx context.Context, after int) (api.Everyone, error) {
	return api.Everyone{}, errNotYet
}

// Voice returns who goes by that name, api.ErrNotFound if nobody may call by it.
func (s *Safe) Voice(ctx context.Context, name safe.PersonName) (api.Voice, error) {
	return api.Voice{}, errNotYet
}

// Admit reports why a person, whose signature was verified, may not call from
// that address: an *api.DeniedError.
func (s *Safe) Admit(ctx context.Context, from netip.Addr, name safe.PersonName) error {
	return errNotYet
}
func (s *Safe) Propose(ctx context.Context, from netip.Addr, roster []byte, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) Agree(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) Object(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) Suspend(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) BeginKeyCheck(ctx context.Context, from netip.Addr, who safe.PersonName, check api.KeyCheck) (api.Challenge, error) {
	return api.Challenge{}, errNotYet
}
func (s *Safe) AnswerKeyCheck(ctx context.Context, from netip.Addr, who safe.PersonName, answer api.Answer) error {
	return errNotYet
}
func (s *Safe) BeginRecovery(ctx context.Context, from netip.Addr) (api.Challenge, error) {
	return api.Challenge{}, errNotYet
}
func (s *Safe) AnswerRecovery(ctx context.Context, from netip.Addr, answer api.Answer) (api.Recovery, error) {
	return api.Recovery{}, errNotYet
}
func (s *Safe) Recover(ctx context.Context, from netip.Addr, ticket access.Token, roster []byte) error {
	return errNotYet
}
func (s *Safe) Snapshots(ctx context.Context) ([]api.Snapshot, error) { return nil, errNotYet }
func (s *Safe) Head(ctx context.Context, from int64) (api.Head, error) {
	return api.Head{}, errNotYet
}
func (s *Safe) Request(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) Openings(ctx context.Context) ([]api.Opening, error) { return nil, errNotYet }
func (s *Safe) Opening(ctx context.Context, id safe.OpeningID) (api.Opening, error) {
	return api.Opening{}, errNotYet
}
func (s *Safe) Grant(ctx context.Context, from netip.Addr, keykeeper safe.PersonName, id safe.OpeningID, known int64) (api.Granted, error) {
	return api.Granted{}, errNotYet
}
func (s *Safe) Envelopes(ctx context.Context, from netip.Addr, keykeeper safe.PersonName, id safe.OpeningID, after safe.RunID) ([]api.Envelope, error) {
	return nil, errNotYet
}
func (s *Safe) Release(ctx context.Context, from netip.Addr, release opening.Release, inner []api.Inner) error {
	return errNotYet
}
func (s *Safe) Refuse(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) Withdraw(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}
func (s *Safe) CloseOpening(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return errNotYet
}

// Refused records that somebody tried what they may not.
func (s *Safe) Refused(ctx context.Context, what, reason string, from netip.Addr) {}

// Serve serves people until ctx ends.
func (s *Safe) Serve(ctx context.Context) error { return errNotYet }
