//! What is not run a second time with a Mosquitto beside each hub, and why.

/// Suites that run once: `brokers` starts the brokers that it is about by itself; what `rollouts` decide by and `watching`
/// looks at is the same whichever broker it came through, which `loop`, `identity` and `delivery` run on both; `lifecycle`
/// speaks to the hub by HTTP.
pub(super) const SUITES_ONCE: [&str; 4] = ["brokers", "lifecycle", "rollouts", "watching"];

/// Tests about the broker inside the hub, or about its door, and tests of what is the same on any broker and takes long:
/// their names or the beginnings of them, each with why.
pub(super) const EMBEDDED_ONLY: [(&str, &str); 27] = [
    (
        "broken_links::an_agent_that_starts_without_its_hub_serves_at_once",
        "without its hub an agent is offline only if the broker is inside it",
    ),
    (
        "months_offline::",
        "the same: months pass while the device hears nobody",
    ),
    ("by_https::", "its bytes come by HTTPS"),
    ("damage::", "it is about the device's disk"),
    ("full_disk::", "the same"),
    (
        "deltas::",
        "how a device puts a model together does not depend on the way its bytes came",
    ),
    ("first_model::", "the same"),
    ("refusals::", "what a device refuses does not, either"),
    ("signing::", "the same"),
    (
        "shadow::",
        "a second model beside the first; its bytes come as the first one's do",
    ),
    (
        "other_brokers::",
        "they start a Mosquitto of their own, without a hub",
    ),
    (
        "certificates::a_revoked_device_is_cut_within_two_seconds",
        "Mosquitto looks at its list when somebody connects; the suite `brokers` proves that it does",
    ),
    (
        "certificates::a_revoked_agent_goes_on_serving_what_it_has",
        "the same: the session of a revoked device stays until it breaks",
    ),
    (
        "certificates::certificates_that_prove_nothing_open_no_door",
        "a certificate by a stolen authority for another key: Mosquitto knows certificates, not keys",
    ),
    (
        "crash_matrix::",
        "it is about the device's disk, and sees what leaves the device before any broker does",
    ),
    (
        "hub_crash::",
        "what a hub had acknowledged is seen on the sockets of the broker inside it",
    ),
    ("killed::", "the same: it is about the device's own calls"),
    ("hub_full_disk::", "it is about the hub's disk"),
    ("hub_damage::", "the same"),
    (
        "joining::a_new_key_waits_beside_the_old_one_and_takes_its_place_when_accepted",
        "the session of the old key stays until it breaks",
    ),
    (
        "joining::a_workspace_made_while_the_hub_runs_hears_its_devices_at_once",
        "the rules of a Mosquitto are for one workspace; another one has its own listener",
    ),
    (
        "renewing::an_agent_whose_first_address_is_dead_uses_the_second",
        "the addresses of the embedded broker are those of the hub; of another one, those it is told",
    ),
    (
        "speaking::a_device_hears_nothing_by_wildcards_over_others",
        "Mosquitto grants what it never serves: `other_brokers` looks at what arrives",
    ),
    (
        "speaking::a_device_neither_hears_nor_says_anything_below_sys",
        "the same",
    ),
    ("speaking::a_device_reaches_no_other_workspace", "the same"),
    (
        "speaking::a_device_that_says_too_much_is_slowed_down_and_no_other",
        "Mosquitto has no limit of messages a second",
    ),
    (
        "speaking::no_certificate_takes_over_the_client_id_of_another",
        "Mosquitto does not refuse the client id of another but replaces it: see `other_brokers`",
    ),
];

/// Names above that no test has.
pub(super) fn stale(listed: &str) -> Vec<&'static str> {
    let names = EMBEDDED_ONLY.iter().map(|(name, _)| *name);
    let gone = names.filter(|name| !listed.lines().any(|line| line.starts_with(name)));
    gone.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_test_has_are_found() {
        let all: Vec<_> = EMBEDDED_ONLY
            .iter()
            .map(|(name, _)| format!("{name}x: test"))
            .collect();
        assert!(stale(&all.join("\n")).is_empty());
        assert_eq!(stale(&all[1..].join("\n")), [EMBEDDED_ONLY[0].0]);
    }
}
