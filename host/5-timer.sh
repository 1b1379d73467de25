# The timer: what is applied and not confirmed in time goes back by itself, whatever became of who applied it.

ticks() { cut -d . -f 1 /proc/uptime; } # a clock that nobody sets

arm() { # GENERATION: from now on; returns once somebody watches the time
    echo "$1 $(($(ticks) + within))" >"$work/due"
    mv "$work/due" "$run.due"
    waited=0
    while
        if flock -n "$run.watch" true; then watch; fi # nobody does, or not any more
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

watch() { # It outlives this run, the connection and its session; none of their streams, nor the lock, is its own.
    if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
        ask systemd-run --quiet --collect --unit="wireguard-mesh-$iface-$$-$(ticks)" \
            $program watch "$iface" </dev/null >/dev/null 2>&1; then
        return
    fi
    WIREGUARD_MESH_LOCKED='' setsid $program watch "$iface" </dev/null >/dev/null 2>&1 9>&- &
}

disarm() { rm -f "$run.due"; } # who watches looks every second, and leaves

due() { # sets $due_generation, and $left in seconds; false where nothing has to be confirmed any more
    read -r due_generation due_at 2>/dev/null <"$run.due" || return 1
    left=$((due_at - $(ticks)))
}

watch_time() { # the process that stays: one for each interface, until there is nothing to wait for
    { command exec 8>"$run.watch"; } 2>/dev/null || exit 73
    flock -n 8 || exit 0
    while due; do
        [ "$due_generation" = "$(content "$run.watched")" ] || {
            echo "$due_generation" >"$run.watched.new"
            mv "$run.watched.new" "$run.watched"
        }
        # Another run may be at work, which will confirm, or give more time: it is asked for by its own process.
        [ "$left" -gt 0 ] || $program undo "$iface" 8>&- || sleep 4
        sleep 1
    done
    rm -f "$run.watched"
}

undo() { # of what was due; it stays staged, for the next confirm to make it live again
    begin
    settle
    if ! due || [ "$left" -gt 0 ]; then return; fi
    if [ "$(content "$dir/staged/generation")" != "$due_generation" ]; then
        disarm
        return
    fi
    echo "$(echo "$due_generation" | cut -c 1-12) was not confirmed in time" >"$work/reason"
    changing=undo
    exit 71
}
