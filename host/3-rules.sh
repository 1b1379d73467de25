# Rules: our chains are replaced as a whole, our jumps stand first; one transaction for each table.

families() { if has_ipv6; then echo 4 6; else echo 4; fi; }

tools() { if [ "$1" = 4 ]; then tables=iptables; else tables=ip6tables; fi; }

snapshot() { # of our chains as the kernel has them, from the saved rule set
    sed -nE -e "s/^(:$ours) .*/\\1/p" -e "/^-A $ours /p" "$work/saved"
}

rules_script() { # FAMILY ID: what makes the live rules those of ID, for iptables-restore; empty where they are
    tools "$1"
    run_into "$work/saved" "$tables-save"
    cat >"$work/jumps" <<JUMPS
raw PREROUTING ! -i $iface -j $chains-RAW
mangle FORWARD -i $iface -j $chains-MSS
mangle FORWARD -o $iface -j $chains-MSS
nat PREROUTING -i $iface -j $chains-PRE
nat POSTROUTING -j $chains-POST
filter FORWARD -i $iface -j $chains-FWD
filter FORWARD -o $iface -j $chains-FWD
filter INPUT -i $iface -j $chains-IN
filter INPUT ! -i $iface -j $chains-PORT
JUMPS
    { echo "$2" && snapshot; } >"$work/live"
    same=
    ! cmp -s "$work/live" "$run/rules.v$1" || same=1
    text=$dir/rules/$2/rules.v$1
    [ "$2" != none ] || text=/dev/null
    # Jumps need their chains, and chains cannot go before their jumps; rules of another version have fewer of both.
    # Tables change in the order of the text, filter last: until then no packet is accepted that was not before.
    awk -v jumps="$work/jumps" -v saved="$work/saved" -v text="$text" -v ours="$ours" -v same="$same" '
        function close_table(    key, i, chain, moves, flush, drop) {
            for (key in keys)
                if (index(key, table " ") == 1 && (first[key] != wanted[key] || found[key] != count[key]))
                    moves = moves old[key] insert[key]
            for (i = split(live[table], chain); i > 0; i--)
                if (!(chain[i] in named)) { flush = flush "-F " chain[i] "\n"; drop = drop "-X " chain[i] "\n" }
            if (body moves flush != "") printf "*%s\n%sCOMMIT\n", table, body moves flush drop
            closed[table]; body = ""
        }
        BEGIN {
            while ((getline line < text) > 0)
                if (line ~ /^:/) { split(line, word, " "); named[substr(word[1], 2)] }
        }
        FILENAME == jumps && $NF in named {
            key = $1 " " $2; rule = substr($0, length($1) + 2); keys[key]; wanted[key] = wanted[key] rule "\n"
            insert[key] = insert[key] "-I " $2 " " ++count[key] substr(rule, length($2) + 1) "\n"
        }
        FILENAME == saved && /^\*/ { table = substr($1, 2) }
        FILENAME == saved && $1 ~ "^:" ours "$" { live[table] = live[table] " " substr($1, 2) }
        FILENAME == saved && /^-A/ {
            key = table " " $2; rule = substr($0, 4)
            if (++place[key] <= count[key]) first[key] = first[key] rule "\n"
            if (rule ~ "^[A-Z]+ .*-j " ours "$") { keys[key]; found[key]++; old[key] = old[key] "-D " rule "\n" }
        }
        FILENAME != text { next }
        /^\*/ { table = substr($1, 2); next }
        /^COMMIT/ { close_table(); next }
        !same { body = body $0 "\n" }
        END { for (table in live) if (!(table in closed)) close_table() }
    ' "$work/jumps" "$work/saved" "$text" >"$work/script"
}

load_rules() { # ID
    for family in $(families); do
        [ -f "$dir/rules/$1/rules.v$family" ] || {
            [ -z "$looking" ] || continue # said of the files
            echo "the rules $1 are missing in $dir" >"$work/reason"
            exit 71
        }
        if [ -n "$looking" ]; then
            attempt_step rules_script "$family" "$1"
            if [ "$result" != 0 ]; then unread; elif [ -s "$work/script" ]; then rules_drift "$family"; fi
            continue
        fi
        rules_script "$family" "$1"
        [ -s "$work/script" ] || continue
        if grep -q '^:' "$work/script"; then changed "rules replaced"; else changed "jumps put first again"; fi
        mv "$work/saved" "$work/before"
        run "$tables-restore" -w 10 --noflush <"$work/script"
        run_into "$work/saved" "$tables-save"
        { echo "$1" && snapshot; } >"$run/rules.v$family"
        ! is_up || forget_flows
    done
}

rules_drift() { # FAMILY: what rules_script found, each chain and jump by its name
    content "$run/rules.v$1" >"$work/was"
    awk -v was="$work/was" -v live="$work/live" -v family=" (IPv$1)" '
        FILENAME == was || FILENAME == live {
            chain = /^:/ ? substr($1, 2) : $2
            if (chain != "") { chains[chain]; text[FILENAME, chain] = text[FILENAME, chain] "\n" $0 }
            next
        }
        /^\*/ { table = substr($1, 2) }
        /^:/ { replaced = 1 }
        /^-[DI]/ { jump = "jump from " table " " $2 " to " $NF; target[jump] = $NF; number[jump, $1]++ }
        END {
            for (chain in chains)
                if (text[was, chain] != text[live, chain]) {
                    print "chain " chain (text[live, chain] == "" ? " missing" : " differs") family
                    said = 1
                }
            if (replaced && !said) print "rules differ" family
            for (jump in target)
                if (text[live, target[jump]] != "")
                    print jump (number[jump, "-I"] > number[jump, "-D"] ? " missing" : " not in its place") family
        }' "$work/was" "$work/live" "$work/script" | sort >>"$work/changes"
}

forget_flows() { # whose NAT is another one now: each keeps what it was opened with for as long as somebody sends
    awk -v ours="$ours" '
        function bare(prefix) { sub(/\/(32|128)$/, "", prefix); return prefix }
        function nat(when, source, target,    real) {
            real = (when, target) in real_of ? real_of[when, target] : target
            return real " " known_as[when, source] " " masked[when, source, real]
        }
        FNR == 1 { when++ }
        $2 !~ "^" ours "$" { next }
        / -j NETMAP / && $3 == "-d" { real_of[when, bare($4)] = bare($NF) }
        / -j NETMAP / && $3 == "-s" { known_as[when, bare($4)] = $NF }
        / -j MASQUERADE$/ { masked[when, bare($4), bare($6)] = $8 }
        / --ctorigsrc [^ ]+ --ctorigdst .* -j ACCEPT$/ {
            for (i = 3; i < NF; i++) word[$i] = $(i + 1)
            pair = word["--ctorigsrc"] SUBSEP word["--ctorigdst"]
            if (when == 1) granted[pair]
            else if (pair in granted) still[pair]
        }
        END {
            for (pair in still) {
                split(pair, side, SUBSEP)
                if (nat(1, side[1], side[2]) != nat(2, side[1], side[2])) print "-s", side[1], "-d", side[2]
            }
        }' "$work/before" "$work/saved" >"$work/flows"
    [ -s "$work/flows" ] || return 0
    command -v conntrack >/dev/null || {
        changed "open flows keep their NAT (this host has no conntrack)"
        return 0
    }
    while read -r tuple; do
        # shellcheck disable=SC2086 # words are wanted
        ! ask conntrack -D -f "ipv$family" $tuple >/dev/null 2>&1 || changed "flows of changed NAT forgotten"
    done <"$work/flows"
}

unload_rules() {
    for family in $(families); do
        tools "$family"
        command -v "$tables-restore" >/dev/null || continue
        rules_script "$family" none
        [ ! -s "$work/script" ] || run "$tables-restore" -w 10 --noflush <"$work/script"
        rm -f "$run/rules.v$family"
    done
}

# Forwarding: per interface; what was set before is remembered until reboot, which forgets both.

forwarding_settings() { # ID: "file value" lines
    # shellcheck disable=SC2013 # words are wanted
    for link in $(content "$dir/rules/$1/forwarding"); do
        if grep -qs -e '^-A [^ ]*-FWD .* -j ACCEPT' "$dir/rules/$1/rules.v4"; then echo "$ipv4/$link/forwarding 1"; fi
        if has_ipv6 && grep -qs -e '^-A [^ ]*-FWD .* -j ACCEPT' "$dir/rules/$1/rules.v6"; then
            if [ -e $ipv6/all/force_forwarding ]; then
                echo "$ipv6/$link/force_forwarding 1"
            else
                # Before Linux 6.17 it is for the whole machine, which loses a default route that it learnt from a
                # router unless accept_ra is 2 by then.
                for setting in "$ipv6"/*/accept_ra; do
                    if [ "$(cat "$setting")" = 1 ] || grep -qs "^$setting " "$run/forwarding"; then echo "$setting 2"; fi
                done
                echo "$ipv6/all/forwarding 1"
            fi
        fi
    done
}

forwarding() { # ID, or none
    : >"$work/forwarding"
    [ "$1" = none ] || forwarding_settings "$1" | awk '!seen[$0]++' >"$work/forwarding"
    [ -n "$looking" ] || forward_no_more
    while read -r setting value; do
        if [ ! -e "$setting" ]; then
            link=${setting%/*}
            if [ -n "$looking" ]; then
                changed '' "interface ${link##*/} missing, which a network is behind"
            else
                echo "wireguard-mesh: no $setting: nothing is forwarded there" >&2
            fi
            continue
        fi
        before=$(cat "$setting")
        [ "$before" != "$value" ] || continue
        changed "forwarding changed" "${setting#/proc/sys/} is $before, not $value"
        [ -z "$looking" ] || continue
        grep -q "^$setting " "$run/forwarding" || echo "$setting $value $before" >>"$run/forwarding"
        echo "$value" >"$setting"
    done <"$work/forwarding"
}

forward_no_more() { # what earlier rules needed and those in $work/forwarding do not
    touch "$run/forwarding"
    # What our own file set at boot is not what the host had before.
    content "$sysctl" | sed -n 's#^\(net/.*\) = 1$#/proc/sys/\1#p' | while read -r setting; do
        [ "$(content "$setting")" != 1 ] || grep -q "^$setting " "$run/forwarding" ||
            echo "$setting 1 0" >>"$run/forwarding"
    done
    # The last change is undone first.
    awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' "$run/forwarding" >"$work/recorded"
    needed_by_others >"$work/needed"
    : >"$work/heirs"
    while read -r setting value before; do
        grep -q "^$setting " "$work/forwarding" && continue
        heir=$(awk -v setting="$setting" '
            $2 == setting || setting ~ /accept_ra$/ && $2 ~ /ipv6\/conf\/all\/forwarding$/ { print $1; exit }' "$work/needed")
        if [ -n "$heir" ]; then # whose end will undo it
            grep -qs "^$setting " "${run%/*}/$heir/forwarding" ||
                echo "$setting $value $before" >>"${run%/*}/$heir/forwarding"
            echo "$heir" >>"$work/heirs"
        elif [ "$(content "$setting")" = "$value" ]; then
            echo "$before" >"$setting"
            changed "forwarding changed"
        fi
        awk -v setting="$setting" '$1 != setting' "$run/forwarding" >"$work/left"
        cp "$work/left" "$run/forwarding"
    done <"$work/recorded"
    # shellcheck disable=SC2013 # words are wanted
    for heir in $(sort -u "$work/heirs"); do attempt on_behalf "$heir" keep_forwarding 2>/dev/null; done
}

needed_by_others() { # "interface file value" lines of the other interfaces of ours on this host
    for other in /etc/wireguard/*.d/rules; do
        name=${other%.d/rules}
        name=${name##*/}
        if [ "$name" = "$iface" ] || [ ! -d "${run%/*}/$name" ] || ! ip link show dev "$name" >/dev/null 2>&1; then continue; fi
        on_behalf "$name" all_settings | sed "s/^/$name /"
    done
}

on_behalf() { # INTERFACE COMMAND...: of another one of ours; only in a subshell
    iface=$1 dir=/etc/wireguard/$1.d conf=/etc/wireguard/$1.conf run=${run%/*}/$1
    staged=$dir/staged/$1.conf sysctl=/etc/sysctl.d/60-wireguard-mesh-$1.conf
    shift
    "$@"
}

all_settings() { for id in $(content "$conf" | loaded_by) $(content "$staged" | loaded_by); do forwarding_settings "$id"; done; }

keep_forwarding() { # of a LAN interface that appears only after wg-quick has run at boot: udev or the boot sets it
    forwarding_settings "$(loaded_by "$conf")" |
        awk -v own="/$iface/" '!index($1, own) && /ipv4|force_forwarding/' | while read -r setting value; do
        # Elsewhere the host forwards anyway, and will without us. IPv6 before Linux 6.17 is set for the whole machine.
        line="${setting#/proc/sys/} = $value"
        if grep -qs "^$setting " "$run/forwarding" || content "$sysctl" | grep -qxF "$line"; then echo "$line"; fi
    done >"$work/sysctl"
    if [ -s "$work/sysctl" ]; then
        {
            echo "# Written by wireguard-mesh: the networks behind $iface forward as soon as they are there."
            cat "$work/sysctl"
        } >"$work/sysctl.d"
    else
        : >"$work/sysctl.d"
    fi
    if content "$sysctl" | cmp -s - "$work/sysctl.d"; then return; fi
    changed "$sysctl written" "$sysctl $(if [ -f "$sysctl" ]; then echo differs; else echo missing; fi)"
    if [ -n "$looking" ]; then
        return
    elif [ ! -s "$work/sysctl.d" ]; then
        rm -f "$sysctl"
    else
        chmod 644 "$work/sysctl.d"
        umask 022
        mkdir -p "${sysctl%/*}"
        replace "$work/sysctl.d" "$sysctl"
    fi
}

forwards() { # ID: whether all that it needs is set
    forwarding_settings "$1" | while read -r setting value; do
        [ "$(content "$setting")" = "$value" ] || exit 1
    done
}
