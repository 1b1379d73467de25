# The interface: link, addresses, keys, peers, routes and DNS, each brought to what a configuration says by difference.

set_link() { # CONF
    ip -o link show dev "$iface" >"$work/link"
    mtu=$(values "$1" MTU)
    differs=
    grep -q '[<,]UP[,>]' "$work/link" || differs="link is down"
    grep -q " mtu ${mtu:-[0-9]*} " "$work/link" || differs="${differs:+$differs, }MTU is$(sed 's/.* mtu \([0-9]*\) .*/ \1/' "$work/link"), not $mtu"
    if [ -n "$differs" ]; then
        act ip link set dev "$iface" ${mtu:+mtu "$mtu"} up
        changed "link set" "$differs"
    fi
}

set_addresses() { # CONF: new ones come before old ones go
    values "$1" Address >"$work/want"
    # wireguard-go's device gets a link-local address from the kernel.
    ip -o addr show dev "$iface" | awk '$3 ~ /^inet/ && $4 !~ /^fe80:/ { print ($4 ~ "/" ? $4 : $4 "/32") }' >"$work/have"
    for address in $(lacking "$work/have" "$work/want"); do
        act ip addr add "$address" dev "$iface"
        changed "address $address added" "address $address missing"
    done
    for address in $(lacking "$work/want" "$work/have"); do
        act ip addr del "$address" dev "$iface"
        changed "address $address removed" "address $address is not ours"
    done
}

waits() { # CONF: keys that peers have to know first, or at the same time, change when the others are ready for it
    [ "$1" = "$staged" ] && [ -z "$switching" ]
}

set_device() { # CONF: setting even the same port or key again loses packets; a key is left to set_peers
    ask wg show "$iface" private-key >"$work/have"
    values "$1" PrivateKey >"$work/want"
    : >"$work/set"
    if cmp -s "$work/have" "$work/want"; then
        :
    elif waits "$1"; then
        [ -n "$looking" ] || changed "private key changes with the confirm"
    else
        mv "$work/want" "$work/own"
        printf 'private-key\n%s\n' "$work/own" >"$work/set"
        changed "private key changed" "private key differs"
        echo '*' | note_changed # it ended every session
    fi
    rm -f "$work/have" "$work/want"
    port=$(values "$1" ListenPort)
    found=$(ask wg show "$iface" listen-port)
    if [ "$found" != "$port" ]; then
        act wg set "$iface" listen-port "$port"
        changed "port changed" "port is $found, not $port"
    fi
}

set_peers() { # CONF: peers that differ, and no other; of those what differs: setting even the same allowed IPs again
    # takes them away first, and a packet that comes in between is lost
    ask wg show "$iface" dump >"$work/dump"
    awk -v applied="$run/applied" -v dump="$work/dump" -v words="$work/set" -v gone="$work/gone" -v moved="$work/moved" \
        -v psks="$work/psk" \
        -v looking="$looking" -v noted="$dir/handover" -v waits="$(! waits "$1" || echo 1)" -v renewed="$work/renewed" '
        function same(a, b,    i, n, in_a, list) {
            if (split(a, list, ",") != split(b, list, ",")) return 0
            n = split(a, list, ","); for (i = 1; i <= n; i++) in_a[list[i]]
            n = split(b, list, ","); for (i = 1; i <= n; i++) if (!(list[i] in in_a)) return 0
            return 1
        }
        function compare(    other, old, owner) {
            if (peer == "") return
            other = other_of[peer]
            if (other == "") { place(peer, ips, endpoint); return }
            # In a handover the allowed IPs belong to one of two keys, and which of them is decided elsewhere.
            old = other in live_ips && live_ips[other] != "(none)"
            # Who watches may decide so meanwhile: where they change, each of the two is told what it has.
            owner = old ? other : peer
            told = owner in live_ips && !same(ips, live_ips[owner])
            place(peer, old ? "(none)" : ips, endpoint)
            place(other, old ? ips : "(none)", other in live_ips ? "" : endpoint)
            told = 0
        }
        function place(peer, ips, endpoint,    known, key) {
            wanted[peer]; known = peer in live_ips; key = psk
            if (known && waits && psk != live_psk[peer]) { key = live_psk[peer]; later++ }
            # A live endpoint that differs may have roamed, if anything ever came from that peer, or be the address of a
            # name: then it is set only where the configuration changes it.
            if (known && (endpoint == "" || live_endpoint[peer] != "(none)" && endpoint == was[peer] &&
                (live_received[peer] > 0 || endpoint !~ /^([0-9.]+|\[[0-9a-f:]+\]):/)))
                endpoint = live_endpoint[peer]
            if (known && key == live_psk[peer] && same(ips, live_ips[peer]) && alive == live_alive[peer] &&
                endpoint == live_endpoint[peer]) {
                if (told) print "peer\n" peer "\nallowed-ips\n" (ips == "(none)" ? "" : ips) >>words
                return
            }
            if (looking) print "peer " (name == "" ? peer : name) (known ? " differs: " differences(peer, ips, endpoint, key) : " missing")
            if (known) differ++; else more++
            # Of the rest a session is no witness, and none is made anew for it.
            if (!known || key != live_psk[peer] || endpoint != live_endpoint[peer]) print peer >renewed
            print "peer\n" peer >>words
            if (key != (known ? live_psk[peer] : "(none)")) set_psk(key)
            if (endpoint != "" && endpoint != live_endpoint[peer]) {
                print "endpoint\n" endpoint >>words
                print peer >moved
            }
            if (alive != (known ? live_alive[peer] : "off")) print "persistent-keepalive\n" alive >>words
            if (told || !same(ips, known ? live_ips[peer] : "(none)")) print "allowed-ips\n" (ips == "(none)" ? "" : ips) >>words
        }
        function set_psk(key,    file) { # nobody sees the words of a file
            file = "/dev/null"
            if (key != "(none)") { file = psks "." ++files; print key >file; close(file) }
            print "preshared-key\n" file >>words
        }
        function differences(peer, ips, endpoint, key,    list) {
            if (key != live_psk[peer]) list = list ", preshared key"
            if (!same(ips, live_ips[peer])) list = list ", allowed IPs"
            if (alive != live_alive[peer]) list = list ", keepalive"
            if (endpoint != live_endpoint[peer]) list = list ", endpoint"
            return substr(list, 3)
        }
        function sum(n, what) { if (n && !looking) print n (n == 1 ? " peer " : " peers ") what }
        BEGIN {
            printf "" >gone; printf "" >moved; printf "" >renewed
            while ((getline line < noted) > 0) { split(line, word, " "); other_of[word[1]] = word[2]; other_of[word[2]] = word[1] }
        }
        FILENAME == applied { if ($1 == "endpoint") was[$2] = $3; next }
        FILENAME == dump {
            if (FNR > 1) { live_psk[$1] = $2; live_endpoint[$1] = $3; live_ips[$1] = $4; live_alive[$1] = $8; live_received[$1] = $6 }
            next
        }
        /^# / { site = $2 }
        /^[ \t]*\[/ { compare(); name = site; site = ""; peer = endpoint = ""; psk = ips = "(none)"; alive = "off"; next }
        {
            sub(/#.*/, ""); equals = index($0, "="); if (!equals) next
            key = substr($0, 1, equals - 1); gsub(/[ \t]/, "", key)
            value = substr($0, equals + 1); gsub(/[ \t]/, "", value)
            if (key == "PublicKey") peer = value
            if (key == "PresharedKey") psk = value
            if (key == "Endpoint") endpoint = value
            if (key == "AllowedIPs" && value != "") ips = value
            if (key == "PersistentKeepalive" && value > 0) alive = value
        }
        END {
            compare()
            for (peer in live_ips) if (!(peer in wanted)) {
                print peer >gone; less++
                if (looking) print "peer " peer " is not ours"
            }
            sum(differ, "changed"); sum(more, "added"); sum(less, "removed")
            if (later && !looking) print "preshared keys change with the confirm"
        }' "$run/applied" "$work/dump" "$1" >>"$work/changes"
    # Should this run end here, the next one sets these endpoints whatever they are.
    awk -v moved="$work/moved" 'BEGIN { while ((getline peer < moved) > 0) forget[peer] } !($2 in forget)' "$run/applied" |
        note
    # A prefix that moves to another peer is moved by its new owner's block, before the old owner may go.
    # All keys change in one step: between two, a handshake would fail, and the next is tried 5 s later.
    [ -n "$looking" ] || [ ! -s "$work/set" ] || set_words
    [ ! -f "$work/own" ] || wake "$1" # the others learn of it by being spoken to
    while read -r peer; do act wg set "$iface" peer "$peer" remove; done <"$work/gone"
    note_changed <"$work/renewed"
    rm -f "$work/dump" "$work/set" "$work/own" "$work"/psk.* "$work/renewed"
}

set_words() { # those in $work/set, one a line, all in one step
    quoted=$(awk '{ gsub(/\047/, "\047\\\047\047"); printf " \047%s\047", $0 }' "$work/set")
    eval "act wg set \"\$iface\" $quoted"
}

note_changed() { # from stdin public keys, or '*' for all of them: when each was set last, by the time since the boot
    cat >"$work/keys"
    [ -s "$work/keys" ] || return 0
    content "$run/changed" | awk -v now="$(ticks)" -v keys="$work/keys" '
        BEGIN { while ((getline key < keys) > 0) set[key] }
        !("*" in set || $1 in set)
        END { for (key in set) print key, now }' >"$work/changed"
    mv "$work/changed" "$run/changed"
}

set_routes() { # CONF: those that wg-quick would make, hooks included; a routing daemon's own (proto ...) stay
    {
        sed -n 's/^PostUp = ip -[46] route replace \([^ ]*\) dev %i \(mtu [0-9]*\)$/\1 \2/p' "$1"
        values "$1" AllowedIPs
    } | awk '!seen[$1]++' >"$work/want"
    : >"$work/spare"
    {
        ip -4 route show dev "$iface"
        ! has_ipv6 || ip -6 route show dev "$iface" | grep -vE '^(fe80|ff00|multicast)' || :
    } | awk -v spare="$work/spare" '!/ proto / {
        prefix = $1 ~ "/" ? $1 : $1 ($1 ~ ":" ? "/128" : "/32")
        metric = match($0, / metric [0-9]+/) ? substr($0, RSTART + 8, RLENGTH - 8) : 0
        if (metric != (prefix ~ ":" ? 1024 : 0)) print prefix, metric >spare
        else print prefix (match($0, / mtu [^ ]+/) ? substr($0, RSTART, RLENGTH) : "")
    }' >"$work/have"
    awk -v have="$work/have" '
        BEGIN {
            while ((getline line < have) > 0) { split(line, word, " "); if (!(word[1] in live)) live[word[1]] = line }
        }
        { want[$1] }
        !($1 in live) { print "add added missing", $0; next }
        live[$1] != $0 { print "change changed differs", $0 }
        END { for (prefix in live) if (!(prefix in want)) print "del removed foreign", prefix }' "$work/want" |
        sort >"$work/steps"
    awk -v looking="$looking" '$1 != "del" && !looking { print $4 }' "$work/steps" >"$work/prefixes"
    refuse_anothers "$work/prefixes"
    while read -r verb past drift prefix mtu; do
        # shellcheck disable=SC2086 # words are wanted
        act ip "$(flag "$prefix")" route "$verb" "$prefix" dev "$iface" metric "$(metric "$prefix")" $mtu
        [ "$drift" != foreign ] || drift="is not ours"
        changed "route $prefix $past" "route $prefix $drift"
    done <"$work/steps"
    # One with another metric would come before ours, or be left when that goes.
    while read -r prefix metric; do
        act ip "$(flag "$prefix")" route del "$prefix" dev "$iface" metric "$metric"
        changed "route $prefix of metric $metric removed" "route $prefix of metric $metric is not ours"
    done <"$work/spare"
}

refuse_anothers() { # PREFIXES, a file: the kernel takes another interface's route for ours to `change`, or uses it before ours
    for family in $(families); do
        # All of them asked in one go: each program that is started takes a millisecond, and each peer has some prefixes.
        awk -v ipv6="$family" '($1 ~ ":") == (ipv6 == 6) { print "route show exact " $1 }' "$1" >"$work/batch"
        [ -s "$work/batch" ] || continue
        run_into "$work/others" ip -oneline "-$family" -batch "$work/batch" # a route by several ways too
        other=$(awk -v ours=" dev $iface " -v most="$([ "$family" = 4 ] && echo 0 || echo 1024)" '
            { metric = match($0, / metric [0-9]+/) ? substr($0, RSTART + 8, RLENGTH - 8) : 0 }
            !index($0 " ", ours) && metric + 0 <= most + 0 {
                prefix = $1 ~ /[.:]/ ? $1 : $2 # behind `blackhole`, for example
                if (prefix !~ "/") prefix = prefix (prefix ~ ":" ? "/128" : "/32")
                print prefix " has another route on this host: " substr($0, 1, 200)
                exit
            }' "$work/others")
        [ -z "$other" ] || {
            echo "ip: $other" >"$work/reason"
            exit 71
        }
    done
}

metric() { case $1 in *:*) echo 1024 ;; *) echo 0 ;; esac } # what `ip` gives a route by itself

flag() { case $1 in *:*) echo -6 ;; *) echo -4 ;; esac }

set_dns() { # CONF or /dev/null: as wg-quick does
    values "$1" DNS >"$work/want"
    applied | sed -n 's/^dns //p' >"$work/have"
    name=$(content /etc/resolvconf/interface-order | sed -n 's/^\([A-Za-z0-9-]\{1,\}\)\*$/\1./p' | head -n 1)$iface
    if cmp -s "$work/have" "$work/want" && resolver_knows; then return; fi
    { applied | sed '/^dns /d' && echo "dns unknown"; } | note
    if [ -s "$work/want" ]; then
        awk '/^[0-9.]+$|:/ { print "nameserver", $0; next } { domains = domains " " $0 }
            END { if (domains != "") print "search" domains }' "$work/want" >"$work/resolv"
        act resolvconf -a "$name" -m 0 -x <"$work/resolv"
    elif command -v resolvconf >/dev/null; then
        act resolvconf -d "$name" -f
    fi
    changed "dns changed" "dns of $iface differs"
}

resolver_knows() { # whether it still has what it was told, as far as it can be asked; a program that is not there does
    case $(readlink -f "$(command -v resolvconf)") in
    */resolvectl) ask resolvectl dns "$iface" >"$work/told" 2>/dev/null || return 0 ;;
    *)
        # openresolv has `keys`, before version 3.13 `interfaces`; Debian's own resolvconf `interface`.
        for folder in keys interfaces interface none; do
            if [ -d "/run/resolvconf/$folder" ]; then break; fi
        done
        [ "$folder" != none ] || return 0
        content "/run/resolvconf/$folder/$name" >"$work/told"
        ;;
    esac
    tr ' ' '\n' <"$work/told" >"$work/has"
    [ -z "$(lacking "$work/has" "$work/want")" ]
}

