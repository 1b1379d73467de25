# Firewalls of others: what our rules accept is dropped all the same where a chain of another backend or table does so.
# Asked before anything is touched, and refused with the way out only where it is plain: a refusal holds up all changes.

as_listed() { # FAMILY PROGRAM: what its -save says of the table `filter`, almost in the words of nft
    ask timeout 20 "$2-save" 2>/dev/null | sed -E -e '/^\*filter/,/^COMMIT/!d' -e "s/^\*filter.*/table $1 $2/" \
        -e 's/ --(comment|log-prefix) ("([^"\\]|\\.)*"|[^ ]+)//g' -e 's/ -m (comment|tcp|udp|multiport)//g' \
        -e 's/ -m (conntrack|state) --(ct)?state ([A-Z,]+)/ ct state \3/' -e '/dports? /s/([0-9]):([0-9])/\1-\2/g' \
        -e 's/-j (DROP|REJECT).*/drop/' -e 's/-j ACCEPT$/accept/' -e 's/-[jg] ([^ ]+).*/jump \1/' \
        -e 's/ -([io]) ([^ ]+)/ \1ifname "\2"/g' -e 's/ -([sd]) / \1addr /g'
}

check_firewalls() { # CONF FORWARDING
    case $(iptables -V 2>/dev/null) in *nf_tables*) other=legacy ;; *) other=nft ;; esac
    { as_listed ip iptables-$other && as_listed ip6 ip6tables-$other; } >"$work/listed"
    untold='' zone=''
    if command -v nft >/dev/null; then
        ask timeout 20 nft list ruleset >>"$work/listed" 2>/dev/null || :
    elif ask timeout 20 firewall-cmd --state >/dev/null 2>&1; then
        # What firewalld lets pass is not known then, but whether it was told of the interface.
        ask timeout 20 firewall-cmd --get-zone-of-interface="$iface" >/dev/null 2>&1 ||
            grep -qs '^FirewallBackend=iptables' /etc/firewalld/firewalld.conf || untold=1
    fi
    for option in "new-zone=mesh" "zone=mesh --set-target=ACCEPT" "zone=mesh --add-interface=$iface" \
        "new-policy=mesh-out" "policy=mesh-out --add-ingress-zone=ANY" "policy=mesh-out --add-egress-zone=mesh" \
        "policy=mesh-out --set-target=ACCEPT"; do zone="$zone'firewall-cmd --permanent --$option', "; done
    awk -v iface="$iface" -v lans="$(cat "$2")" -v port="$(values "$1" ListenPort)" -v listed="$work/listed" \
        -v zone="$zone" -v unzoned="$untold" -v unopened="$untold" '
        function has_port(text,    i, n, word, range) {
            gsub(/[^0-9-]+/, " ", text)
            for (i = split(text, word, " "); i > 0; i--)
                if ((n = split(word[i], range, "-")) && range[1] + 0 <= port + 0 && port + 0 <= range[n] + 0) return 1
        }
        function narrow(rule, outer) { # for less than what we need: what comes for the port, or else by the tunnel
            sub(/(jump|goto) .*/, "", rule)
            if (rule ~ /(^| )(ct|esp|ah) |[sd]port|[sd]addr|icmp|igmp|iif(name)? "lo"|-m /) return 1
            if (outer) return rule ~ /tcp/ && rule !~ /udp/ || rule !~ /\{/ && rule ~ tunnel
            return rule ~ /iif/ || rule ~ /oif/ && rule !~ lans
        }
        function outcome(chain, outer,    i, rule, result) { # of its rules for everything, or else its policy
            for (i = 1; i <= count[chain]; i++) {
                rule = line[chain, i]; result = ""
                if (rule ~ /^(drop|reject)/) return "drop"
                if (narrow(rule, outer)) continue
                if (rule ~ /(^|[ :])accept([ ,}]|$)/) return "accept"
                if (match(rule, /(jump|goto) [^ ,}]+/))
                    result = outcome(table " " substr(rule, RSTART + 5, RLENGTH - 5), outer)
                if (result == "accept" || result && rule ~ /^(jump|goto)/) return result
            }
            return policy[chain]
        }
        function add(rule) { lacks = lacks (lacks ? " and" : "") " \047nft insert rule " chain " " rule " accept\047" }
        BEGIN {
            for (i = 1; i <= length(iface); i++) tunnel = tunnel "|" substr(iface, 1, i) "[*+]"
            tunnel = "\"(" iface tunnel ")\""; gsub(/ /, "|", lans); lans = "\"(" lans ")\""
            needs["port", "ip"] = needs["port", "inet"] = 1
        }
        FILENAME != listed { # what the bundle needs, of which family
            family = FILENAME ~ /v6$/ ? "ip6" : "ip"
            if (/^Endpoint = \[/) needs["port", "ip6"] = 1
            if (/^-A [^ ]*-FWD .* -j ACCEPT/) needs["forward", family] = needs["forward", "inet"] = 1
            if (/^-A [^ ]*-IN .*--ctorigsrc .* -j ACCEPT/) needs["input", family] = needs["input", "inet"] = 1
            next
        }
        /^table / { table = $2 " " $3; next }
        /^\t[a-z]/ { chain = table " " $2; next }
        /^:|^-A / { chain = table " " (/^:/ ? substr($1, 2) : $2); sub(/^-A [^ ]+ /, "") }
        # iptables-nft makes the chains in capitals, and our jumps come first there.
        chain !~ /^(ip|ip6|inet) / || chain ~ /^ip6? filter [^a-z]+$/ { next }
        /^:(INPUT|FORWARD) |^\t\ttype filter hook (input|forward) / {
            base[++bases] = chain; hook[chain] = /^:I|hook input/ ? "input" : "forward"
            if (/^:[A-Z]+ DROP|policy drop/) policy[chain] = "drop"
        }
        /^:|^\t\ttype / { next }
        {
            gsub(/[ \t]+/, " "); $0 = " " $0 " "; gsub(/ comment "[^"]*"/, "")
            gsub(/ counter (name "[^"]*" |packets [0-9]+ bytes [0-9]+ )?/, " ")
            gsub(/ log ((prefix|level|group|snaplen|queue-threshold|flags( tcp| ip)?) ("[^"]*"|[^" ]+) )*/, " ")
            gsub(/(invalid|established|related|"lo") : accept/, "")
            gsub(/ct state (vmap [^}]*new :|\{[^}]*new[^}]*\}|[a-zA-Z,]*(new|NEW)[a-zA-Z,]*|!=? ?invalid) /, "")
            gsub(/^ +| +$/, "")
            if ($0 ~ tunnel) named[table] = 1
            if (!/tcp (--)?dport/ && has_port($0)) opened[table] = 1
            if (/^oif .*accept/ && !/iif|ct state/) routed[table, $2] = 1
            if (table ~ / libvirt_network$/ && /^oif .*reject/ && $0 ~ lans && !routed[table, $2]) rejects[table] = 1
            if ($0 != "") line[chain, ++count[chain]] = $0
        }
        END {
            for (i = 1; i <= bases; i++) {
                chain = base[i]; split(chain, part, " "); table = part[1] " " part[2]; lacks = ""
                if (hook[chain] == "input" && needs["port", part[1]] && !opened[table] && outcome(chain, 1) == "drop")
                    add("udp dport " port)
                if (needs[hook[chain], part[1]] && !named[table]) {
                    if (hook[chain] == "forward" && rejects[table]) libvirt = 1
                    else if (outcome(chain, 0) == "drop") {
                        add("iifname " iface); if (hook[chain] == "forward") add("oifname " iface)
                    }
                }
                if (!lacks) continue
                if (part[2] == "firewalld") { if (lacks ~ /dport/) unopened = 1; if (lacks ~ /name/) unzoned = 1 }
                else if (sub(/-(nft|legacy)$/, "", part[2]))
                    print part[2] " of the other backend drops what our rules accept (" part[3] "): have all programs" \
                        " use one (on Debian by \047update-alternatives --config " part[2] "\047)"
                else print "nftables drops in chain " chain " what our rules accept: run, and add to its source," lacks
            }
            if (libvirt)
                print "libvirt rejects in nftables what our rules accept: set firewall_backend = \"iptables\" in" \
                    " /etc/libvirt/network.conf, restart virtnetworkd or libvirtd, and only then try again, since of" \
                    " its rules and ours those come first that were loaded last"
            if (unzoned || unopened)
                print "firewalld drops what our rules accept: run " (unzoned ? zone : "") \
                    (unopened ? "\047firewall-cmd --permanent --add-port=" port "/udp\047, " : "") \
                    "\047firewall-cmd --reload\047; that takes away all of iptables, so after every later one run" \
                    " \047wireguard-mesh rollback " iface "\047"
        }' "$1" "$work/new/rules.v4" "$work/new/rules.v6" "$work/listed" >"$work/ways"
    [ ! -s "$work/ways" ] || die 69 "$(awk '{ printf "%s%s", sep, $0; sep = "; " }' "$work/ways")"
}
