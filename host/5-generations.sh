# Generations: making one live, going back, and what is staged beside what is confirmed, with one rename between.

summary() { # CONF GENERATION: what later runs compare with; no key
    echo "generation $2"
    values "$1" DNS | sed 's/^/dns /'
    awk '/^\[/ { peer = endpoint = "" } /^PublicKey = / { peer = $3 } /^Endpoint = / { endpoint = $3 }
        peer && endpoint { print "endpoint", peer, endpoint; peer = "" }' "$1"
}

note() { # from stdin: the new summary of what is live
    cat >"$work/applied"
    mv "$work/applied" "$run/applied"
}

applied() { # the summary of what is live: without a note of ours, what the host boots with
    if [ -f "$run/applied" ]; then
        cat "$run/applied"
    elif is_up && [ -f "$dir/confirmed" ]; then
        summary "$conf" "$(cat "$dir/confirmed")"
    fi
}

live() { applied | sed -n 's/^generation //p'; }

converge() { # CONF GENERATION: the live state becomes this one; what is right already is left alone. What differs is
    # decided here for `status` too, which looks only: `act` does nothing then, and $run is a copy.
    brought_up=
    if is_up; then
        applied | sed 's/^generation .*/generation unfinished/' >"$work/unfinished"
        note <"$work/unfinished"
        load_rules "$(loaded_by "$1")"
        forwarding "$(loaded_by "$1")"
        set_link "$1"
        [ ! -f "$by_hand" ] || set_routes "$1" # what led there may go with an address
        set_addresses "$1"
        set_device "$1"
        set_peers "$1"
        set_routes "$1"
        set_dns "$1"
    elif [ -n "$looking" ]; then
        changed '' "interface $iface missing"
    else
        values "$1" AllowedIPs >"$work/prefixes"
        refuse_anothers "$work/prefixes"
        run wg-quick up "$1" </dev/null
        changed "$iface brought up"
        brought_up=1
    fi
    summary "$1" "$2" | note
    if [ -n "$brought_up" ]; then
        resume_handover "$1"
    elif [ -z "$looking" ] && handing_over; then
        stay
    fi
}

take_down() {
    if [ -f "$by_hand" ]; then
        restore_by_hand
        return
    fi
    set_dns /dev/null
    ! is_up || ! is_live_ours || run ip link delete dev "$iface"
    unload_rules
    forwarding none
    rm -rf "$run/applied" "${by_hand%/*}"
}

go_back() { # to what is confirmed, or to nothing
    why=$(reason)
    : >"$work/reason"
    if [ -f "$dir/confirmed" ]; then
        back="went back to $(cut -c 1-12 "$dir/confirmed")"
        keep_known
        attempt_step converge "$conf" "$(cat "$dir/confirmed")"
    else
        back="$(taken_down took), since nothing was confirmed"
        attempt_step take_down
    fi
    if [ "$result" = 0 ]; then
        disarm
    else
        back="and could not go back ($(reason)); run 'wireguard-mesh rollback $iface'"
    fi
    if [ "$changing" = apply ]; then # which will be run again, and bring its bundle along
        attempt take_back 2>/dev/null # where that cannot be written, the next apply has it before it
    fi
    printf 'wireguard-mesh: %.700s; %.700s\n' "$why" "$back" >&2 || :
}

stage() {
    target=$dir/rules/$rules
    mkdir -p "$target"
    for file in rules.v4 rules.v6 forwarding; do
        cmp -s "$work/new/$file" "$target/$file" || replace "$work/new/$file" "$target/$file"
    done
    if [ "$(content "$dir/confirmed")" = "$generation" ] && cmp -s "$work/new/conf" "$conf"; then
        unstage
    elif [ "$(content "$dir/staged/generation")" != "$generation" ] || ! cmp -s "$work/new/conf" "$staged"; then
        mkdir -p "$dir/staged"
        rm -f "$dir/staged/generation" "$dir/staged/adopt"
        [ -z "$adopt" ] || : >"$dir/staged/adopt"
        replace "$work/new/conf" "$staged"
        sha256sum <"$staged" >"$work/digest"
        replace "$work/digest" "$dir/staged/digest"
        echo "$generation" >"$work/generation"
        replace "$work/generation" "$dir/staged/generation"
    fi
}

take_back() { # what was staged
    unstage
    prune
    rmdir "$dir/rules" "$dir" 2>/dev/null || :
}

unstage() { # A generation without its configuration would be taken for one that was committed.
    rm -f "$dir/staged/generation"
    rm -rf "$dir/staged"
}

commit() { # What the rename makes true is on the disk before it.
    sync "$dir/staged"/* "$dir/staged" "$dir/rules/$(loaded_by "$staged")"/* "$dir"/rules/* "$dir/rules"
    mv "$staged" "$conf"
    settle_staged
    sync "$dir" "${dir%/*}"
}

settle() { # A run that was killed after the rename, or while it staged or unstaged, is finished.
    [ ! -d "$dir/staged" ] || attempt_write "$dir" settle_staged
    finish_by_hand
}

settle_staged() {
    if [ -f "$dir/staged/generation" ] && [ ! -f "$staged" ]; then
        [ ! -f "$dir/staged/digest" ] || mv "$dir/staged/digest" "$dir/digest"
        mv "$dir/staged/generation" "$dir/confirmed"
    fi
    if [ ! -f "$dir/staged/generation" ]; then
        if due && [ "$due_generation" = "$(content "$dir/confirmed")" ]; then disarm; fi
        rm -f "$staged"
        prune
        unstage
    fi
}

prune() { # rules that no generation names any more
    for folder in "$dir"/rules/*; do
        id=${folder##*/}
        grep -qs "^PreUp = .* load %i $id\$" "$conf" "$staged" || rm -rf "$folder"
    done
}

