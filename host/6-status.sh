# status: what is confirmed, staged and live, how the peers are, and what differs. Nothing on the host is changed.

show_status() {
    busy='' file=$conf
    if [ -d "$dir" ]; then look; fi
    echo "interface: $iface"
    for kind in confirmed staged/generation; do
        echo "${kind%/*}: $(if [ -f "$dir/$kind" ]; then cat "$dir/$kind"; else echo none; fi)"
    done
    if ! is_up; then
        echo "live: none"
    elif [ ! -d "$dir" ]; then
        echo "live: an interface that is not ours"
    else
        echo "live: $(live | grep . || echo unknown)"
        if [ -f "$staged" ] && [ "$(live)" = "$(content "$dir/staged/generation")" ]; then file=$staged; fi
    fi
    say_adopted
    if due; then echo "goes back: in $left s, unless it is confirmed"; fi
    if handing_over; then echo "handover: $(awk '{ printf "%s%s", comma, $3; comma = ", " }' "$dir/handover")"; fi
    if is_up && [ -d "$dir" ]; then
        echo "wireguard: $(if [ -S "/run/wireguard/$iface.sock" ]; then echo wireguard-go; else echo kernel; fi)"
        echo "peers: $(ask wg show "$iface" peers | wc -l | tr -d ' ')"
        if [ -z "$busy" ]; then show_rules; fi
    fi
    echo "clock: $(date +%s)"
    if is_up && [ -d "$dir" ]; then show_peers; fi
    show_drift
}

look() { # what `begin` is to a run that changes something: beside others that look, and not long after one at work
    command -v flock >/dev/null || die 69 "flock is missing on this host; install util-linux"
    looking=1 waited=0
    until lock -s; do
        if [ "$waited" -ge 2 ]; then
            busy=1
            return
        fi
        sleep 1
        waited=$((waited + 1))
    done
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    { rm -rf "$work" && mkdir -p "$work/run"; } || die 73 "cannot write $run"
    : >"$work/changes"
}

show_rules() {
    id=$(content "$file" | loaded_by)
    if [ ! -f "$dir/rules/${id:-none}/forwarding" ]; then
        verdict=missing
    elif forwards "$id"; then
        verdict="in place"
    else
        verdict=differ
    fi
    echo "forwarding: $verdict"
    for family in $(families); do
        if [ ! -f "$dir/rules/${id:-none}/rules.v$family" ]; then
            verdict=missing
        else
            attempt_step rules_script "$family" "$id"
            if [ "$result" != 0 ]; then verdict=unknown; elif [ -s "$work/script" ]; then verdict=differ; else verdict="in place"; fi
            rm -f "$work/reason" # it is told with what differs
        fi
        echo "rules.v$family: ${id:-none} $verdict"
    done
}

show_peers() { # those of the file, in its order
    ask wg show "$iface" dump | awk -v conf="$file" -v changed="$run/changed" -v now="$(date +%s)" -v up="$(ticks)" '
        function age(seconds) { return seconds < 0 ? 0 : seconds }
        FNR > 1 {
            handshake[$1] = $5 ? age(now - $5) " s ago" : "never"
            bytes[$1] = "received " $6 ", sent " $7
        }
        END {
            while ((getline line < changed) > 0) { split(line, word, " "); set[word[1]] = word[2] }
            while ((getline line < conf) > 0) {
                split(line, word, " ")
                if (line ~ /^# /) site = word[2]
                if (line ~ /^[ \t]*\[/) { name = site; site = "" }
                if (line !~ /^[ \t]*PublicKey[ \t]*=/) continue
                sub(/^[^=]*=[ \t]*/, "", line); key = line
                if (!(key in bytes)) continue
                since = key in set ? set[key] : set["*"]
                print "peer " (name == "" ? key : name) ": handshake " handshake[key] ", changed " \
                    (since == "" ? "long ago" : age(up - since) " s ago") ", " bytes[key]
            }
        }'
}

show_drift() {
    if [ -n "$busy" ]; then
        echo "drift: unknown, since another run is at work on $iface"
    elif [ -n "$looking" ]; then
        attempt_step find_drift
        if [ "$result" != 0 ]; then unread; fi
        awk '!seen[$0]++ { print "drift: " $0 } END { if (!NR) print "drift: none" }' "$work/changes"
    elif [ -f "$conf" ] && is_ours "$conf"; then
        echo "drift: $dir missing"
    else
        echo "drift: none"
    fi
}

unread() { # what follows from it is not told; the rest is
    changed '' "unknown in part: $(reason)"
    rm -f "$work/reason"
}

find_drift() { # in a subshell
    if [ "$file" = "$conf" ] && [ ! -f "$dir/confirmed" ]; then
        ! is_up || changed '' "interface $iface is up, though nothing was ever confirmed"
        return
    fi
    if [ ! -f "$file" ]; then
        changed '' "$file missing"
        return
    fi
    cp_notes
    at_boot look
    file_drift
    converge "$file" "$(live)"
    if [ "$file" = "$conf" ] && [ -z "$lacks" ]; then keep_forwarding; fi
}

cp_notes() { # what converge writes down it writes into a copy
    for note in applied changed forwarding rules.v4 rules.v6; do
        [ ! -f "$run/$note" ] || cp "$run/$note" "$work/run"
    done
    run=$work/run
}

file_drift() { # files that are not as they came; sets $lacks where one is missing
    digest=$dir/digest
    # Staged, or a confirm was killed after the rename.
    if [ "$file" = "$staged" ] || { [ -f "$dir/staged/digest" ] && [ ! -f "$staged" ]; }; then digest=$dir/staged/digest; fi
    if [ -f "$digest" ] && ! sha256sum <"$file" | cmp -s - "$digest"; then changed '' "$file was edited"; fi
    id=$(loaded_by "$file")
    folder=$dir/rules/$id lacks=
    [ -n "$id" ] || return 0
    for part in forwarding rules.v4 rules.v6; do
        if [ ! -f "$folder/$part" ]; then
            changed '' "$folder/$part missing"
            lacks=1
        fi
    done
    [ -z "$lacks" ] || return 0
    links=$(cat "$folder/forwarding")
    [ "$({
        printf '%s\n' "@forwarding${links:+ $links}" "@rules.v4"
        cat "$folder/rules.v4"
        echo "@rules.v6"
        cat "$folder/rules.v6"
    } | sha256sum | cut -c 1-16)" = "$id" ] || changed '' "$folder was edited"
}
