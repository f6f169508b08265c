package daemon

import (
	"os/exec"
	"syscall"
)

// apart puts a child into a process group of its own, and has the kernel end
// it with this process, in case the end of its standard input is not noticed.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
