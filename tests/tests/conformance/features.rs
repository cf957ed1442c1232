//! The table of features and stores: `ops/test features`. A cell is filled by tests that have passed on that store in the same
//! run; a "no" by a capability the store does not have, of which the documentation says what happens instead. An empty cell
//! fails.

use clawr_engine::db::Capability;
use clawr_tests::evidence;
use clawr_tests::stores::Kind;
use std::path::Path;

struct Feature {
    name: &'static str,
    /// What a store needs for it.
    needs: Option<Capability>,
    /// The tests that show it, all of them.
    tests: &'static [&'static str],
}

const fn feature(name: &'static str, tests: &'static [&'static str]) -> Feature {
    Feature { name, needs: None, tests }
}

const FEATURES: &[Feature] = &[
    feature(
        "commits of many statements, all or nothing",
        &[
            "commit::a_commit_is_all_or_nothing",
            "commit::a_guard_over_locked_rows_holds_under_concurrency",
            "commit::a_repeat_under_the_same_operation_id_applies_once",
        ],
    ),
    feature(
        "lost replies of enqueue, claim and outcome",
        &["lost_reply::enqueue_makes_one_job", "lost_reply::a_claim_is_found_again", "lost_reply::an_outcome_takes_effect_once"],
    ),
    feature("random lives of jobs against a model (I1–I5)", &["lives::random_lives_of_jobs_are_those_of_a_model"]),
    feature(
        "permanent identity of a key (I5)",
        &[
            "queue::the_same_key_and_content_is_the_first_job",
            "queue::a_key_outlives_its_job",
            "queue::one_key_in_many_hands_makes_one_job",
        ],
    ),
    feature(
        "fence: a stale token changes nothing (I2, I3)",
        &["outcome::a_lost_lease_cannot_finish_a_job", "outcome::a_lost_lease_cannot_send_a_job_back"],
    ),
    feature(
        "rescue, quarantine, outages",
        &[
            "rescue::a_dead_workers_jobs_run_again_and_its_late_outcome_changes_nothing",
            "rescue::three_crashes_hold_a_job_for_an_operator",
            "rescue::an_outage_is_a_crash_of_nobody",
        ],
    ),
    feature(
        "effects: intent, unknown, evidence (I4)",
        &[
            "effects::a_confirmed_effect_is_called_once_though_every_reply_is_lost",
            "effects::an_open_effect_holds_its_job_against_everybody",
            "effects::a_rescue_makes_intents_unknown_and_evidence_lets_the_job_go_on",
            "effects::absence_counts_after_the_start_bound",
        ],
    ),
    feature(
        "effects: one resolver settles, findings",
        &[
            "effects::one_of_two_settles_and_a_contradiction_is_a_finding",
            "effects::a_job_that_dies_after_its_effect_happened_is_a_finding",
        ],
    ),
    feature("effects: money needs two people", &["effects::money_needs_a_second_person"]),
    feature(
        "retries, error history, deadlines",
        &["outcome::a_retry_waits_and_carries_its_history", "cancel::a_job_that_keeps_failing_is_dead_at_its_total_deadline"],
    ),
    feature("dead letters come back under their id", &["outcome::an_ended_job_is_read_whole_and_comes_back_under_its_id"]),
    feature(
        "cooperative cancel",
        &["cancel::a_running_job_tidies_up_and_ends_as_it_says", "outcome::cancel_ends_what_waits_and_asks_what_runs"],
    ),
    feature(
        "logs and progress",
        &[
            "notes::lines_are_kept_in_order_once_and_only_under_the_lease",
            "notes::a_job_that_talks_too_much_is_cut_and_erased_with_its_lines",
        ],
    ),
    feature(
        "explain, gates and commands",
        &["explain::every_gate_is_told_with_the_command_that_opens_it", "explain::a_job_knows_how_many_come_before_it"],
    ),
    feature(
        "explain if and only if claim (I11)",
        &[
            "explain_model::a_job_is_called_eligible_if_and_only_if_a_claim_returns_it",
            "explain_model::under_limits_a_job_is_called_eligible_if_and_only_if_a_claim_returns_it",
        ],
    ),
    feature("explain --twice", &["explain::a_rescue_is_told_with_who_and_on_what_evidence"]),
    feature(
        "signals, kept when early, one per id",
        &[
            "waits::a_signal_wakes_a_job_and_is_told_to_its_next_run",
            "waits::an_early_signal_is_kept_and_used_once",
            "waits::an_id_is_one_signal_though_every_reply_is_lost",
            "waits::no_wake_up_is_lost_and_none_is_used_twice",
        ],
    ),
    feature("timers", &["waits::a_timer_wakes_what_no_signal_woke"]),
    feature(
        "groups with callbacks, once each",
        &[
            "groups::each_callback_fires_once_though_every_reply_is_lost",
            "groups::merged_ends_fire_each_group_once",
            "groups::no_end_of_a_group_is_slept_through",
            "groups::a_retried_child_counts_again_until_its_group_has_fired",
        ],
    ),
    feature(
        "sequences: one at a time, in the order of the commits",
        &[
            "sequences::a_blocked_job_waits_for_the_one_before_it",
            "sequences::whatever_keeps_a_job_keeps_those_behind_it",
            "sequences::every_reply_may_be_lost",
            "sequences_storm::jobs_run_in_the_order_of_the_commits_one_at_a_time",
            "sequences_storm::no_job_is_left_behind",
            "sequences_model::random_lives_in_sequences_are_those_of_a_model",
        ],
    ),
    feature(
        "sequences: a dead job stops them, unblock and redrive",
        &[
            "sequences::a_dead_job_stops_its_sequence_until_somebody_decides",
            "sequences::a_tenants_acts_move_its_own_sequences",
            "sequences_storm::sequences_are_kept_by_worker_processes",
        ],
    ),
    feature(
        "checkpoints with their data",
        &[
            "checkpoints::a_checkpoint_and_its_writes_are_there_once_though_every_reply_is_lost",
            "checkpoints::a_job_goes_on_from_its_last_checkpoint",
        ],
    ),
    feature(
        "unique: return, reject, bulk",
        &[
            "unique::a_second_one_is_returned_or_refused",
            "unique::bulk_is_as_one_by_one",
            "unique::period_and_queue_are_part_of_the_key",
            "unique_model::random_lives_of_unique_jobs_are_those_of_a_model",
        ],
    ),
    feature(
        "unique: replace, debounce, throttle",
        &[
            "unique::a_replaced_job_does_what_was_asked_for_last",
            "unique::a_debounced_job_runs_after_the_last_request_but_not_too_late",
            "unique::a_throttle_counts_time_and_not_jobs",
        ],
    ),
    feature("payload versions, former names", &["payload::jobs_of_old_names_and_versions_run", "payload::a_new_name_keeps_keys_and_slots"]),
    feature("priority with ageing", &["queue::claims_take_what_is_due_in_order_of_rank"]),
    feature(
        "shares by weight",
        &[
            "shares::whoever_waits_in_great_numbers_gets_no_more_than_the_others",
            "shares::starts_are_shared_by_weight",
            "shares::a_claim_is_filled_as_long_as_anybody_has_work",
        ],
    ),
    feature(
        "limits: all, queue, kind, tenant",
        &[
            "limits::a_limit_counts_what_it_is_about",
            "limits::claimers_at_once_stay_within_a_limit",
            "limits::a_dead_workers_jobs_count_until_they_are_rescued",
        ],
    ),
    feature("limits: each key", &["limits::each_key_is_counted_by_itself_and_jobs_without_one_are_not"]),
    feature(
        "rates: token bucket, by weight",
        &["limits::a_rate_lets_its_tokens_start_and_then_one_at_a_time", "limits::a_rate_counts_by_weight_and_nothing_light_overtakes"],
    ),
    feature("rates: sliding window", &["limits::no_window_holds_more_than_its_limit"]),
    feature(
        "limits with an end",
        &["limits::a_limit_with_an_end_goes_back_to_what_was_before", "limits::a_window_for_a_while_gives_the_bucket_back"],
    ),
    feature(
        "pauses: queue, kind, tag, tenant",
        &[
            "pauses::what_is_paused_is_not_claimed_and_the_rest_is",
            "pauses::a_pause_again_says_who_why_and_until_anew_and_ends_by_the_clock",
        ],
    ),
    feature("money commits sent twice", &["money::commits_of_money_sent_twice_leave_the_books_of_one"]),
    feature("append-only entries and audit", &["append_only::entries_legs_and_audit_refuse_every_change"]),
    feature(
        "schema checked at start",
        &["schema::a_newer_schema_is_refused_unless_it_only_adds", "schema::a_schema_that_is_older_or_was_changed_is_refused"],
    ),
    feature(
        "args encrypted per kind, rotation",
        &[
            "encryption::nothing_stored_or_said_holds_what_the_handler_sees",
            "encryption::without_the_key_a_job_waits_and_uses_no_attempt",
            "encryption::what_was_changed_or_moved_kills_its_job_with_a_finding",
            "encryption::the_same_key_and_content_is_the_first_job_also_after_a_rotation",
            "encryption::a_rotation_under_load_ends_with_no_job_that_needs_the_old_key",
        ],
    ),
    feature(
        "retention by class, keys stay taken",
        &[
            "retention::an_ended_job_is_kept_as_its_kind_says",
            "retention::what_was_kept_for_long_enough_is_forgotten_with_what_belongs_to_it",
            "retention::a_key_stays_taken_when_its_job_is_forgotten",
        ],
    ),
    Feature {
        name: "the archive in partitions by id",
        needs: Some(Capability::Partitions),
        tests: &[
            "retention::a_partition_goes_when_nothing_in_it_must_stay",
            "retention::only_partitions_past_their_retention_can_be_dropped",
            "retention::one_job_is_read_from_few_partitions",
        ],
    },
    Feature {
        name: "a second wall between tenants",
        needs: Some(Capability::RowSecurity),
        tests: &["append_only::without_a_scope_check_row_security_still_shows_one_tenant"],
    },
];

/// The sources of the suite.
fn source(module: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/conformance/{module}.rs"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A capability's row in the documentation: `| partitions | … | … |`.
fn is_documented(capability: Capability) -> bool {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/docs/OPERATIONS.md");
    let text = std::fs::read_to_string(page).expect("the page for operators");
    text.lines().any(|line| line.starts_with(&format!("| {} | ", capability.as_str())))
}

#[test]
fn every_feature_names_tests_that_are_there_and_every_no_is_documented() {
    for feature in FEATURES {
        assert!(!feature.tests.is_empty(), "{} is shown by no test", feature.name);
        for test in feature.tests {
            let (module, function) = test.split_once("::").expect("module::test");
            let is_there = source(module).contains(&format!("async fn {function}("));
            assert!(is_there, "{}: there is no test {test}", feature.name);
        }
    }
    for capability in Capability::ALL {
        assert!(is_documented(capability), "OPERATIONS.md has no row for {}", capability.as_str());
    }
}

/// With evidence at hand every cell is judged by it; without, `ops/test features` makes some.
#[test]
fn the_table_of_features_has_no_empty_cell() {
    let Some(folder) = evidence::folder().filter(|folder| folder.join("complete").exists()) else { return };
    let stores = Kind::selected();
    let width = FEATURES.iter().map(|feature| feature.name.len()).max().unwrap_or(0);
    println!("{:width$}  {}", "", stores.iter().map(|kind| format!("{:>8}", kind.name())).collect::<String>());
    let mut empty = Vec::new();
    for feature in FEATURES {
        let cells: Vec<&str> = stores.iter().map(|kind| cell(feature, *kind, &folder)).collect();
        println!("{:width$}  {}", feature.name, cells.iter().map(|cell| format!("{cell:>8}")).collect::<String>());
        empty.extend(stores.iter().zip(&cells).filter(|(_, cell)| cell.is_empty()).map(|(kind, _)| (feature.name, kind.name())));
    }
    println!("{} features, {} stores, {} empty cells", FEATURES.len(), stores.len(), empty.len());
    assert!(empty.is_empty(), "not shown: {empty:?}");
}

fn cell(feature: &Feature, kind: Kind, folder: &Path) -> &'static str {
    match feature.needs {
        Some(capability) if !kind.engine().can(capability) => "no",
        _ if feature.tests.iter().all(|test| evidence::is_there(folder, test, kind)) => "yes",
        _ => "",
    }
}
