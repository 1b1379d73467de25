# install: this program, the packages that it needs, and whoever starts the interface at boot.

install_here() { # ["adopt"]
    begin
    [ -n "$1" ] || refuse_foreign
    missing='' without=''
    for pair in wg:wireguard-tools wg-quick:wireguard-tools \
        iptables-restore:iptables ip6tables-restore:iptables flock:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    # Busybox's own cannot tell whose a route is.
    ip -V 2>/dev/null | grep -q iproute2 || missing="$missing iproute2"
    probe=wgm$$
    if ip link add dev "$probe" type wireguard 2>/dev/null; then
        ip link delete dev "$probe"
        backend="WireGuard in the kernel"
    else
        backend="wireguard-go, since the kernel has no WireGuard"
        command -v wireguard-go >/dev/null || missing="$missing wireguard-go"
    fi
    probe=
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # words are wanted
        attempt install_packages $missing
        [ "$result" = 0 ] || die 69 "cannot install$missing: $(reason)"
    fi
    if ! command -v conntrack >/dev/null; then
        # Only flows that are open while their NAT changes need it: without it the host does the rest.
        attempt install_packages conntrack
        if [ "$result" = 0 ]; then
            missing="$missing conntrack"
        else
            without="; without conntrack (open flows will keep their NAT): $(reason)"
            : >"$work/reason"
        fi
    fi
    if ! cmp -s "$0" $program; then
        attempt put_in_place 2>"$work/said"
        [ "$result" = 0 ] || die 73 "cannot write $program: $(cat "$work/said")"
    fi
    if [ -f "$conf" ] && ! is_ours "$conf"; then boot="the boot stays as it is until a change is confirmed"; else at_boot add; fi
    echo "installed: $backend; $boot${missing:+; packages added:$missing}$without"
}

put_in_place() {
    (umask 022 && mkdir -p ${program%/*})
    cp "$0" $program.new
    chmod 755 $program.new
    mv $program.new $program
}

install_packages() { # PACKAGES...
    if command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
        set -- apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
        "$@" >/dev/null 2>&1 9>&- </dev/null || {
            run apt-get -o DPkg::Lock::Timeout=300 update </dev/null
            run "$@" </dev/null
        }
    elif command -v dnf >/dev/null; then
        names='s/^iproute2$/iproute/; s/^conntrack$/conntrack-tools/'
        # shellcheck disable=SC2046 # words are wanted
        run dnf install -y $(printf '%s\n' "$@" | sed "$names") </dev/null
    elif command -v apk >/dev/null; then
        # shellcheck disable=SC2046 # words are wanted
        run apk add $(printf '%s\n' "$@" | sed 's/^conntrack$/conntrack-tools/') </dev/null
    else
        echo "no apt-get, dnf or apk here; install them by hand" >"$work/reason"
        exit 69
    fi
}

at_boot() { # add or remove: sets $boot, who starts the interface when the host boots; look: says where nobody does
    if [ -d /run/systemd/system ]; then
        # The unit stays inactive until the next boot: started now, it would find the interface there and fail.
        if [ "$1" = add ]; then
            run systemctl enable "wg-quick@$iface.service"
            boot="systemd starts $iface at boot"
        elif [ "$1" = look ]; then
            ask systemctl is-enabled --quiet "wg-quick@$iface.service" >/dev/null 2>&1 ||
                changed '' "wg-quick@$iface.service is not enabled: nobody starts $iface at boot"
        else
            systemctl disable "wg-quick@$iface.service" >/dev/null 2>&1 || :
            systemctl reset-failed "wg-quick@$iface.service" >/dev/null 2>&1 || :
        fi
    elif [ -e /etc/init.d/wg-quick ] && command -v rc-update >/dev/null; then
        if [ "$1" = add ]; then
            ln -sf wg-quick "/etc/init.d/wg-quick.$iface"
            run rc-update add "wg-quick.$iface" default
            boot="OpenRC starts $iface at boot"
        elif [ "$1" = look ]; then
            [ -L "/etc/runlevels/default/wg-quick.$iface" ] ||
                changed '' "wg-quick.$iface is in no runlevel default: nobody starts $iface at boot"
        elif [ -e "/etc/init.d/wg-quick.$iface" ]; then
            rc-update del "wg-quick.$iface" default >/dev/null 2>&1 || :
            rm -f "/etc/init.d/wg-quick.$iface"
        fi
    else
        boot="neither systemd nor OpenRC is here: have 'wg-quick up $iface' run at boot"
    fi
}

