package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/daemon/mail"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/layout"
)

// A post is a safe's mails on their way out.
type post struct {
	mu      sync.Mutex // held while mails are delivered; guards the fields below
	mailer  *mail.Mailer
	program safe.Digest // of this program; zero until it is needed
}

// ErrNoMail says that the configuration has no section mail.
var ErrNoMail = errors.New("no mail is configured")

// Recipients returns the addresses of all who are told what happens: those of
// the roster's people and those of the configuration, each once. There are
// none if no mail is configured.
func (s *Safe) Recipients() []string { return s.recipientsWith(s.Roster()) }

// recipientsWith is Recipients while that roster is in force.
func (s *Safe) recipientsWith(r access.Roster) []string {
	if s.config.Mail == nil {
		return nil
	}
	var all []string
	add := func(address string) {
		if address != "" && !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	for _, person := range r.People {
		add(person.Mail)
	}
	for _, address := range s.config.Mail.To {
		add(address)
	}
	return all
}

// welcome has those whom a version of the roster brings told of it first: the
// ledger entry that says that it is in force.
func (s *Safe) welcome(tx *state.Tx, before, next access.Roster, entry int64) error {
	told := s.recipientsWith(before)
	for _, address := range s.recipientsWith(next) {
		if slices.Contains(told, address) {
			continue
		}
		if err := tx.MeetRecipient(address, entry); err != nil {
			return err
		}
	}
	return nil
}

// meetRecipients sees to it that those who are told what happens are told also
// of what comes next. Who is new begins at the ledger's end, unless a roster has
// brought them: see welcome.
func (s *Safe) meetRecipients(ctx context.Context) error {
	return s.state.MeetRecipients(ctx, s.Recipients())
}

// DeliverMails sends what people are to be told and were not told yet, and
// returns how many mails the server took. Without a section mail in the
// configuration, and while another process delivers them, it does nothing.
//
// next is when to call it again though nothing new happens, after a failure;
// it is zero if nothing waits. Nothing is lost if it is not called: the next
// call, also of another process, sends what waits. For its errors see
// mail.Mailer.
func (s *Safe) DeliverMails(ctx context.Context) (sent int, next time.Time, err error) {
	if s.config.Mail == nil {
		return 0, time.Time{}, nil
	}
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	unlock, err := lockFile(filepath.Join(s.config.Dir, "mail.lock"))
	if errors.Is(err, ErrBusy) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, err
	}
	defer unlock()
	if s.post.mailer == nil {
		s.post.mailer = s.newMailer()
	}
	return s.post.mailer.Deliver(ctx)
}

func (s *Safe) newMailer() *mail.Mailer {
	return mail.New(mail.Options{
		State: s.state, Sender: s.mailSender(),
		Safe: s.describeLocked, Keys: s.LedgerKeys, Recipients: s.Recipients, Refused: s.recordRefusedMail,
		Logger: s.log, Now: s.opts.Now,
	})
}

func (s *Safe) mailSender() *mail.Sender {
	return &mail.Sender{Config: *s.config.Mail, Now: s.opts.Now}
}

// refusedMail is the finding that the server will not have what is sent to
// somebody.
const refusedMail = "mail.refused"

// recordRefusedMail makes a finding of a mail that the server will not have:
// somebody is not told what happens.
func (s *Safe) recordRefusedMail(tx *state.Tx, refused *mail.RefusedError) error {
	return tx.Append(s.opts.Now(), ledger.Safe, ledger.FindingRaised{
		Finding: refusedMail, Subject: ledger.TextOf(refused.Recipient), Text: ledger.TextOf(refused.Error()),
	})
}

// SendTestMail sends one mail to the address now, and returns why it could not
// be sent: ErrNoMail or an error of mail.Sender.
func (s *Safe) SendTestMail(ctx context.Context, address string) error {
	if s.config.Mail == nil {
		return ErrNoMail
	}
	s.post.mu.Lock()
	about, err := s.describeLocked(ctx)
	s.post.mu.Unlock()
	if err != nil {
		return err
	}
	message, err := s.testMail(ctx, about, address)
	if err != nil {
		return err
	}
	return s.mailSender().Send(ctx, address, message)
}

func (s *Safe) testMail(ctx context.Context, about mail.Safe, address string) (mail.Message, error) {
	cursors, err := s.state.MailCursors(ctx)
	if err != nil {
		return mail.Message{}, err
	}
	checkpoint, err := s.state.Checkpoint(ctx)
	if err != nil {
		return mail.Message{}, err
	}
	newest, err := ledger.ParseCheckpoint(checkpoint, s.LedgerKeys()...)
	if err != nil {
		return mail.Message{}, err
	}
	// From the last mail, which this one does not become: the next goes on from
	// there, too.
	proof, err := s.state.ProveConsistency(ctx, cursors[address].Mailed, newest.Size)
	if err != nil {
		return mail.Message{}, err
	}
	return mail.Test(about, s.opts.Now(), mail.Proof{Checkpoint: checkpoint, Consistency: proof})
}

// ProbeMail connects to the mail server and logs in, and sends nothing. Its
// errors are ErrNoMail and those of mail.Sender.
func ProbeMail(ctx context.Context, cfg *config.Config) error {
	if cfg.Mail == nil {
		return ErrNoMail
	}
	return (&mail.Sender{Config: *cfg.Mail}).Probe(ctx)
}

// describeLocked says what every mail says of this safe. s.post.mu must be
// held.
func (s *Safe) describeLocked(ctx context.Context) (mail.Safe, error) {
	founding, err := s.foundingWords(ctx)
	if err != nil {
		return mail.Safe{}, err
	}
	if s.post.program.IsZero() {
		if s.post.program, err = ownDigest(); err != nil {
			return mail.Safe{}, fmt.Errorf("reading this program: %w", err)
		}
	}
	keys := s.LedgerKeys()
	about := mail.Safe{
		Name: s.config.Safe, SubjectPrefix: s.config.Mail.SubjectPrefix, LedgerKey: keys[len(keys)-1],
		Words: founding, Program: s.post.program, Scripts: s.opts.Pages, Zone: time.Local,
	}
	if s.config.Serve != nil {
		if origins := s.config.Serve.Origins(); len(origins) > 0 {
			about.Pages = origins[0]
		}
	}
	return about, nil
}

// foundingWords returns the words of the first roster that had both roles,
// which people compared when they pinned it; "" as long as there is none.
func (s *Safe) foundingWords(ctx context.Context) (string, error) {
	founding, ok, err := foundingRoster(s.Roster(), func(number int, digest safe.Digest) (access.Roster, error) {
		b, err := s.readOrOutbox(ctx, layout.Roster(number), access.MaxRoster, func(b []byte) error {
			if safe.DigestOf(b) != digest {
				return errors.New("it is not the roster that the next one names")
			}
			return nil
		})
		if err != nil {
			return access.Roster{}, err
		}
		return access.ParseRoster(b)
	})
	if err != nil || !ok {
		return "", err
	}
	return words.Of(founding.Digest()), nil
}

// foundingRoster goes back from the newest roster, each naming the one before
// it, to the first that had both roles. ok is false if the newest has not.
func foundingRoster(newest access.Roster, read func(number int, digest safe.Digest) (access.Roster, error)) (founding access.Roster, ok bool, err error) {
	for r := newest; r.Founded(); {
		founding, ok = r, true
		if r.Number == 1 {
			break
		}
		if r, err = read(r.Number-1, r.Previous); err != nil {
			return access.Roster{}, false, fmt.Errorf("reading roster %d: %w", founding.Number-1, err)
		}
	}
	return founding, ok, nil
}

// ownDigest returns the SHA-256 of the program that runs, also if another one
// has been installed in its place since.
func ownDigest() (safe.Digest, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return safe.Digest{}, err
	}
	defer f.Close() // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return safe.Digest{}, err
	}
	return safe.Digest(h.Sum(nil)), nil
}
