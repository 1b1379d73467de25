# What people and the program call: apply, confirm, rollback, remove.

apply() {
    begin
    read_bundle
    check_host "$work/new/conf" "$work/new/forwarding"
    settle
    attempt stage 2>"$work/said"
    [ "$result" = 0 ] || {
        why=$(brief <"$work/said")
        attempt leave_no_half 2>/dev/null
        die 73 "cannot write $dir: $why"
    }
    changing=apply
    if [ -f "$staged" ]; then
        file=$staged
        attempt_step before_change
        [ "$result" = 0 ] || exit 71
        arm "$generation"
    else
        file=$conf
    fi
    attempt_step converge "$file" "$generation"
    [ "$result" = 0 ] || exit 71
    if [ "$file" = "$conf" ]; then disarm; else arm "$generation"; fi # the time runs from here
    changing=
    prune
    answer applied "$generation"
}

before_change() { # what the change needs to know of the host as it is
    note_alive "$staged"
    note_handover "$staged"
}

switch_keys() { # those that have waited for the other sites
    switching=1
    set_device "$staged"
    set_peers "$staged"
}

leave_no_half() { # of what could not be staged: it would take the room that is lacking
    settle
    prune
    rmdir "$dir/rules" "$dir" 2>/dev/null || :
}

answer() { # WORD GENERATION
    if [ -s "$work/changes" ]; then
        # What waits comes first: the program looks for it.
        echo "$1 $(echo "$2" | cut -c 1-12): $({ grep 'with the confirm$' "$work/changes" || :; } | awk '
            seen[$0]++ { next }
            (long += length($0) + 2) > 900 { more++; next }
            { printf "%s%s", comma, $0; comma = ", " }
            END { if (more) print " and " more " more" }' - "$work/changes")"
    elif [ "$1" = applied ] && [ -f "$staged" ]; then
        echo "$1 $(echo "$2" | cut -c 1-12): nothing changed but the file"
    else
        echo "nothing changed"
    fi
}

confirm() {
    begin
    read -r told || [ -n "$told" ] || die 65 "no generation on stdin"
    settle
    if [ "$(content "$dir/staged/generation")" = "$told" ]; then
        if [ "$(live)" != "$told" ]; then # gone back or rebooted meanwhile, and perhaps set up by hand
            [ ! -f "$dir/staged/adopt" ] || adopt=1
            check_by_hand "$staged"
        fi
        changing=confirm
        if [ "$(live)" != "$told" ]; then
            attempt_step before_change
            [ "$result" = 0 ] || exit 71
            arm "$told"
            attempt_step converge "$staged" "$told"
            [ "$result" = 0 ] || exit 71
            arm "$told"
            changing=
            die 75 "$(echo "$told" | cut -c 1-12) was not live any more and is again; confirm it once more"
        fi
        attempt_step switch_keys
        [ "$result" = 0 ] || exit 71
        attempt_step check_alive
        [ "$result" = 0 ] || exit 71
        attempt_step keep_by_hand
        [ "$result" = 0 ] || exit 71
        changing=
        attempt_write "$dir" commit
        finish_by_hand
        said="confirmed $(echo "$told" | cut -c 1-12)$(of_adoption)"
    elif [ "$(content "$dir/confirmed")" = "$told" ]; then
        said="confirmed already"
    else
        die 75 "this host does not hold that generation; apply it first"
    fi
    attempt keep_forwarding 2>"$work/said"
    [ "$result" = 0 ] || die 73 "$said, but cannot write $sysctl: $(brief <"$work/said")"
    echo "$said"
}

rollback() {
    begin
    settle
    if [ -f "$dir/confirmed" ]; then
        keep_known
        attempt_step converge "$conf" "$(cat "$dir/confirmed")"
        [ "$result" = 0 ] || exit 71
        disarm
        attempt_write "$sysctl" keep_forwarding
        answer "rolled back to" "$(cat "$dir/confirmed")"
    elif [ -d "$dir" ]; then
        said=$(taken_down take)
        attempt_step take_down
        [ "$result" = 0 ] || exit 71
        disarm
        echo "nothing was ever confirmed: $said"
    else
        echo "nothing of ours on this host"
    fi
}

remove() { # [SITE]
    begin
    settle
    if [ -f "$staged" ]; then file=$staged; else file=$conf; fi
    # A site that was renamed is removed under its old name when it is in place under its new one.
    if [ -n "$1" ] && [ -f "$file" ] && is_ours "$file" && ! head -n 1 "$file" | grep -qF " for site $1. "; then
        echo "$iface is another site's: nothing removed"
        return
    fi
    said="nothing of ours on this host"
    disarm
    if [ -d "$dir" ] || { [ -f "$conf" ] && is_ours "$conf"; }; then
        attempt_step take_down
        [ "$result" = 0 ] || exit 71
        attempt_write "${dir%/*}" remove_files
        said="removed $iface$(kept_files)"
    fi
    # A configuration that is still there is somebody else's, and so is what starts it.
    [ -f "$conf" ] || at_boot remove
    clear_away
    echo "$said"
}

remove_files() {
    unstage
    rm -rf "$dir"
    if [ -f "$conf" ] && is_ours "$conf"; then rm -f "$conf"; fi
}

clear_away() { # the lock last, since another run may begin from there on
    attempt_write "${sysctl%/*}" rm -f "$sysctl"
    others=
    for other in /etc/wireguard/*.d/rules; do
        [ ! -d "$other" ] || others=1
    done
    rm -rf "$run"
    [ -n "$others" ] || set -- $program # without which nobody finishes what is left
    rm -f "$@" "$run.unused" "$run.watched" "$run.watch" "$run.lock"
    rmdir "${run%/*}" 2>/dev/null || :
}

