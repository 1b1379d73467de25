# What stays behind: what is applied and not confirmed in time goes back by itself, whatever became of who applied it; and
# while a peer changes its key, its allowed IPs go with the key that it uses.

ticks() { cut -d . -f 1 /proc/uptime; } # a clock that nobody sets

arm() { # GENERATION: from now on; returns once somebody watches the time
    echo "$1 $(($(ticks) + within))" >"$work/due"
    mv "$work/due" "$run.due"
    waited=0
    while
        stay
        [ "$(content "$run.watched")" != "$1" ]
    do
        [ "$waited" -lt 100 ] || {
            rm -f "$run.due"
            echo "no process could be left behind to watch the time" >"$work/reason"
            exit 71
        }
        sleep 0.1
        waited=$((waited + 1))
    done
}

stay() { # It outlives this run, the connection and its session; none of their streams, nor the lock, is its own.
    flock -n "$run.watch" true || return 0 # somebody is there
    if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
        ask systemd-run --quiet --collect --unit="wireguard-mesh-$iface-$$-$(ticks)" \
            $program watch "$iface" "$within" </dev/null >/dev/null 2>&1; then
        return
    fi
    WIREGUARD_MESH_LOCKED='' setsid $program watch "$iface" "$within" </dev/null >/dev/null 2>&1 9>&- &
}

disarm() { rm -f "$run.due"; } # who watches looks every second, and leaves

due() { # sets $due_generation, and $left in seconds; false where nothing has to be confirmed any more
    read -r due_generation due_at 2>/dev/null <"$run.due" || return 1
    left=$((due_at - $(ticks)))
}

watch() { # the process that stays: one for each interface, until there is nothing to wait for
    { command exec 8>"$run.watch"; } 2>/dev/null || exit 73
    flock -n 8 || exit 0
    heard='' since='' pairs=''
    while
        busy='' pause=1 rounds=1 again=1
        if due; then busy=1 && watch_time; fi
        if handing_over; then busy=1 && watch_keys; fi
        [ -n "$busy" ]
    do
        for _ in $(seq "$rounds"); do
            sleep "$pause"
            if [ "$rounds" -gt 1 ] && follow_keys; then since=$(ticks); fi
        done
    done
    rm -f "$run.watched" "$run.unused"
}

watch_time() {
    [ "$due_generation" = "$(content "$run.watched")" ] || {
        echo "$due_generation" >"$run.watched.new"
        mv "$run.watched.new" "$run.watched"
    }
    # By a process of its own, since this one stays. Another run may be at work, which will confirm, or give more time.
    [ "$left" -gt 0 ] || timeout -k 90 120 $program undo "$iface" 8>&- || :
}

watch_keys() { # closely as long as another site's turn is near; a key that is not used any more is given up at last
    [ "$pairs" = "$(cat "$dir/handover")" ] || since=
    pairs=$(content "$dir/handover") since=${since:-$(ticks)}
    if [ $(($(ticks) - since)) -lt 300 ]; then pause=0.02 rounds=40; else pause=0.05 rounds=20; fi
    if [ ! -f "$staged" ] && note_unused; then timeout -k 90 120 $program retire "$iface" "$within" 8>&- || :; fi
}

undo() { # of what was due; it stays staged, for the next confirm to make it live again
    begin
    settle
    if ! due || [ "$left" -gt 0 ]; then return; fi
    if [ "$(content "$dir/confirmed")" = "$due_generation" ]; then
        disarm
        return
    fi
    echo "$(echo "$due_generation" | cut -c 1-12) was not confirmed in time" >"$work/reason"
    changing=undo
    exit 71
}
