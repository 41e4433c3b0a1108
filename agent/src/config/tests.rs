use super::*;

fn refusal(more: &str) -> String {
    let text = format!("device = \"a\"\nsite = \"b\"\n{more}");
    match Config::parse(&text, Path::new("agent.toml"), None) {
        Ok(_) => String::new(),
        Err(err) => err.to_string(),
    }
}

#[test]
fn what_is_not_set_has_a_default() {
    let text = "device = \"a\"\nsite = \"b\"\n[[slots]]\nname = \"s\"\n";
    let config = Config::parse(text, Path::new("agent.toml"), None).expect("it is whole");
    assert_eq!(config.workspace.as_str(), "default");
    assert_eq!(config.brokers(None)[0].port, 1883);
    assert_eq!(config.outbox.limit.to_string(), "16MiB");
    assert!(config.captures.enabled && !config.slots[0].stdin);
}

#[test]
fn a_refusal_names_the_key() {
    let cases = [
        ("colour = 1", "unknown field `colour`"),
        ("[mqtt]\nport = 1", "unknown field `port`"),
        ("[mqtt]\nbroker = \"here\"", "HOST:PORT"),
        ("[mqtt]\nbroker = \"hub.example:1883\"", "tern-agent join"),
        (
            "[mqtt]\nbroker = \"mqtt://10.0.0.1:1883\"",
            "tern-agent join",
        ),
        ("[mqtt]\nkeep_alive = \"10ms\"", "`mqtt.keep_alive` is 10ms"),
        (
            "[telemetry]\nwindow = \"1\"",
            "is not a whole number with one of the units",
        ),
        ("[telemetry]\nwindow = \"1ms\"", "`telemetry.window`"),
        ("[delivery]\nvia = \"pigeon\"", "unknown variant `pigeon`"),
        ("[delivery]\nvia = \"https\"", "`delivery.via` is https"),
        ("[delivery]\nsilence = \"1ms\"", "`delivery.silence` is 1ms"),
        (
            "[delivery]\nhub = \"http://hub.example:8080\"",
            "`http://HOST:PORT` of this machine",
        ),
        (
            "[delivery]\nhub = \"https://hub.example\"",
            "`delivery.hub` is https://hub.example",
        ),
        ("[delivery]\nhub = \"here\"", "`delivery.hub` is here"),
        ("[outbox]\nlimit = \"1KiB\"", "`outbox.limit` is 1KiB"),
        (
            "[captures]\nunsure_share = 1.5",
            "`captures.unsure_share` is 1.5",
        ),
        (
            "[captures]\nunsure_below = nan",
            "`captures.unsure_below` is NaN",
        ),
        (
            "[[slots]]\nname = \"x\"\n[[slots]]\nname = \"x\"",
            "`slots.name`",
        ),
        ("[[slots]]\nname = \"a/b\"", "is not a name"),
    ];
    for (more, part) in cases {
        let refusal = refusal(more);
        assert!(refusal.contains(part), "{more:?} gave {refusal:?}");
    }
}
