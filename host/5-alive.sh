# Peers that were alive before a change have to be alive after it: those that the change does not name, asked by ping,
# which endpoints let pass to each other's tunnel addresses whatever is granted.

note_alive() { # CONF: which of the peers that stay as they are answer now, before anything is changed
    rm -f "$run/alive"
    note_by_hand
    was=$conf
    [ ! -f "$by_hand" ] || was=$by_hand
    if ! is_up || [ ! -f "$was" ] || ! command -v ping >/dev/null; then return; fi
    if [ "$was" = "$conf" ]; then known_peers "$conf"; else kept_by_hand "$1"; fi | without_keys >"$work/before"
    known_peers "$1" | without_keys | grep -Fxf "$work/before" >"$work/peers" || :
    answering 1 <"$work/peers" | sort -u >"$run/alive"
}

check_alive() { # exits where one that answered does not answer any more
    [ -s "$run/alive" ] || return 0
    answering 10 <"$run/alive" >"$work/answered"
    lost=$(lacking "$work/answered" "$run/alive" | sed 's/.* //' | sort | awk '{ printf "%s%s", comma, $0; comma = ", " }')
    [ -z "$lost" ] || {
        echo "what answered before this change does not any more: $lost" >"$work/reason"
        exit 71
    }
}

known_peers() { # CONF: of each a line: key, endpoint, single addresses (its tunnel ones among them), and site
    awk '/^# / { site = $2 } /^PublicKey = / { key = $3 } /^Endpoint = / { endpoint = $3 }
        /^AllowedIPs = / {
            addresses = ""
            for (i = 3; i <= NF; i++) if (sub(/\/(32|128),?$/, "", $i)) addresses = addresses "," $i
            print key, endpoint, addresses, site
        }' "$1"
}

without_keys() { cut -d ' ' -f 2-; } # one that changes its key stays alive

answering() { # TIMES: of the lines on stdin those whose peer answers one of so many pings, all at once, one a second
    while read -r endpoint addresses site; do
        {
            left=$1
            while [ "$left" -gt 0 ]; do
                if answers "${addresses#,}"; then
                    echo "$endpoint $addresses $site"
                    break
                fi
                left=$((left - 1))
            done
        } </dev/null &
    done
    wait
}

answers() { # ADDRESS[,ADDRESS...]: one of them does: the first almost always; the others, for a host behind may be silent
    ! pinged "${1%%,*}" || return 0
    case $1 in *,*) ;; *) return 1 ;; esac
    [ -n "$(
        for address in $(echo "${1#*,}" | tr , ' '); do { ! pinged "$address" || echo yes; } & done
        wait
    )" ]
}

pinged() { ask ping -n -q -c 1 -W 1 "$1" >/dev/null 2>&1; }
