package confine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// oldestABI is the first that can allow a file to be linked into another
	// folder, without which nothing can be put into a store (Linux 5.19).
	oldestABI = 2
	newestABI = 6
)

// What a ruleset handles is denied unless a rule grants it.
const (
	handledFS2  = unix.LANDLOCK_ACCESS_FS_REFER<<1 - 1     // all up to refer
	handledFS3  = unix.LANDLOCK_ACCESS_FS_TRUNCATE<<1 - 1  // and truncate
	handledFS5  = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV<<1 - 1 // and ioctl of devices
	handledNet4 = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	scoped6     = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
)

// What each kind of path grants. LANDLOCK_ACCESS_FS_EXECUTE is in none.
const (
	readRights   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	fileRights   = unix.LANDLOCK_ACCESS_FS_READ_FILE
	createRights = unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REFER
	// Making a file without a name takes no right to make one. The kernel
	// lets a file be linked only to where it can be used for no more than
	// before: out of a stage into the store, never back.
	stageRights = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_REFER
	workRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |
		unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
		unix.LANDLOCK_ACCESS_FS_REFER
)

// Apply confines the process to rules, irrevocably, and gives up privileges as
// NoNewPrivs does. It wants Landlock ABI 2 (Linux 5.19) or newer and fails if
// there is none; rules.AllowWithoutLandlock overrides. It cannot reach all
// threads of a program that was linked with cgo, and fails there in the same
// way.
//
// After an error the process must end: it may be confined in part.
func Apply(rules Rules) (Report, error) {
	report, err := apply(rules, kernelABI())
	if err != nil {
		return Report{}, fmt.Errorf("confining this process: %w", err)
	}
	return report, nil
}

// apply is Apply as on a kernel with the given ABI.
func apply(rules Rules, abi int) (Report, error) {
	if err := rules.checkApart(); err != nil {
		return Report{}, err
	}
	notes := openOn(abi) // reads /proc, so it comes before the restriction
	err := NoNewPrivs()
	if err == nil && abi < oldestABI {
		err = errors.New("there is no Landlock: it takes Linux 5.19 or newer, with landlock among the security modules (lsm=) it was started with")
	}
	if err != nil && rules.AllowWithoutLandlock {
		return Report{Notes: []string{"Nothing is confined: " + err.Error() + "."}}, nil
	}
	if err != nil {
		return Report{}, err
	}
	if err := restrict(rules, abi); err != nil {
		return Report{}, err
	}
	return Report{ABI: abi, Notes: notes}, nil
}

// kernelABI returns the Landlock ABI to be used, or 0 if there is none.
func kernelABI() int {
	abi, err := createRuleset(nil, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != nil {
		return 0
	}
	// Before this erratum was mended, a process whose threads were confined
	// one by one could not send signals to itself, which Go's scheduler does.
	const signalsWithinProcess = 1 << 1
	if errata, err := createRuleset(nil, unix.LANDLOCK_CREATE_RULESET_ERRATA); err != nil || errata&signalsWithinProcess == 0 {
		abi = min(abi, 5)
	}
	return min(abi, newestABI)
}

// openOn tells what stays open on a kernel with the given ABI.
func openOn(abi int) []string {
	var notes []string
	if abi < 3 {
		notes = append(notes, "truncate is not confined (Linux 6.2 does): only their mode 0400 and the immutable attribute keep objects from being emptied.")
	}
	if abi < 4 {
		notes = append(notes, "TCP is not confined (Linux 6.7 does).")
	}
	if abi < 6 {
		notes = append(notes, "Signals to other processes and abstract sockets are not confined (Linux 6.12 does).")
	}
	// Kernels without Multipath TCP have no such file.
	if b, err := os.ReadFile("/proc/sys/net/mptcp/enabled"); abi >= 4 && err == nil && !bytes.Equal(b, []byte("0\n")) {
		notes = append(notes, "Multipath TCP passes by what is confined of TCP: set the sysctl net.mptcp.enabled to 0.")
	}
	return notes
}

func restrict(rules Rules, abi int) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handledFS2}
	if abi >= 3 {
		attr.Handled_access_fs = handledFS3
	}
	if abi >= 4 {
		attr.Handled_access_net = handledNet4
	}
	if abi >= 5 {
		attr.Handled_access_fs = handledFS5
	}
	if abi >= 6 {
		attr.Scoped = scoped6
	}
	ruleset, err := createRuleset(&attr, 0)
	if err != nil {
		return os.NewSyscallError("landlock_create_ruleset", err)
	}
	defer unix.Close(ruleset) // it was read or is of no use

	for _, grant := range []struct {
		paths  []string
		folder bool
		rights uint64
	}{
		{rules.Read, true, readRights},
		{rules.ReadFile, false, fileRights},
		{rules.Create, true, createRights},
		{rules.Stage, true, stageRights},
		{rules.Work, true, workRights & attr.Handled_access_fs},
	} {
		for _, path := range grant.paths {
			if err := grantPath(ruleset, path, grant.folder, grant.rights); err != nil {
				return fmt.Errorf("allowing the use of %s: %w", path, err)
			}
		}
	}
	if attr.Handled_access_net != 0 {
		for _, port := range rules.Connect {
			if err := grantConnect(ruleset, port); err != nil {
				return fmt.Errorf("allowing connections to port %d: %w", port, err)
			}
		}
	}
	return onAllThreads("landlock_restrict_self", unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0)
}

// createRuleset returns a descriptor, or what flags ask for.
func createRuleset(attr *unix.LandlockRulesetAttr, flags uintptr) (int, error) {
	var size uintptr
	if attr != nil {
		size = unsafe.Sizeof(*attr)
	}
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), size, flags)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// grantPath adds a rule for what is at path and beneath. It insists on what is
// there: the right to read a file, on a folder, is that to read all in it.
func grantPath(ruleset int, path string, folder bool, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(fd) // a path: nothing was written through it
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	switch isFolder := st.Mode&unix.S_IFMT == unix.S_IFDIR; {
	case folder && !isFolder:
		return errors.New("it is not a folder")
	case !folder && isFolder:
		return errors.New("it is a folder, not a file")
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	return addRule(ruleset, unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&rule))
}

func grantConnect(ruleset int, port uint16) error {
	// struct landlock_net_port_attr and its rule type, which x/sys lacks.
	const ruleNetPort = 2
	rule := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)}
	return addRule(ruleset, ruleNetPort, unsafe.Pointer(&rule))
}

func addRule(ruleset int, kind uintptr, rule unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), kind, uintptr(rule), 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_add_rule", errno)
	}
	return nil
}

// NoNewPrivs makes that no program started from now on gains privileges by
// being set-user-ID or by having capabilities.
func NoNewPrivs() error {
	return onAllThreads("prctl(PR_SET_NO_NEW_PRIVS)", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
}

// onAllThreads makes a system call that changes only the thread that makes it
// on every thread there is; new ones are made in their likeness.
func onAllThreads(name string, trap, a1, a2 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, 0, 0, 0, 0)
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return fmt.Errorf("%s cannot reach all threads of a program that was linked with cgo: build it with CGO_ENABLED=0", name)
	}
	return os.NewSyscallError(name, errno)
}

// NoDump keeps the memory of the process out of core files and from other
// processes of the same user.
func NoDump() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return os.NewSyscallError("setrlimit(RLIMIT_CORE)", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_DUMPABLE)", err)
	}
	return nil
}

// NoSwap keeps the memory of the process, also what it will still get, out of
// swap. It takes an unlimited RLIMIT_MEMLOCK (LimitMEMLOCK=infinity of a unit)
// or CAP_IPC_LOCK, and does nothing without: below a limit a later allocation
// would fail, which no Go program survives. A caller may go on after an error
// if there is no swap or if it is encrypted.
func NoSwap() error {
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited); err != nil && !mayLockAll() {
		return os.NewSyscallError("setrlimit(RLIMIT_MEMLOCK)", err)
	}
	// On fault: the address space that Go reserves is far greater than what
	// it uses.
	err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	return os.NewSyscallError("mlockall", err)
}

// MostMemory bounds how much memory the process can still get, in bytes beside
// what it has. A program that needs more ends, as no Go program survives that:
// it is for what reads hostile bytes when nothing is lost with it.
func MostMemory(more uint64) error {
	var has runtime.MemStats
	runtime.ReadMemStats(&has)
	// Address space that is only reserved does not count.
	limit := unix.Rlimit{Cur: has.Sys + more, Max: has.Sys + more}
	return os.NewSyscallError("setrlimit(RLIMIT_DATA)", unix.Setrlimit(unix.RLIMIT_DATA, &limit))
}

// mayLockAll reports whether RLIMIT_MEMLOCK does not apply.
func mayLockAll() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	err := unix.Capget(&header, &sets[0])
	return err == nil && sets[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}

// ABI returns the version of Landlock that the kernel offers, 0 for none.
func ABI() int { return kernelABI() }
