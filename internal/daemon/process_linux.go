package daemon

import (
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// apart puts a child into a process group of its own, and has the kernel end
// it with this process, in case the end of its standard input is not noticed.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// authorizedKey returns a public key as it stands in a file of known hosts.
func authorizedKey(k ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}
