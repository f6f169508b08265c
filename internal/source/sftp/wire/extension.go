package wire

import (
	"encoding/binary"
	"errors"
)

// askLimits learns how much one read may ask for, where the server says so
// (OpenSSH 8.5 and newer); otherwise it stays with what every server must take.
func (c *Client) askLimits() {
	if c.extensions["limits@openssh.com"] != "1" {
		return
	}
	call := c.send(withString(typeExtended, "limits@openssh.com"))[0]
	limits, err := parsed(c, call, typeExtendedReply, func(b []byte) (read uint64, err error) {
		p := parser{b: b}
		p.uint64() // longest packet
		read = p.uint64()
		return read, p.err
	})
	// An answer needs 13 bytes around the data.
	const most = maxPacket - 1024
	if err == nil && limits > uint64(c.ReadSize()) { // or else a request after this one says what is wrong
		c.readSize.Store(int64(min(limits, most)))
	}
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
