#!/bin/sh
# Runs on every endpoint: puts a site's WireGuard interface, routes and rules in place by difference, and takes them away.
#
#   install IFACE [adopt]     copies itself to /usr/local/sbin, installs missing packages, has wg-quick start IFACE at
#                         boot; with `adopt` a configuration that was written by hand is no reason to refuse
#   apply IFACE [SECONDS]     makes the bundle on stdin live and keeps it beside what is confirmed; goes back where that
#                         fails, and where nobody confirms it in time (120 seconds)
#   confirm IFACE [SECONDS]   makes the generation named on stdin the one that the host boots with
#   status IFACE          says what is confirmed, staged and live, and what differs from it; changes nothing
#   rollback IFACE        makes what is confirmed live again
#   remove IFACE [SITE]   takes away all of the above, and nothing else; nothing at all where it is another site's by now
#   watch IFACE [SECONDS], undo IFACE, retire IFACE [SECONDS]   left behind by apply: goes back when the time is over,
#                         and has a peer's two keys while it changes them
#   load IFACE RULES, forward IFACE RULES, unload IFACE       called by wg-quick (PreUp, PostUp, PostDown)
#
# Exit status: 0 done (status: said, whatever differs or could not be read, which is told); 64 wrong usage; 65 bad bundle, nothing touched; 69 something is missing on this host, nothing
# touched; 71 the system refused a step: apply and confirm went back, or say that they could not, or that it is confirmed
# and not whole; every other verb stopped there and can be run again; 73 cannot write; 75 pending, or another run is at
# work; above 128 ended by a signal, and gone back all the same.
#
# Keys never stand in a variable or an argument, only in files below /etc/wireguard and /run that root alone can read.
set -eu
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin WG_ENDPOINT_RESOLUTION_RETRIES=3
unset LOG_LEVEL # set, it has wireguard-go keep our stdout, and ssh would wait for that to close

program=/usr/local/sbin/wireguard-mesh
ipv4=/proc/sys/net/ipv4/conf ipv6=/proc/sys/net/ipv6/conf

die() { # STATUS SENTENCE...
    status=$1
    shift
    printf 'wireguard-mesh: %.1500s\n' "$*" >&2
    exit "$status"
}

begin() { # One run at a time for an interface; what wg-quick calls on behalf of a run belongs to that run.
    if [ "${WIREGUARD_MESH_LOCKED:-}" != "$iface" ]; then
        command -v flock >/dev/null || die 69 "flock is missing on this host; install util-linux"
        waited=0
        until lock; do
            [ "$waited" -lt "$patience" ] || die 75 "another run is at work on $iface; try again"
            sleep 1
            waited=$((waited + 1))
        done
        export WIREGUARD_MESH_LOCKED="$iface"
        rm -rf "$run"/work.*
    fi
    mkdir -p "$run" 2>/dev/null || die 73 "cannot write $run"
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 141' PIPE # nobody reads the answer any more
    mkdir "$work" 2>/dev/null || die 73 "cannot write $run"
    : >"$work/changes"
}

lock() { # [-s]: `remove` takes the file away: a lock on what has no name any more keeps nobody else out
    mkdir -p "${run%/*}" 2>/dev/null || die 73 "cannot write ${run%/*}"
    { command exec 9<>"$run.lock"; } 2>/dev/null || {
        [ ! -d "${run%/*}" ] || die 73 "cannot write $run.lock"
        return 1
    }
    flock -n "$@" 9 && [ "$(stat -Lc %d:%i /proc/self/fd/9)" = "$(stat -c %d:%i "$run.lock" 2>/dev/null)" ]
}

finish() { # An apply or confirm ends on one generation or says why not; after SIGKILL the next run goes on from there.
    status=$?
    trap '' HUP INT TERM
    trap : PIPE # unlike '', not for those that are called
    ending=1
    [ -z "$probe" ] || ip link delete dev "$probe" 2>/dev/null || :
    if [ -n "$changing" ]; then
        go_back
    elif [ -s "$work/reason" ]; then
        printf 'wireguard-mesh: %.1500s\n' "$(reason)" >&2 || :
    fi
    rm -rf "$work" 2>/dev/null || :
    if [ "$status" -gt 0 ] && [ "$status" -lt 64 ]; then status=71; fi
    exit "$status"
}

attempt() { # COMMAND...: sets $result; `set -e` holds inside, which it would not in a condition
    set +e
    (
        set -e
        "$@"
    )
    result=$?
    set -e
}

attempt_step() { # COMMAND...: the same; what the shell itself says of a failure becomes the reason
    depth=$((depth + 1)) # one may be within another
    attempt "$@" 2>"$work/spoken.$depth"
    if [ "$result" = 0 ]; then
        # What programs say that do their work is theirs.
        [ -n "$ending" ] || grep '^wireguard-mesh: ' "$work/spoken.$depth" >&2 || :
    elif [ ! -s "$work/reason" ] && [ -s "$work/spoken.$depth" ]; then
        brief <"$work/spoken.$depth" >"$work/reason"
    fi
    depth=$((depth - 1))
}

attempt_write() { # WHERE COMMAND...: exits 73 where that cannot be written
    where=$1
    shift
    attempt "$@" 2>"$work/said"
    [ "$result" = 0 ] || die 73 "cannot write $where: $(brief <"$work/said")"
}

ask() { # COMMAND...: no child inherits the lock; one that hangs while this run ends or looks, deaf to TERM, is killed
    [ -z "$ending$looking" ] || set -- timeout -s KILL 60 "$@"
    "$@" 9>&-
}

run() { run_into "$work/said" "$@"; } # COMMAND...: what it says is kept for the case that it fails

run_into() { # FILE COMMAND...: the same, and what it prints, warnings apart, goes there
    into=$1
    shift
    : >"$into"
    : >"$work/said"
    # What the shell says of a killed one is not kept.
    { ask "$@" >>"$into" 2>>"$work/said"; } 2>/dev/null || {
        [ -s "$work/said" ] || echo "failed or was ended without a word" >"$work/said"
        { printf '%s: ' "$1" && grep -v '^\[#\] ip link delete' "$work/said" | brief; } >"$work/reason"
        exit 71
    }
}

brief() { # one line of what a program said at last, without keys
    tail -n 2 | tr '\n' ' ' | sed 's#[A-Za-z0-9+/]\{43\}=#<key>#g' | cut -c 1-400
}

act() { [ -n "$looking" ] || run "$@"; } # COMMAND...: what changes the host

changed() { # PAST [DRIFT]: what was changed; or what differs, where this run only looks
    if [ -n "$looking" ]; then shift; fi
    printf '%s\n' "$1" >>"$work/changes"
}

reason() { if [ -s "$work/reason" ]; then cat "$work/reason"; else echo "the run was ended"; fi; }

lacking() { # HAVE WANT: the lines of WANT that are not in HAVE
    awk -v have="$1" 'BEGIN { while ((getline line < have) > 0) seen[line] } !($0 in seen)' "$2"
}

values() { # CONF KEY: its values, one a line
    sed -n "/^[[:space:]]*$2[[:space:]]*=/{s/^[^=]*=//;s/[[:space:]]//g;y/,/\n/;p;}" "$1"
}

content() { if [ -f "$1" ]; then cat "$1"; fi; }

is_up() { ip link show dev "$iface" >/dev/null 2>&1; }

has_ipv6() { [ -e $ipv6/all ]; }

is_ours() { # CONF
    case $(head -n 1 "$1") in '# Written by wireguard-mesh '*) ;; *) return 1 ;; esac
}

refuse_foreign() { # before anything is touched
    if [ -f "$conf" ] && ! is_ours "$conf"; then
        die 69 "$conf was not written by us; stop it (wg-quick down $iface) and move it away," \
            "have it taken over ('adopt: true'), or name another interface in the config"
    fi
}

replace() { # FROM TO: all of it or nothing
    cp "$1" "$2.new" || {
        rm -f "$2.new"
        return 1
    }
    mv "$2.new" "$2"
}

