#!/bin/sh
# Runs on a host for `meshctl verify`, as root, and changes nothing: pings every peer, waits for handshakes that are
# newer than what changed, and opens connections. Nothing of that while a change is not confirmed.
#
#   sh -c TEXT sh IFACE SECONDS     with the work on stdin, one a line:
#       peer SITE ADDRESS                           ping it, for SECONDS at most
#       tcp NUMBER SITE ADDRESS TRIES PORT          open a connection, where that site answered a ping
#       icmp NUMBER SITE ADDRESS TRIES              ping, the same
#
# Says, in sections: @results (answered|silent SITE ADDRESS; probe NUMBER STATE), @before and @after (the helper's status),
# @wireguard (own public key, and of each peer its public key, endpoint and allowed IPs).
set -u
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
iface=$1 within=$2
helper=/usr/local/sbin/wireguard-mesh
# WireGuard makes a new session in place of one of 120 seconds where there is something to send: white paper, 6.2.
renewal=140
at_once=40

ticks() { cut -d . -f 1 /proc/uptime; }

answers() { ping -n -q -c 1 -W 1 "$1" >/dev/null 2>&1; } # ADDRESS

until_it_answers() { # SITE ADDRESS
    until answers "$2"; do
        [ "$(ticks)" -lt "$((start + within))" ] || {
            echo "silent $1 $2"
            return
        }
        sleep 0.2 # some failures come at once
    done
    echo "answered $1 $2"
}

outdated() { # of the peers that answered, is the session of any older than what changed? Clocks are read to a second.
    # One that still has its old key, whose turn has not come, is not waited for.
    awk -v results="$work/results" '
        BEGIN { while ((getline line <results) > 0) { split(line, word, " "); if (word[1] == "answered") ok[word[2] ":"] } }
        $1 == "handover:" { for (i = 2; i <= NF; i++) { sub(/,$/, "", $i); two[$i ":"] } }
        $1 == "peer" && $2 in two && /handshake never/ { next }
        $1 == "peer" && $2 in ok && match($0, /changed [0-9]+ s ago/) {
            changed = substr($0, RSTART + 8, RLENGTH - 8) + 0
            if (!match($0, /handshake [0-9]+ s ago/) || substr($0, RSTART + 10, RLENGTH - 10) + 0 > changed + 1) old = 1
        }
        END { exit !old }' "$work/after"
}

connects() { # ADDRESS PORT: sets $state
    # shellcheck disable=SC2016 # it is bash that expands them
    said=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>&1)
    case $?:$said in
    0:*) state=connected ;;
    *refused*) state=refused ;;
    124:* | 137:* | 143:* | *"timed out"*) state=silent ;;
    *unreachable* | *"No route"* | *prohibited* | *"not permitted"*) state=unreachable ;;
    *) state="untried $(echo "$said" | tail -n 1 | cut -c 1-200)" ;;
    esac
}

probe() { # KIND NUMBER ADDRESS TRIES [PORT]
    left=$4
    while
        if [ "$1" = tcp ]; then
            connects "$3" "$5"
        elif answers "$3"; then
            state=answered
        else
            state=silent
        fi
        left=$((left - 1))
        [ "$state" = silent ] && [ "$left" -gt 0 ]
    do :; done
    echo "probe $2 $state"
}

status() { # FILE
    "$helper" status "$iface" >"$1" </dev/null || exit
}

work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM PIPE # nobody may be waiting for the answer any more
for tool in "$helper" ping bash; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing on this host" >&2
        exit 69
    }
done
cat >"$work/list"
: >"$work/results"
status "$work/before"
# It may go back at any moment: what is tried meanwhile proves nothing.
! grep -q '^goes back: ' "$work/before" || : >"$work/list"
start=$(ticks)
while read -r kind site address; do
    [ "$kind" != peer ] || until_it_answers "$site" "$address" </dev/null >>"$work/results" &
done <"$work/list"
wait
status "$work/after"
while outdated && [ "$(ticks)" -lt "$((start + renewal))" ]; do
    sleep 2
    while read -r word _ address; do
        [ "$word" != answered ] || answers "$address" </dev/null &
    done <"$work/results"
    wait
    status "$work/after"
done
number=0
while read -r kind id site address tries port; do
    if [ "$kind" != peer ] && grep -q "^answered $site " "$work/results"; then
        # shellcheck disable=SC2086 # there is no port for a ping
        probe "$kind" "$id" "$address" "$tries" $port </dev/null >>"$work/probes" &
        number=$((number + 1))
        [ $((number % at_once)) != 0 ] || wait
    fi
done <"$work/list"
wait
echo "@results"
cat "$work/results" "$work/probes" 2>/dev/null
echo "@before"
cat "$work/before"
echo "@after"
cat "$work/after"
echo "@wireguard"
wg show "$iface" public-key 2>/dev/null | sed 's/^/own /'
wg show "$iface" endpoints 2>/dev/null | sed 's/^/endpoint /'
wg show "$iface" allowed-ips 2>/dev/null | sed 's/^/allowed /'
exit 0
