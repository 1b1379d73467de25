#!/bin/sh
# First process of one of the lab's machines: its mounts and kernel settings, then nothing but waiting.
# usage: machine.sh internet|router|operator|gateway|host HOSTNAME LAB [PID]     (in new namespaces; prints its process id when done)
# LAB is the directory of the lab that it belongs to. With PID, a gateway's, it is that gateway after a reboot.
set -eu

if [ "$1" != rebooted ]; then
    # The machine's own /proc is still mounted here, so this is the id that the machine knows this process by.
    read -r pid _ </proc/self/stat
    # Where the gateway's mounts are, this file may be covered.
    [ -z "${4-}" ] || exec nsenter --target="$4" --mount -- sh -c "$(cat "$0")" "$0" rebooted "$2" "$3" "$pid"
else
    pid=$4
    mount -t proc proc /proc
fi

# A private, writable copy of each directory; what is written to it lies in a tmpfs and is gone with this machine.
overlay() {
    mount -t tmpfs lab /tmp
    for directory; do
        mkdir -p "/tmp$directory/upper" "/tmp$directory/work"
        mount -t overlay lab -o "lowerdir=$directory,upperdir=/tmp$directory/upper,workdir=/tmp$directory/work" "$directory"
    done
    umount /tmp
}

# A copied mount of somebody's named network namespace would keep that namespace alive after they delete it.
forget_foreign_namespaces() {
    if [ -d /run/netns ]; then umount -R /run/netns 2>/dev/null || true; fi
}

# What is mounted by now is the machine's: it can be read, not written. Each mount has a switch of its own.
only_read() {
    while read -r _ _ _ _ point options _; do
        case $point in /proc | /proc/* | /sys | /sys/* | /dev | /dev/pts) continue ;; esac
        case $options in ro | ro,*) continue ;; esac
        # proc_pid_mountinfo(5) writes a space as \040, and printf takes up to three digits after a \0.
        point=$(printf %b "$(printf %s "$point" | sed 's/\\\([0-7]\{3\}\)/\\0\1/g')")
        # One that lies below another cannot be reached, by nobody.
        mount -o remount,bind,ro "$point" 2>/dev/null || ! mountpoint -q "$point" ||
            { echo "$point cannot be made read-only" >&2 && return 1; }
    done
}

# All that a gateway has of its own, before it boots for the first time.
disk() {
    forget_foreign_namespaces
    # A copy, since each change is a change of the file itself.
    mounts=$(cat /proc/self/mountinfo)
    only_read <<END
$mounts
END
    overlay /etc /usr/local /var/lib
    for directory in /root /home; do mount -t tmpfs -o mode=755 lab "$directory"; done
    mount -t proc proc /proc
}

# What is empty whenever a gateway boots, and what shows its kernel.
fresh() {
    for directory in /tmp /run /var/tmp; do mount -t tmpfs -o mode=1777 lab "$directory"; done
    chmod 755 /run
    mkdir -m 1777 /run/lock
    mkdir -m 755 /run/sshd
    mount -t sysfs sysfs /sys
}

settings() {
    while read -r key value; do
        if [ -e "/proc/sys/net/$key" ]; then echo "$value" >"/proc/sys/net/$key"; fi
    done
}

echo "$2" >/proc/sys/kernel/hostname

# Addresses are usable at once, without duplicate address detection; nothing comes from router advertisements.
settings <<END
ipv6/conf/all/disable_ipv6 0
ipv6/conf/default/disable_ipv6 0
ipv6/conf/all/accept_dad 0
ipv6/conf/default/accept_dad 0
ipv6/conf/default/dad_transmits 0
ipv6/conf/default/accept_ra 0
END

# A packet may leave by the link that it came by: from one machine in a VPC to the public address of another.
forwards() {
    settings <<END
ipv4/ip_forward 1
ipv4/conf/all/rp_filter 0
ipv4/conf/default/rp_filter 0
ipv4/conf/all/send_redirects 0
ipv4/conf/default/send_redirects 0
ipv6/conf/all/forwarding 1
END
}

case $1 in
internet) forwards ;;
router)
    forwards
    # For a machine its whole subnet is on its link, as it is in clouds; the router answers for all others there.
    settings <<END
ipv4/conf/default/proxy_arp 1
END
    ;;
operator)
    forget_foreign_namespaces
    overlay /etc
    # Both would answer questions about names from outside this network namespace.
    for directory in /run/nscd /run/systemd/resolve; do
        if [ -d "$directory" ]; then mount -t tmpfs lab "$directory"; fi
    done
    # Programs lie in the lab's directory, and /run is often mounted noexec.
    mount --bind "$3" "$3"
    mount -o remount,bind,exec "$3"
    mount -t proc proc /proc
    ;;
gateway | rebooted)
    if [ "$1" = gateway ]; then disk; fi
    fresh
    # A new namespace copies these from the machine, where a container engine may have switched forwarding on.
    settings <<END
ipv4/ip_forward 0
ipv4/conf/default/forwarding 0
ipv4/conf/all/rp_filter 2
ipv4/conf/default/rp_filter 2
ipv6/conf/all/forwarding 0
END
    ;;
esac

echo "$pid"
# A process that ignores SIGCHLD leaves no zombies: the kernel reaps what is handed to it.
exec env --ignore-signal=CHLD sleep infinity </dev/null >/dev/null 2>&1
