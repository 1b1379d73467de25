# The bundle: read and checked whole, then the host is asked whether it can take it; nothing is touched yet.

read_bundle() {
    attempt_write "$run" take_in
    read -r magic version length digest rest <"$work/bundle" || die 65 "the bundle is empty or cut"
    [ "$magic $version$rest" = "wireguard-mesh 1" ] || die 65 "this is no bundle that this version reads"
    [ "$(($(wc -c <"$work/payload")))" = "$length" ] || die 65 "the bundle is cut"
    [ "$(sha256sum <"$work/payload" | cut -d ' ' -f 1)" = "$digest" ] || die 65 "the bundle does not match its digest"
    generation=$digest
    attempt_write "$run" divide
    sections="machine interface rules forwarding rules.v4 rules.v6 conf end "
    if [ "$(cat "$work/new/order")" != "$sections" ] || [ -s "$work/new/end" ]; then
        die 65 "the bundle lacks a section, or has one more"
    fi
    case $(cat "$work/new/interface") in
    "$iface") adopt='' ;;
    "$iface adopt") adopt=1 ;;
    *) die 65 "the bundle is for another interface" ;;
    esac
    rules=$(cat "$work/new/rules")
    [ "$(sed -n '/^@forwarding/,/^@conf/p' "$work/payload" | sed '$d' | sha256sum | cut -c 1-16)" = "$rules" ] ||
        die 65 "the bundle's rules do not match their digest"
    [ "$(loaded_by "$work/new/conf")" = "$rules" ] || die 65 "the bundle's configuration does not load its rules"
    if cat "$work/new/rules.v4" "$work/new/rules.v6" |
        grep -qvE -e '^\*(raw|mangle|nat|filter)$' -e '^COMMIT$' -e "^:$ours " -e "^-A $ours "; then
        die 65 "the bundle's rules name a chain that is not ours"
    fi
    for key in PrivateKey PublicKey PresharedKey; do
        if values "$work/new/conf" $key | grep -qv '^[A-Za-z0-9+/]\{43\}=$'; then die 65 "the bundle has a bad $key"; fi
    done
}

take_in() {
    cat >"$work/bundle"
    sed 1d "$work/bundle" >"$work/payload"
}

divide() {
    mkdir "$work/new"
    awk -v folder="$work/new/" '
        /^@/ {
            section = substr($1, 2); order = order section " "
            printf "%s", substr($0, length($1) + 2) >(folder section); next
        }
        { print >(folder section) }
        END { print order >(folder "order") }' "$work/payload"
}

loaded_by() { # [CONF]: the id of the rules that it loads
    sed -n 's/^PreUp = .* load %i \([0-9a-f]\{16\}\)$/\1/p' "$@"
}

check_host() { # CONF FORWARDING: can this host take them? Nothing has been touched yet.
    for tool in wg wg-quick ip iptables-restore iptables-save; do
        command -v $tool >/dev/null || die 69 "$tool is missing on this host; run 'wireguard-mesh install $iface'"
    done
    ip -V 2>/dev/null | grep -q iproute2 || die 69 "this host's ip is not iproute2's; run 'wireguard-mesh install $iface'"
    [ -x $program ] || die 69 "$program is missing on this host; run 'install $iface' first"
    check_by_hand "$1"
    if [ -n "$(values "$1" DNS)" ] && ! command -v resolvconf >/dev/null; then
        die 69 "'dns' is set for this site, but this host has no resolvconf;" \
            "install one (openresolv, or systemd-resolved's), or remove 'dns'"
    fi
    # shellcheck disable=SC2013 # words are wanted
    for link in $(cat "$2"); do
        [ "$link" = "$iface" ] || ip link show dev "$link" >/dev/null 2>&1 ||
            die 69 "this host has no interface $link; create it, or correct 'interface' of that network in the config"
    done
    if { values "$1" Address && values "$1" AllowedIPs; } | grep -q : &&
        { ! has_ipv6 || [ "$(content $ipv6/default/disable_ipv6)" = 1 ]; }; then
        die 69 "this site has IPv6 networks, but IPv6 is switched off on this host; switch it on, or leave them out"
    fi
    check_firewalls "$1" "$2"
}

