package child

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFailed(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/srv/store/stage/(unnamed)", Err: syscall.ENOSPC}
	for _, c := range []struct {
		err  error
		want CollectAnswer
	}{
		{errors.New("connection refused"), CollectAnswer{Failed: "connection refused"}},
		{fmt.Errorf("writing a pack: %w", full),
			CollectAnswer{Failed: "no space left on device, in /srv/store/stage", NoSpace: true}},
		{fmt.Errorf("remembering: %w", syscall.EDQUOT), CollectAnswer{Failed: "no space left on device", NoSpace: true}},
	} {
		var out bytes.Buffer
		(&answerer{encoder: json.NewEncoder(&out)}).failed(c.err)
		var got CollectAnswer
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.err, diff)
		}
	}
}
