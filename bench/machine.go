package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// machine describes where it was measured: what matters for speed, and nothing
// by which the machine could be found.
func machine() (string, error) {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return "", fmt.Errorf("asking for the kernel: %w", err)
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return "", fmt.Errorf("asking for the memory: %w", err)
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	release := regexp.MustCompile(`^[0-9.]*[0-9]`).FindString(unix.ByteSliceToString(kernel.Release[:]))
	return fmt.Sprintf("%d cores (%s), %d GiB of memory, Linux %s, %s, %s",
		runtime.NumCPU(), processor(string(cpu)), (uint64(info.Totalram)*uint64(info.Unit)+1<<29)>>30, release, runtime.GOARCH, runtime.Version()), nil
}

// processor names the processor and those of its instructions that hash and
// encrypt, from /proc/cpuinfo.
func processor(cpuinfo string) string {
	name, has := "unknown", []string{}
	for line := range strings.Lines(cpuinfo) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "flags", "Features":
			flags := strings.Fields(value)
			has = has[:0]
			for _, flag := range []string{"aes", "vaes", "sha_ni", "sha2", "avx2", "avx512f", "avx512bw", "gfni"} {
				if slices.Contains(flags, flag) {
					has = append(has, flag)
				}
			}
		}
	}
	return strings.Join(append([]string{name}, has...), ", ")
}

// filesystem names the filesystem of a folder.
func filesystem(dir string) (string, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", fmt.Errorf("asking for the filesystem: %w", err)
	}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", nil
	case unix.XFS_SUPER_MAGIC:
		return "xfs", nil
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", nil
	case unix.TMPFS_MAGIC:
		return "tmpfs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs", nil
	default:
		return fmt.Sprintf("filesystem %#x", s.Type), nil
	}
}
