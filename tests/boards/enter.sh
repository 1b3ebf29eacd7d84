#!/bin/sh
# Run a session's command in the root of the test board: enter.sh ROOT FACTS TMP, in user and mount namespaces of its own
# (Linux >= 6.7 has a binfmt_misc in each user namespace, so that nothing outside learns of the emulator).
set -eu
ulimit -c 0
root=$1 facts=$2 tmp=$3
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
mount --bind "$facts/cpuinfo" /proc/cpuinfo
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$facts/sys" "$root/sys"
mount --bind "$tmp" "$root/tmp"
chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
exec env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root PYTHONPATH=/opt/site LANG=C.UTF-8 \
  "$chroot" "$root" /bin/sh -c "cd; ${SSH_ORIGINAL_COMMAND:-exec sh}"
