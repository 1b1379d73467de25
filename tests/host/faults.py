"""The faults that a single host meets: what the user sees, what the host does, what to do, and which tests say so.

`table()` is what docs/operations.md shows.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault. `tests` are FILE::FUNCTION, of this folder."""

    fault: str
    sees: str
    host: str
    todo: str
    tests: tuple[str, ...]


UP = "`pulumi up` again"
WHOLE = "keeps what was confirmed, or has the new one as a whole; nothing in between after the next run"
BACK = "goes back to what was confirmed; where nothing was, takes the interface down"
_KILL = "test_fault_kill.py::"
_RUNS = "test_fault_runs.py::"
_FILES = "test_fault_files.py::"
_RULES = "test_fault_rules.py::"
_TIMER = "test_fault_timer.py::"
_BOOT = "test_fault_reboot.py::"
_ANSWERS = "test_fault_answers.py::"

FAULTS = (
    Fault("bundle empty, cut at any section, a bit flipped", "`exited with status 65`", "touches nothing", UP, (
        "test_bundle_faults.py::test_a_bundle_that_is_empty_cut_or_flipped_is_refused_and_nothing_is_touched",
        "test_bundle_faults.py::test_a_bad_first_bundle_leaves_a_blank_host_blank",
    )),
    Fault("helper killed (SIGKILL) at any step of `apply`", "the command fails without an answer",
          f"{WHOLE}; goes back by itself in time", UP, (
        f"{_KILL}test_a_killed_run_is_made_whole_by_the_next_one",
        f"{_KILL}test_a_first_apply_that_is_killed_is_made_whole_or_taken_away",
        f"{_RUNS}test_an_apply_that_is_killed_while_another_waits_for_its_confirm_does_not_keep_that",
        "test_timer.py::test_an_apply_that_is_killed_by_sigkill_goes_back_when_the_time_is_over",
    )),
    Fault("helper killed at any step of `confirm`, `rollback` or of going back", "the same", WHOLE,
          f"{UP}, or `wireguard-mesh rollback wg0`", (
        f"{_KILL}test_a_killed_run_is_made_whole_by_the_next_one",
        "test_generations.py::test_a_confirm_that_was_killed_after_the_rename_is_finished_by_the_next_run",
    )),
    Fault("helper killed at any step of `remove` or `install`", "the same", "has some of it left",
          "`pulumi destroy` or `up` again", (
        f"{_KILL}test_a_killed_remove_is_finished_by_the_next_one_or_undone_by_an_up",
        f"{_KILL}test_an_install_that_is_killed_is_finished_by_the_next_one",
    )),
    Fault("SSH cut during `apply`", "the `up` fails; status 71 where the answer still arrives", BACK, UP, (
        f"{_RUNS}test_an_apply_whose_connection_ends_goes_back",
        f"{_RUNS}test_an_apply_whose_answer_nobody_reads_leaves_no_key_behind_and_goes_back_in_time",
        "test_going_back.py::test_a_run_that_is_ended_goes_back",
    )),
    Fault("two runs at once", "nothing, or `exited with status 75` after 30 s", "does one after the other", UP, (
        "test_generations.py::test_of_two_runs_at_once_one_waits",
        "test_generations.py::test_a_run_beside_one_that_never_ends_is_told_so",
        f"{_RUNS}test_an_apply_waits_for_a_confirm_that_is_at_work",
        f"{_RUNS}test_a_confirm_beside_an_apply_of_another_generation_is_pending",
    )),
    Fault("wrong generation at `confirm`", "`exited with status 75`", "touches nothing", UP, (
        "test_generations.py::test_confirming_another_generation_is_pending_and_changes_nothing",
    )),
    Fault("late generation at `confirm`",
          "`exited with status 75`, retried", "applies it again, to be confirmed once more",
          "nothing", (
        "test_timer.py::test_what_nobody_confirms_goes_back_and_stays_staged_for_a_later_confirm",
        "test_timer.py::test_a_late_confirm_that_is_not_repeated_goes_back_as_well",
    )),
    Fault("no confirm", "`goes back: in N s` in `status`", BACK, UP, (
        "test_timer.py::test_what_nobody_confirms_goes_back_and_stays_staged_for_a_later_confirm",
        "test_timer.py::test_a_first_apply_that_nobody_confirms_is_taken_down",
    )),
    Fault("host rebooted before `confirm`", "`exited with status 75`, retried",
          "boots with what was confirmed; `confirm` applies what is staged", "nothing", (
        f"{_BOOT}test_a_host_that_boots_before_the_confirm_runs_what_was_confirmed_and_then_confirms",
        f"{_BOOT}test_a_host_that_boots_before_its_first_confirm_runs_nothing_and_then_confirms",
        f"{_BOOT}test_a_boot_after_the_confirm_brings_the_new_one_back",
    )),
    Fault("disk full, /etc read-only", "`exited with status 73: cannot write /etc/wireguard/wg0.d`",
          "touches nothing; a change that was applied goes back in time", f"make room, then {UP}", (
        f"{_FILES}test_a_full_disk_is_said_and_leaves_nothing_half_staged",
        f"{_FILES}test_a_full_disk_leaves_a_host_without_generation_as_it_was",
        f"{_FILES}test_etc_that_became_read_only_keeps_what_is_applied_from_being_confirmed_and_it_goes_back",
        f"{_FILES}test_etc_that_becomes_read_only_during_an_apply_that_fails_does_not_keep_it_from_going_back",
    )),
    Fault("/run full or read-only", "`exited with status 73: cannot write /run/wireguard-mesh/wg0`", "touches nothing",
          f"make room, then {UP}", (
        f"{_FILES}test_a_read_only_run_is_said_and_nothing_is_touched",
        f"{_FILES}test_a_full_run_is_said_before_anything_is_touched",
    )),
    Fault("/proc/sys read-only", "`exited with status 71: ... Read-only file system`",
          "goes back, as far as it can: the message says whether",
          "`wireguard-mesh rollback wg0` once it can be written", (
        f"{_FILES}test_a_read_only_proc_sys_is_said_and_the_rest_goes_back",
    )),
    Fault("xtables lock held (legacy iptables)", "after 10 s `exited with status 71: ... xtables lock`", BACK, UP, (
        f"{_RULES}test_a_lock_that_somebody_keeps_is_waited_for_and_then_said",
        f"{_RULES}test_a_lock_that_is_given_back_in_time_holds_nobody_up",
    )),
    Fault("a rule of one table refused after another was loaded",
          "`exited with status 71: iptables-restore: ...`", BACK,
          "what the message says", (
        "test_going_back.py::test_a_failure_in_the_middle_goes_back_to_what_was_confirmed",
        f"{_RULES}test_a_refusal_of_nat_after_filter_was_loaded_is_of_no_consequence",
    )),
    Fault("rules of others: Docker's with FORWARD's policy DROP, libvirt's REJECT above our jump",
          "nothing, or `differ` in `status`", "leaves them byte for byte, and puts its own jumps first",
          f"`wireguard-mesh rollback wg0`, or {UP}", (
        f"{_RULES}test_rules_that_others_put_before_ours_show_and_make_way_again",
        "test_rules.py::test_foreign_rules_stay_byte_for_byte",
    )),
    Fault("somebody flushes FORWARD", "`differ` in `status`",
          "what the tunnel brings is left to FORWARD's policy: open where that is ACCEPT",
          "`wireguard-mesh rollback wg0`, or an `up` that changes the site", (
        f"{_RULES}test_whoever_flushes_forward_takes_our_jumps_along_until_the_next_rollback_or_up",
    )),
    Fault("legacy and nft rules side by side",
          "nothing; `exited with status 69` where the others drop what ours accept",
          "leaves the others' alone", "what the message says", (
        f"{_RULES}test_rules_of_the_other_backend_are_not_touched",
          "test_firewalls.py::test_a_chain_of_the_other_backend_that_ends_by_dropping_is_refused_until_it_names_the_tunnel",
    )),
    Fault("a program that says 100 kB on one line",
          "one line of at most 1,500 characters", BACK, "what the message says", (
        f"{_ANSWERS}test_what_a_failing_program_says_is_cut_and_the_host_goes_back",
        f"{_ANSWERS}test_what_a_program_says_that_does_its_work_is_in_no_answer",
        f"{_ANSWERS}test_an_answer_about_a_thousand_routes_is_cut_and_says_how_many_more",
        f"{_ANSWERS}test_no_answer_of_a_host_without_anything_is_more_than_a_line",
    )),
    Fault("systemd-run fails", "nothing", "has a detached process watch the time", "nothing", (
        f"{_TIMER}test_with_systemd_the_timer_is_its_own_and_otherwise_a_detached_process",
    )),
    Fault("neither systemd-run nor setsid",
          "`exited with status 71: no process could be left behind`", "touches nothing",
          "install util-linux", (
        f"{_TIMER}test_without_anybody_to_watch_the_time_nothing_is_changed",
    )),
    Fault("clock set while the time runs", "nothing", "counts by the kernel's uptime, which nobody sets", "nothing", (
        f"{_TIMER}test_a_clock_that_is_set_while_the_time_runs_neither_ends_nor_prolongs_it",
        f"{_TIMER}test_a_confirm_over_a_clock_that_was_set_is_in_time",
    )),
    Fault("the process that watches the time killed", "nothing goes back by itself",
          "runs what was applied; a peer that changes its key is not followed",
          f"`wireguard-mesh rollback wg0`, or {UP}", (
        f"{_TIMER}test_a_timer_whose_process_is_killed_leaves_a_late_confirm_and_a_rollback",
        "test_handover_faults.py::test_a_handover_that_nobody_watches_any_more_is_watched_again_after_the_next_run",
    )),
    Fault("peers dead at `confirm`", "nothing; `exited with status 71` for those that answered before", BACK,
          "what the message says", (
        "test_alive.py::test_who_was_dead_before_or_is_named_by_the_change_holds_nobody_up",
        "test_alive.py::test_a_change_that_cuts_a_peer_off_goes_back_and_names_it",
    )),
    Fault("`status`, `rollback`, `remove` at any time", "an answer", "the same twice", "nothing", (
        f"{_RUNS}test_status_and_rollback_at_any_time_are_the_same_twice_and_an_up_follows",
        f"{_RUNS}test_remove_at_any_time_takes_all_and_is_the_same_twice",
        f"{_RUNS}test_every_pair_of_verbs_in_a_row_ends_where_an_up_leads",
    )),
)  # fmt: skip


def table() -> str:
    """The faults as a table in Markdown."""
    rows = [f"| {each.fault} | {each.sees} | {each.host} | {each.todo} |" for each in FAULTS]
    return "\n".join(["| fault | what you see | what the host does | what to do |", "|---|---|---|---|", *rows, ""])
