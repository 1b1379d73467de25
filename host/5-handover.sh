# Handover: a peer that gets another key. Both are taken at once, and its allowed IPs belong to the one that was heard of
# last, until the new one has been in use for a while: so neither its change nor its going back cuts it off.

note_handover() { # CONF: the peers that it gives another key, in $dir/handover: two keys and the site, a line each
    [ -f "$dir/confirmed" ] && is_up || return 0
    ask wg show "$iface" allowed-ips >"$work/have"
    awk -v have="$work/have" -v noted="$dir/handover" -v before="$conf" '
        function names(file, key_of,    line, word, site) {
            while ((getline line < file) > 0) {
                split(line, word, " ")
                if (word[1] == "#") site = word[2]
                if (word[1] == "PublicKey" && site != "") { key_of[site] = word[3]; site = "" }
            }
            close(file) # both may be one
        }
        BEGIN {
            while ((getline line < have) > 0) { split(line, word, " "); owns[word[1]] = word[2] != "(none)" }
            while ((getline line < noted) > 0) { split(line, word, " "); one[word[3]] = word[1]; other[word[3]] = word[2] }
            names(before, old); names(ARGV[1], new)
            for (site in new) {
                if (!(site in old)) continue
                from = old[site]
                # Of two keys that it has already, the one in use stays.
                if (site in one) from = owns[one[site]] ? one[site] : owns[other[site]] ? other[site] : from
                if (from != new[site] && from in owns) print from, new[site], site
                else if (site in one && (one[site] == new[site] || other[site] == new[site])) print one[site], other[site], site
            }
            exit
        }' "$1" >"$work/handover"
    if [ -s "$work/handover" ]; then
        cmp -s "$work/handover" "$dir/handover" || replace "$work/handover" "$dir/handover"
    else
        rm -f "$dir/handover"
    fi
}

keep_known() { # before going back: a key that a peer uses stays, though it be neither the confirmed one nor the next
    attempt note_handover "$conf" 2>/dev/null # where that cannot be written, the rest goes back
    : >"$work/reason"
}

handing_over() { [ -s "$dir/handover" ]; }

resume_at_boot() { # by whoever starts the interface then
    applied >"$work/known"
    note <"$work/known"
    resume_handover "$conf"
}

resume_handover() { # CONF: after the interface was brought up from a file, which knows one key of each peer
    handing_over || return 0
    set_peers "$1"
    stay
}

follow_keys() { # what was heard of last gets the allowed IPs; false where nothing moves. Sets $heard.
    now=$(timeout 5 wg show "$iface" latest-handshakes 2>/dev/null | sort)
    # Also where nothing was heard of since the last look: a run may have set the peers by what it had read before that.
    [ "$now" != "$heard" ] || [ -n "$again" ] || return 1
    again=
    moves=$({
        printf '%s\n-\n%s\n-\n' "$heard" "$now"
        timeout 5 wg show "$iface" allowed-ips 2>/dev/null || :
    } | awk -v noted="$dir/handover" '
        $1 == "-" { part++; next }
        !part { before[$1] = $2; next }
        part == 1 { last[$1] = $2; next }
        { ips[$1] = substr($0, length($1) + 2); gsub(/ /, ",", ips[$1]) }
        function newer(a, b) { # a handshake is told by the second: of two in the same, the one that was not there before
            if (last[a] == last[b]) return last[a] != before[a]
            return last[a] > last[b]
        }
        function move(to, from) { if (ips[to] == "(none)" && ips[from] != "(none)" && newer(to, from)) print to, ips[from] }
        END {
            while ((getline line < noted) > 0) {
                split(line, word, " ")
                if (word[1] in ips && word[2] in ips) { move(word[1], word[2]); move(word[2], word[1]) }
            }
        }')
    heard=$now
    [ -n "$moves" ] || return 1
    while read -r key prefixes; do timeout 5 wg set "$iface" peer "$key" allowed-ips "$prefixes" 2>/dev/null || :; done <<MOVES
$moves
MOVES
}

note_unused() { # the keys of which the configuration names the other, which is the one in use, and since when; false
    # where none of them is to be given up yet: after ten minutes, or the time for a confirm where that is more
    timeout 5 wg show "$iface" allowed-ips 2>/dev/null | awk -v known="$run.unused" -v pairs="$dir/handover" \
        -v conf="$conf" -v now="$(ticks)" -v long="$((within > 600 ? within : 600))" '
        BEGIN {
            while ((getline line < known) > 0) { split(line, word, " "); since[word[1]] = word[2] }
            while ((getline line < conf) > 0) { split(line, word, " "); if (word[1] == "PublicKey") named[word[3]] }
        }
        { owns[$1] = $2 != "(none)" }
        function note(key, other) {
            if (!(other in named) || !owns[other]) return
            if (!(key in since) || since[key] > now) since[key] = now # of before the last boot
            print key, since[key]
            if (now - since[key] > long) found = 1
        }
        END {
            while ((getline line < pairs) > 0) { split(line, word, " "); note(word[1], word[2]); note(word[2], word[1]) }
            exit !found
        }' >"$run.unused.new" || {
        mv "$run.unused.new" "$run.unused"
        return 1
    }
    mv "$run.unused.new" "$run.unused"
}

retire() { # keys that nobody has used for long enough: each by itself, whatever other peers do meanwhile
    begin
    settle
    if [ -f "$staged" ] || ! is_up || ! handing_over || ! note_unused; then return; fi
    awk -v now="$(ticks)" -v long="$((within > 600 ? within : 600))" 'now - $2 > long { print $1 }' "$run.unused" >"$work/retired"
    while read -r key; do run wg set "$iface" peer "$key" remove; done <"$work/retired"
    awk -v retired="$work/retired" '
        BEGIN { while ((getline key < retired) > 0) gone[key] }
        !($1 in gone) && !($2 in gone)' "$dir/handover" >"$work/left"
    if [ -s "$work/left" ]; then replace "$work/left" "$dir/handover"; else rm -f "$dir/handover"; fi
}

wake() { # CONF: a packet to each peer, for a handshake at once; nobody listens there
    [ -z "$looking" ] || return 0
    # By bash, which wg-quick needs too: it sends UDP by itself.
    known_peers "$1" | awk '{ print $3 }' | tr , '\n' | sed -n 's#..*#echo >/dev/udp/&/9 || :#p' | ask bash 2>/dev/null || :
}
