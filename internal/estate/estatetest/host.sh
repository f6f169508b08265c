# The first process of a host, in namespaces of its own. It makes the folder $1
# the root, so that nothing of this machine is there but /usr, which cannot be
# changed except for a /usr/local of its own, and the devices that everybody
# needs; calls the host $2; and then waits for the end of its standard input,
# with which all of the host ends.
set -eu
[ $$ -eq 1 ] # else these are no namespaces of its own
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount --bind usr/local old
mount --bind /usr usr
mount -o remount,bind,ro usr
mount --move old usr/local
for device in null zero full random urandom tty; do
	: >dev/$device
	mount --bind /dev/$device dev/$device
done
mount -t proc proc proc
pivot_root . old
cd /
umount -l /old
rmdir /old
echo "$2" >/proc/sys/kernel/hostname
echo ready
exec cat
