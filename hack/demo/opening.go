package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// hours is how long the openings of the demo may last.
const hours = "2"

// open is a request and its release.
func (d *demo) open() error {
	d.say("The ERP's disks are gone. From his own address Otto asks for three snapshots, and says why. Nothing opens by that: everybody gets a mail.")
	before := d.arrived(d.kim.mail())
	if _, err := d.shell(d.otto.machine, fmt.Sprintf("strongroom opening request --snapshot %s --snapshot %s --snapshot %s --hours %s --reason \"the ERP's disks are gone\"",
		d.named(erp, 1), d.named(erp, 0), d.named(files, 1), hours), 0); err != nil {
		return err
	}
	l, err := d.await(d.kim.mail(), "otto asks to read", before)
	if err != nil {
		return err
	}
	if d.page, err = render(l); err != nil {
		return err
	}
	d.show(l)
	if err := shut(d.safe.gate); err != nil {
		return err
	}
	d.say("Kim calls Otto: it is him. Her machine checks his signature, the roster and the ledger, shows what she would disclose, takes off the outer seals, and signs:")
	if err := d.says(d.kim.machine, "strongroom opening release --yes"+unlock, 0, "the ERP's disks are gone", "from      "+addressOfOtto); err != nil {
		return err
	}
	return d.says(d.otto.machine, "strongroom opening show", 0, "is open", d.safe.gate)
}

// sshConfig lets the real clients come from Otto's address, with his key. They
// accept the host key that the roster names, and no other.
const sshConfig = `Host gate
  HostName %s
  Port %s
  BindAddress %s
  User otto
  IdentityFile id_ed25519
  IdentitiesOnly yes
  BatchMode yes
  UserKnownHostsFile known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
`

// gate tries what the gate must refuse, with OpenSSH's own clients.
func (d *demo) gate() error {
	machine := d.otto.machine
	err := os.WriteFile(d.path(machine, "ssh_config"), fmt.Appendf(nil, sshConfig, addressOfSafe, port(d.safe.gate), addressOfOtto), 0o600)
	if err != nil {
		return err
	}
	if _, err := d.quietly(machine, `printf '[%s]:%s %s\n' `+addressOfSafe+" "+port(d.safe.gate)+` "$(jq -r .gate config/strongroom/acme/roster.json)" > known_hosts`, 0); err != nil {
		return err
	}
	d.say("A port is open now, for a key, an address and some hours. Somebody has stolen Otto's SSH key, and comes from elsewhere (%s):", addressOfKim)
	if err := d.says(machine, "ssh -F ssh_config -b "+addressOfKim+" gate id", 255, "Connection "); err != nil {
		return err
	}
	d.say("From Otto's own address, somebody wants a shell, and a way on into the network behind:")
	if err := d.says(machine, "ssh -F ssh_config gate id", 255, "exec request failed"); err != nil {
		return err
	}
	if err := d.says(machine, "ssh -F ssh_config -W "+d.production.server.Addr+" gate < /dev/null", 255, "administratively prohibited"); err != nil {
		return err
	}
	if err := d.peek(machine); err != nil {
		return err
	}
	return d.wait("the ledger tells of the refusals", func() (bool, error) {
		told, err := d.quietly("safe", "strongroom ledger show | grep access.refused", 0)
		return strings.Count(told, "gate from "+addressOfOtto) >= 6 && strings.Contains(told, "gate from "+addressOfKim), err
	})
}

// peek looks around at the gate as Otto may, for what was not released.
func (d *demo) peek(machine string) error {
	other := d.nights[1].kept[payroll].Run
	d.say("And Otto, who may read, wants the payroll too, and leave something of his (a line that begins with - may fail):")
	out, err := d.shell(machine, fmt.Sprintf(`printf '%%s\n' 'ls -1 snapshots' '-get runs/%s/inner.age stolen' '-get snapshots/%[1]s.json stolen' '-put passphrase runs/planted' '-rm README' | sftp -q -F ssh_config -b - gate`, other), 0)
	if err != nil {
		return err
	}
	for _, c := range comebacks {
		if run := d.nights[c.night].kept[c.source].Run; !strings.Contains(out, run+".json") {
			return fmt.Errorf("the gate does not show the snapshot %s, which was released", run)
		}
	}
	if n := strings.Count(out, ".json\n"); n != len(comebacks) {
		return fmt.Errorf("the gate shows %d snapshots, and %d were released", n, len(comebacks))
	}
	if missing, denied := strings.Count(out, "not found"), strings.Count(out, "ermission denied"); missing != 2 || denied != 2 {
		return fmt.Errorf("the gate says of %d objects that they are not there, and denies %d changes; both should be 2", missing, denied)
	}
	if _, err := os.Lstat(d.path(machine, "stolen")); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("something of the payroll came through the gate")
	}
	d.say("Three snapshots are there, and only what they need; nothing of the payroll. Each attempt stands in the ledger.")
	return nil
}

// A closing is what "opening list --all --json" says about an opening.
type closing struct {
	Type     string `json:"type"`
	Opening  string `json:"opening"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Cause    string `json:"cause"`
	Sessions int64  `json:"sessions"`
	Objects  int64  `json:"objects"`
	Bytes    int64  `json:"bytes"`
}

// opening asks, as Kim, for the opening that was asked for with that reason.
func (d *demo) opening(reason string) (closing, error) {
	out, err := d.quietly(d.kim.machine, "strongroom opening list --all --json", 0)
	if err != nil {
		return closing{}, err
	}
	return message[closing](out, func(c closing) bool { return c.Type == "opening" && c.Reason == reason })
}

// close closes the opening and compares what is told about it.
func (d *demo) close() error {
	before := d.arrived(auditor)
	d.say("Otto has what he needs, and closes. The port is gone, and with it the files that the safe held for him.")
	if _, err := d.shell(d.otto.machine, "strongroom opening close --yes", 0); err != nil {
		return err
	}
	if err := d.says(d.otto.machine, "sftp -F ssh_config gate", 255, "Connection refused"); err != nil {
		return err
	}
	o, err := d.opening("the ERP's disks are gone")
	if err != nil {
		return err
	}
	var least int64
	for _, c := range comebacks {
		if c.night == 1 { // the first night's packs are among those
			s := d.nights[0].kept[c.source]
			least += s.StoredBytes
		}
	}
	if o.State != "closed" || o.Sessions < int64(len(comebacks)) || o.Bytes < least {
		return fmt.Errorf("the opening is %+v, and should be closed, with %d sessions and %d bytes at least", o, len(comebacks), least)
	}
	l, err := d.await(auditor, "the opening is closed", before)
	if err != nil {
		return err
	}
	if told := size(o.Bytes); !strings.Contains(l.text, told) || !strings.Contains(l.text, o.Opening) {
		return fmt.Errorf("%s does not tell that %s were read in the opening %s", l.file, told, o.Opening)
	}
	d.show(l)
	d.say("The ledger has each step, signed by who took it:")
	told, err := d.shell("safe", "strongroom ledger show | grep -e ' opening[.]' -e ' access[.]' -e ' record[.]'", 0)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("read %s of %s objects", size(o.Bytes), count(o.Objects)); !strings.Contains(told, want) {
		return fmt.Errorf("the ledger does not tell that the opening %s", want)
	}
	if !strings.Contains(told, "record.accepted") {
		return errors.New("the ledger does not tell that Otto found right what came back")
	}
	return nil
}

// theft is an opening that ends while somebody reads.
func (d *demo) theft() error {
	const reason = "one more look"
	d.say("Another day: Otto asks again, Kim releases. Then his laptop is stolen, unlocked, and on his own network somebody copies what there is:")
	if _, err := d.quietly(d.otto.machine, "strongroom opening request --snapshot erp --hours "+hours+" --reason '"+reason+"'", 0); err != nil {
		return err
	}
	if _, err := d.quietly(d.kim.machine, "strongroom opening release --yes"+unlock, 0); err != nil {
		return err
	}
	pack, err := largest(d.path("safe/store/runs", d.nights[0].kept[erp].Run, "packs"))
	if err != nil {
		return err
	}
	whole, err := os.Stat(pack)
	if err != nil {
		return err
	}
	// So slowly that it would take more than our patience.
	limit := whole.Size() * 8 / 1000 / int64((2 * patience).Seconds())
	copying, err := d.start(d.otto.machine, fmt.Sprintf("sftp -q -F ssh_config -l %d gate:runs/%s/packs/%s loot", limit, d.nights[0].kept[erp].Run, filepath.Base(pack)), "sftp.log")
	if err != nil {
		return err
	}
	defer copying.stop()
	loot := func() int64 {
		info, err := os.Stat(d.path(d.otto.machine, "loot"))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	if err := d.wait("the copying begins", func() (bool, error) { return loot() > 0, nil }); err != nil {
		return err
	}
	d.say("Otto calls Kim. Anybody of the safe may suspend anybody, at once:")
	if _, err := d.shell(d.kim.machine, "strongroom people suspend otto --reason 'laptop stolen' --yes", 0); err != nil {
		return err
	}
	suspended := time.Now()
	select {
	case <-copying.done:
	case <-time.After(patience):
		return errors.New("the copying goes on after Otto was suspended")
	}
	said, err := copying.output()
	if err != nil {
		return err
	}
	if copying.err == nil || loot() >= whole.Size() {
		return fmt.Errorf("the copying was not broken off: %s", said)
	}
	if err := shut(d.safe.gate); err != nil {
		return err
	}
	o, err := d.opening(reason)
	if err != nil {
		return err
	}
	if o.State != "closed" || !strings.Contains(o.Cause, "suspended") {
		return fmt.Errorf("the opening is %s because %q, and should be closed because of the suspension", o.State, o.Cause)
	}
	d.say("Cut off %.1f seconds later, with %s of a pack of %s, still sealed. And the laptop is good for nothing more:", time.Since(suspended).Seconds(), size(loot()), size(whole.Size()))
	return d.says(d.otto.machine, "strongroom opening request --snapshot erp --hours "+hours+" --reason again", 4, "is suspended")
}
