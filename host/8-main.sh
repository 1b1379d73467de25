# The command line.

main() {
    [ $# -ge 2 ] || die 64 "usage: wireguard-mesh install|apply|confirm|status|rollback|remove IFACE"
    iface=$2
    case $iface in [!A-Za-z0-9]* | *[!A-Za-z0-9_.-]* | ????????????????*) die 64 "no name for an interface: $iface" ;; esac
    chains=$(printf '%s' "$iface" | tr '[:lower:]' '[:upper:]')
    conf=/etc/wireguard/$iface.conf dir=/etc/wireguard/$iface.d run=/run/wireguard-mesh/$iface
    staged=$dir/staged/$iface.conf work=$run/work.$$ changing=
    case $1:$# in
    install:2) install_here ;;
    apply:2) apply ;;
    confirm:2) confirm ;;
    status:2) show_status ;;
    rollback:2) rollback ;;
    remove:2) remove ;;
    load:3)
        begin
        rm -f "$run/applied"
        load_rules "$3"
        ;;
    forward:3)
        begin
        forwarding "$3"
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
