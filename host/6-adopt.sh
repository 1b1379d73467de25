
# Adoption: an interface that was set up by hand becomes ours. Until the change is confirmed its file is untouched, and
# what was live is noted, to be brought back by difference; after that the file is kept, and what its hooks did undone.

is_live_ours() { [ -f "$dir/confirmed" ] || [ -d "${by_hand%/*}" ] || { [ -f "$conf" ] && is_ours "$conf"; }; }

lines_by_hand() { # FILE KEY...: the numbers of these keys' lines in [Interface], as wg-quick reads them
    file=$1
    shift
    awk -v wanted=" $* " '
        { sub(/#.*/, ""); equals = index($0, "="); key = tolower(equals ? substr($0, 1, equals - 1) : $0) }
        { gsub(/^[ \t\r]+|[ \t\r]+$/, "", key) }
        key ~ /^\[/ { inside = key == "[interface]" }
        inside && equals && index(wanted, " " key " ") { print NR }' "$file"
}

value_by_hand() { # FILE LINE
    sed -n "$2{s/#.*//;s/^[^=]*=[[:space:]]*//;s/[[:space:]]*\$//;p;}" "$1"
}

values_by_hand() { # FILE KEY: one a line
    for line in $(lines_by_hand "$1" "$2"); do value_by_hand "$1" "$line" | awk '{ gsub(/[, \t]+/, "\n"); print }'; done
}

check_by_hand() { # CONF: what runs here without us is taken over where that was asked for and can be
    check_others "$1"
    if [ -z "$adopt" ]; then
        refuse_foreign
        if is_up && ! is_live_ours; then
            die 69 "$iface is up and not ours; take it down, have it taken over ('adopt: true')," \
                "or name another interface in the config"
        fi
    fi
    if [ -f "$conf" ] && ! is_ours "$conf" && values_by_hand "$conf" saveconfig | grep -qix true; then
        die 69 "$conf has SaveConfig = true: the next 'wg-quick down' would write into it what is live by then;" \
            "run 'wg-quick save $iface', then take that line out"
    fi
    if ! is_up || is_live_ours; then return; fi
    wg show "$iface" dump >"$work/dump" 2>/dev/null || die 69 "$iface is up and not WireGuard's;" \
        "take it away, or name another interface in the config"
    if cut -f 4 "$work/dump" | sed 1d | grep -q '/0\(,\|$\)'; then
        die 69 "$iface leads everything to a peer (AllowedIPs 0.0.0.0/0 or ::/0), which the mesh does not take over;" \
            "bring it up without that, or name another interface in the config"
    fi
    manager=$(managed_by)
    [ -z "$manager" ] || die 69 "$manager sets up $iface as well; take it out there, without taking $iface down," \
        "or name another interface in the config"
    check_peers_by_hand "$1"
}

check_others() { # CONF: two cannot listen on one port, nor lead to one prefix
    command -v wg >/dev/null || return 0
    port=$(values "$1" ListenPort)
    for other in $(ask wg show interfaces 2>/dev/null); do
        [ "$other" != "$iface" ] || continue
        way="take it down (wg-quick down $other), or name it as 'interface' in the config"
        [ "$(ask wg show "$other" listen-port)" != "$port" ] ||
            die 69 "$other listens on UDP port $port of this host; $way, or another 'listen_port'"
        for family in $(families); do ip "-$family" route show dev "$other"; done |
            awk '{ print $1 ($1 ~ "/" ? "" : $1 ~ ":" ? "/128" : "/32") }' >"$work/have"
        prefix=$(values "$1" AllowedIPs | grep -Fxf "$work/have" | head -n 1)
        [ -z "$prefix" ] || die 69 "$other leads to $prefix on this host; $way"
    done
}

managed_by() { # the file by which another program than wg-quick sets up the interface
    grep -lsE -e "^Name[[:space:]]*=[[:space:]]*${iface}[[:space:]]*\$" /etc/systemd/network/*.netdev \
        /run/systemd/network/*.netdev || grep -ls "^interface-name=$iface\$" \
        /etc/NetworkManager/system-connections/* || grep -lsE "^[[:space:]]+\"?$iface\"?:" /etc/netplan/*.yaml || :
}

check_peers_by_hand() { # CONF: who talks to this host now and is nobody's in the mesh would be cut off
    awk -v now="$(date +%s)" -v dump="$work/dump" '
        function number(text,    part) {
            split(text, part, "."); return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4]
        }
        function within(inner, outer,    a, b, size) {
            if (inner == outer) return 1
            if ((inner outer) ~ /:/) return 0
            split(inner, a, "/"); split(outer, b, "/"); size = 2 ^ (32 - b[2])
            return a[2] >= b[2] && int(number(a[1]) / size) == int(number(b[1]) / size)
        }
        FILENAME != dump && /^PublicKey = / { ours[$3] }
        FILENAME != dump && /^AllowedIPs = / { for (i = 3; i <= NF; i++) { sub(/,$/, "", $i); prefixes[$i] } }
        FILENAME == dump && FNR > 1 && !($1 in ours) && now - $5 < 180 {
            for (i = split($4, each, ","); i > 0; i--)
                for (prefix in prefixes) if (within(prefix, each[i]) || within(each[i], prefix)) next
            print $4
        }' "$1" "$work/dump" >"$work/strangers"
    [ ! -s "$work/strangers" ] || die 69 "the mesh has no site for a peer of $iface that is in use:" \
        "AllowedIPs $(awk '{ printf "%s%s", sep, $0; sep = "; " }' "$work/strangers"); add it as a site," \
        "or take it out of $iface"
}

note_by_hand() { # once, before the first change: what is live without us
    if is_live_ours; then return; fi
    rm -rf "$run/noting"
    mkdir "$run/noting"
    if is_up; then
        {
            echo "[Interface]"
            ip -o addr show dev "$iface" | awk '$3 ~ /^inet/ && $4 !~ /^fe80:/ {
                print "Address = " ($4 ~ "/" ? $4 : $4 ($4 ~ ":" ? "/128" : "/32")) }'
            ip -o link show dev "$iface" | sed -n 's/.* mtu \([0-9]*\) .*/MTU = \1/p'
            [ ! -f "$conf" ] || values_by_hand "$conf" dns | sed 's/^/DNS = /'
        } >"$run/noting/$iface.conf"
        run wg showconf "$iface"
        sed '/^\[Interface\]/d' "$work/said" >>"$run/noting/$iface.conf"
        : >"$work/said"
        for family in $(families); do routes_of "$family" >"$run/noting/routes.$family"; done
    fi
    mv "$run/noting" "${by_hand%/*}"
    [ ! -f "$by_hand" ] || summary "$by_hand" unfinished | note
}

routes_of() { # FAMILY: in the main table, those that neither the kernel nor a routing daemon made
    ip "-$1" route show dev "$iface" | grep -vE ' proto |^(fe80|ff00|multicast)' |
        sed -e 's/ linkdown//' -e 's/ dead//' -e 's/ *$//' || :
}

kept_by_hand() { # CONF: its peers (known_peers) that were peers before us by the same key
    values "$by_hand" PublicKey >"$work/keys"
    known_peers "$1" | awk -v keys="$work/keys" '
        BEGIN { while ((getline key < keys) > 0) known[key] } $1 in known'
}

restore_by_hand() {
    applied | sed 's/^generation .*/generation unfinished/' >"$work/unfinished"
    note <"$work/unfinished"
    if is_up; then
        set_link "$by_hand"
        set_addresses "$by_hand"
        set_device "$by_hand"
        set_peers "$by_hand"
        restore_routes
        set_dns "$by_hand"
    else # without the file's hooks: what those did is still there
        run wg-quick up "$by_hand" </dev/null
        restore_routes
    fi
    unload_rules
    forwarding none
    rm -rf "${by_hand%/*}" "$run/applied"
}

restore_routes() { # to the word, in the main table
    for family in $(families); do
        routes_of "$family" >"$work/have"
        lacking "$work/have" "${by_hand%/*}/routes.$family" >"$work/steps"
        while read -r route; do
            # shellcheck disable=SC2086 # words are wanted
            run ip "-$family" route replace $route dev "$iface"
        done <"$work/steps"
        routes_of "$family" >"$work/have"
        lacking "${by_hand%/*}/routes.$family" "$work/have" >"$work/steps"
        while read -r route; do
            # shellcheck disable=SC2086 # words are wanted
            run ip "-$family" route del $route dev "$iface"
        done <"$work/steps"
    done
}

taken_down() { # took|take: what take_down does here, in words
    if [ -f "$by_hand" ]; then
        echo "brought $iface back to what was set up by hand"
    elif is_up && ! is_live_ours; then
        echo "left $iface as it was set up by hand"
    elif [ "$1" = took ]; then
        echo "took $iface down"
    else
        echo "$iface taken down"
    fi
}

keep_by_hand() { # the file that the rename would take away
    if [ ! -f "$conf" ] || is_ours "$conf"; then return; fi
    kept=$conf.adopted copy=1
    while [ -e "$kept" ] && ! cmp -s "$conf" "$kept"; do
        copy=$((copy + 1))
        kept=$conf.adopted.$copy
    done
    [ -e "$kept" ] || replace "$conf" "$kept"
    echo "$kept" >"$work/adopted"
    replace "$work/adopted" "$dir/adopted"
    sync "$kept" "$dir/adopted"
}

finish_by_hand() { # once it is confirmed, also where an earlier run was killed there
    if [ ! -d "${by_hand%/*}" ] || [ ! -f "$dir/confirmed" ]; then return; fi
    kept=$(content "$dir/adopted")
    [ -z "$kept" ] || {
        adopted=1
        : >"$run/adopted"
        attempt_step at_boot add
        [ "$result" = 0 ] || mv "$work/reason" "$run/adopted"
    }
    if [ -f "$by_hand" ]; then
        [ -z "$kept" ] || undo_hooks "$kept"
        [ "$(ask wg show "$iface" fwmark 2>/dev/null || echo off)" = off ] || ask wg set "$iface" fwmark 0 || :
        rm -rf "${by_hand%/*}"
        # What the hooks took along of ours is put back.
        attempt_step converge "$conf" "$(cat "$dir/confirmed")"
        [ "$result" = 0 ] || {
            echo "confirmed, but not whole: $(reason); run 'wireguard-mesh rollback $iface'" >"$work/said"
            mv "$work/said" "$work/reason"
            exit 71
        }
    fi
    rm -rf "${by_hand%/*}"
}

undo_hooks() { # FILE: each line at most once: it might meet somebody else's rule the second time
    deadline=$(($(ticks) + 30)) number=0
    for line in $(lines_by_hand "$1" predown && lines_by_hand "$1" postdown); do
        number=$((number + 1))
        [ "$number" -gt "$(content "${by_hand%/*}/undone" | grep . || echo 0)" ] || continue
        echo "$number" >"$work/undone"
        mv "$work/undone" "${by_hand%/*}/undone"
        left=$((deadline - $(ticks)))
        if [ "$left" -le 0 ]; then
            echo "line $line was not run, since 30 s were over" >>"$run/adopted"
            continue
        fi
        value_by_hand "$1" "$line" | sed "s/%i/$iface/g" >"$work/hook"
        result=0 # what it says may be secret
        (umask 022 && exec timeout -k 5 "$left" bash "$work/hook") </dev/null >/dev/null 2>&1 9>&- || result=$?
        [ "$result" = 0 ] || echo "line $line failed (exit status $result)" >>"$run/adopted"
    done
    rm -f "$work/hook"
    if [ "$number" = 0 ] && [ -n "$(lines_by_hand "$1" preup postup)" ]; then
        echo "it has no PostDown, so that what its PostUp did stays until the next boot" >>"$run/adopted"
    fi
    table=$(values_by_hand "$1" table | tail -n 1)
    case $table in
    '' | auto | main | off | *[!A-Za-z0-9_.-]*) ;;
    *) for family in $(families); do ask ip "-$family" route flush dev "$iface" table "$table" proto boot || :; done ;;
    esac
}

of_adoption() { # after `confirmed ...`, where this run was the one that took over
    [ -z "$adopted" ] || [ ! -f "$dir/adopted" ] || echo "; what was set up by hand is kept as $(say_kept | one_line)"
}

say_kept() { cat "$dir/adopted" && content "$run/adopted"; } # and what of it could not be undone

say_adopted() { # for `status`
    [ ! -f "$dir/adopted" ] || [ ! -f "$conf" ] || ! is_ours "$conf" || echo "adopted: $(say_kept | one_line)"
}

one_line() { awk '{ printf "%s%s", sep, $0; sep = "; " } END { print "" }'; }

kept_files() { # after `removed IFACE`
    ! is_up || printf ', which is again what was set up by hand'
    for kept in "$conf".adopted "$conf".adopted.*; do [ ! -f "$kept" ] || echo "$kept"; done |
        awk '{ printf "%s%s", NR == 1 ? "; what was set up by hand before is in " : ", ", $0 }'
}
