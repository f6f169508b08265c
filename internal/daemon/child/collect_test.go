package child

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
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

// A line of nothing but empty values is refused before it is read into memory.
func TestAnswersOfManyValues(t *testing.T) {
	for values, refused := range map[int]bool{1000: false, maxValues + 2: true} {
		line := `{"facts":{"doubts":["` + strings.Repeat(`","`, values-1) + "\"]}}\n"
		var answer CollectAnswer
		err := ReadAnswer(bufio.NewReader(strings.NewReader(line)), &answer)
		if refused != (err != nil) || !refused && len(answer.Facts.Doubts) != values {
			t.Errorf("%d values: %v", values, err)
		}
	}
}
