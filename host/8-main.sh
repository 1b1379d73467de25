# The command line.

main() {
    [ $# -ge 2 ] || die 64 "usage: wireguard-mesh install|apply|confirm|status|rollback|remove IFACE"
    iface=$2
    # In lower case, so that no two interfaces have the same chains.
    case $iface in
    '' | [!a-z0-9]* | *[!a-z0-9_.-]* | ????????????????*) die 64 "no name for an interface of ours: $iface" ;;
    esac
    chains=$(printf '%s' "$iface" | tr '[:lower:]' '[:upper:]')
    ours="$(printf '%s' "$chains" | sed 's/\./[.]/g')-(RAW|MSS|PRE|POST|DST|FWD|IN|PORT|SRC)"
    conf=/etc/wireguard/$iface.conf dir=/etc/wireguard/$iface.d run=/run/wireguard-mesh/$iface
    staged=$dir/staged/$iface.conf work=$run/work.$$ by_hand=$run/before/$iface.conf
    changing='' ending='' looking='' probe='' alone='' switching='' adopt='' adopted='' within=120 patience=30 depth=0
    sysctl=/etc/sysctl.d/60-wireguard-mesh-$iface.conf
    case $1:$# in
    install:2) install_here '' ;;
    install:3)
        [ "$3" = adopt ] || die 64 "install takes no '$3'"
        install_here adopt
        ;;
    apply:2 | apply:3 | confirm:2 | confirm:3 | watch:2 | watch:3 | undo:2 | retire:2 | retire:3)
        within=${3:-120}
        case $within in
        *[!0-9]* | ????? | 0*) die 64 "no number of seconds: $within" ;;
        esac
        case $1 in undo | retire) patience=0 ;; esac # who watches asks again
        "$1"
        ;;
    status:2) show_status ;;
    rollback:2) rollback ;;
    remove:2) remove '' ;;
    remove:3) remove "$3" ;;
    load:3)
        begin
        rm -f "$run/applied"
        echo '*' | note_changed
        load_rules "$3"
        ;;
    forward:3)
        [ "${WIREGUARD_MESH_LOCKED:-}" = "$iface" ] || alone=1
        begin
        forwarding "$3"
        [ -z "$alone" ] || attempt_step resume_at_boot # wg-quick takes the interface away where this fails
        ;;
    unload:2)
        begin
        rm -f "$run/applied"
        unload_rules
        forwarding none
        ;;
    *) die 64 "usage: wireguard-mesh install|apply|confirm|status|rollback|remove IFACE" ;;
    esac
}

main "$@"
