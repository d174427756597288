#!/bin/sh
# First program of a test machine: gives the root file system in $1 its own mounts, moves into it and runs an init.
# Called inside fresh mount, pid, uts and network namespaces; everything ends when that init is killed.
set -eu
root=$1 name=$2
hostname "$name"
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
else
  mount -t tmpfs cgroup "$root/sys/fs/cgroup"
  for controller in /sys/fs/cgroup/*; do
    [ -d "$controller" ] || continue
    mkdir -p "$root$controller"
    mount --bind "$controller" "$root$controller"
  done
fi
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty fuse; do
  [ -e "/dev/$node" ] && { : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; }
done
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/run/lock" "$root/.old"
cd "$root"
pivot_root . .old
exec /usr/sbin/chroot . /bin/sh -c 'umount -l /.old; exec /sbin/machine-init -- sleep infinity' </dev/null
