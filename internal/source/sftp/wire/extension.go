package wire

import (
	"encoding/binary"
	"errors"
)

const (
	// usualRead is how much every server must be able to give at once.
	usualRead = 32 << 10
	// fewHandles is how many are open at most where the server does not say
	// how many may be: of a thousand or more that servers commonly have, a part.
	fewHandles = 192
)

// askLimits learns how much one read may ask for and how much may be open,
// where the server says so (OpenSSH 8.5 and newer); otherwise it stays with
// what every server takes.
func (c *Client) askLimits() {
	defer close(c.limited)
	if c.extensions["limits@openssh.com"] != "1" {
		return
	}
	call := c.send(withString(typeExtended, "limits@openssh.com"))[0]
	limits, err := parsed(c, call, typeExtendedReply, parseLimits)
	if err != nil {
		return // a request after this one says what is wrong, if it is not only refused
	}
	if limits.read > 0 {
		c.readSize.Store(int64(limits.read))
	}
	if limits.handles > 0 {
		c.handles = int(limits.handles)
	}
}

// Handles is how many files and folders the server lets be open at a time, as
// it says itself or as can be supposed. It waits until the server has answered.
func (c *Client) Handles() int {
	<-c.limited
	return c.handles
}

// limits are what a server says of itself; 0 where it does not say.
type limits struct{ read, handles uint32 }

func parseLimits(b []byte) (limits, error) {
	p := parser{b: b}
	packet, read := p.uint64(), p.uint64()
	p.uint64() // what one write may hold
	handles := p.uint64()
	// An answer needs 13 bytes around the data.
	const around, most, least = 1024, maxPacket - 1024, 4 << 10
	if packet > around {
		read = min(read, packet-around)
	}
	l := limits{handles: uint32(min(handles, 1<<20))}
	if read > 0 {
		l.read = uint32(max(min(read, most), least)) // less is never given up for: the server may always give less
	}
	return l, p.err
}

// Owners returns what users and groups are called, in the order asked for, ""
// where there is no name. Where the server cannot tell (OpenSSH can from 8.7
// on), both are nil.
func (c *Client) Owners(uids, gids []uint32) (users, groups []string, err error) {
	const name = "users-groups-by-id@openssh.com"
	if c.extensions[name] != "1" {
		return nil, nil, nil
	}
	call := c.send(request{typ: typeExtended, fields: func(b []byte) []byte {
		b = appendString(b, name)
		for _, ids := range [][]uint32{uids, gids} {
			b = binary.BigEndian.AppendUint32(b, uint32(4*len(ids)))
			for _, id := range ids {
				b = binary.BigEndian.AppendUint32(b, id)
			}
		}
		return b
	}})[0]
	lists, err := parsed(c, call, typeExtendedReply, parseOwners)
	if err != nil {
		return nil, nil, ignoreStatus(err)
	}
	if len(lists[0]) != len(uids) || len(lists[1]) != len(gids) {
		err := &ProtocolError{errors.New("not as many names of owners as were asked for")}
		c.fail(err)
		return nil, nil, err
	}
	return lists[0], lists[1], nil
}

// parseOwners reads two strings, each holding strings.
func parseOwners(b []byte) (lists [2][]string, err error) {
	p := parser{b: b}
	for i := range lists {
		inner := parser{b: p.bytes()}
		for len(inner.b) > 0 && inner.err == nil {
			lists[i] = append(lists[i], string(inner.bytes()))
		}
		if inner.err != nil {
			return lists, inner.err
		}
	}
	return lists, p.err
}

// ignoreStatus drops a refusal: the server announced an extension and does not
// offer it to us, as under an ACL of requests (sftp-server -p).
func ignoreStatus(err error) error {
	var refused *StatusError
	if errors.As(err, &refused) {
		return nil
	}
	return err
}
