# What people and the program call: apply, confirm, status, rollback, remove.

apply() {
    begin
    read_bundle
    check_host "$work/new/conf" "$work/new/forwarding"
    settle
    attempt stage 2>"$work/said"
    [ "$result" = 0 ] || die 73 "cannot write $dir: $(cat "$work/said")"
    if [ -f "$staged" ]; then file=$staged; else file=$conf; fi
    changing=apply
    attempt converge "$file" "$generation"
    [ "$result" = 0 ] || exit 71
    changing=
    answer applied "$generation"
}

answer() { # WORD GENERATION
    if [ -s "$work/changes" ]; then
        echo "$1 $(echo "$2" | cut -c 1-12): $(awk '!seen[$0]++ { printf "%s%s", comma, $0; comma = ", " }' "$work/changes")"
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
        if [ "$(live)" != "$told" ]; then # gone back or rebooted meanwhile
            changing=confirm
            attempt converge "$staged" "$told"
            [ "$result" = 0 ] || exit 71
            changing=
            die 75 "$(echo "$told" | cut -c 1-12) was not live any more and is again; confirm it once more"
        fi
        sync "$staged" "$dir/rules/$(loaded_by "$staged")"/*
        mv "$staged" "$conf"
        mv "$dir/staged/generation" "$dir/confirmed"
        rm -rf "$dir/staged"
        sync "$dir" "${dir%/*}"
        prune
        echo "confirmed $(echo "$told" | cut -c 1-12)"
    elif [ "$(content "$dir/confirmed")" = "$told" ]; then
        echo "confirmed already"
    else
        die 75 "this host does not hold that generation; apply it first"
    fi
}

rollback() {
    begin
    settle
    if [ -f "$dir/confirmed" ]; then
        converge "$conf" "$(cat "$dir/confirmed")"
        answer "rolled back to" "$(cat "$dir/confirmed")"
    elif [ -d "$dir" ]; then
        take_down
        echo "nothing was ever confirmed: $iface taken down"
    else
        echo "nothing of ours on this host"
    fi
}

show_status() {
    begin
    echo "interface: $iface"
    for kind in confirmed staged/generation; do
        echo "${kind%/*}: $(if [ -f "$dir/$kind" ]; then cat "$dir/$kind"; else echo none; fi)"
    done
    if ! is_up; then
        echo "live: none"
        return
    elif [ ! -d "$dir" ]; then
        echo "live: an interface that is not ours"
        return
    fi
    echo "live: $(live | grep . || echo unknown)"
    echo "wireguard: $(if [ -S "/run/wireguard/$iface.sock" ]; then echo wireguard-go; else echo kernel; fi)"
    echo "peers: $(wg show "$iface" peers | wc -l | tr -d ' ')"
    if [ -f "$staged" ] && [ "$(live)" = "$(content "$dir/staged/generation")" ]; then file=$staged; else file=$conf; fi
    id=$(content "$file" | loaded_by)
    for family in $(families); do
        if [ ! -f "$dir/rules/${id:-none}/rules.v$family" ]; then
            verdict=missing
        else
            rules_script "$family" "$id"
            if [ -s "$work/script" ]; then verdict=differ; else verdict="in place"; fi
        fi
        echo "rules.v$family: ${id:-none} $verdict"
    done
}

remove() {
    begin
    settle
    if [ ! -d "$dir" ] && { [ ! -f "$conf" ] || ! is_ours "$conf"; }; then
        at_boot remove
        clear_away
        echo "nothing of ours on this host"
        return
    fi
    take_down
    at_boot remove
    rm -rf "$dir"
    if [ -f "$conf" ] && is_ours "$conf"; then rm -f "$conf"; fi
    clear_away
    echo "removed $iface"
}

clear_away() {
    rm -rf "$run" "$run.lock"
    rmdir "${run%/*}" 2>/dev/null || :
    for other in /etc/wireguard/*.d/rules; do
        [ ! -d "$other" ] || return 0
    done
    rm -f $program
}

