use proptest::prelude::*;

use alloc::{borrow::ToOwned as _, format, string::ToString as _};

use super::*;

fn labels() -> BTreeMap<String, String> {
    [
        ("lens", "plastic"),
        ("fragile", ""),
        ("serial number", "a \"b\""),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn selects(text: &str) -> bool {
    let expression: Expression = text.parse().unwrap_or_else(|err| panic!("{err}"));
    let labels = labels();
    expression.selects(&Described {
        device: "meter-01",
        site: "harbour",
        labels: &labels,
    })
}

#[test]
fn a_device_is_selected_by_what_it_is() {
    for (text, expected) in [
        ("site = harbour", true),
        ("site != harbour", false),
        ("site in (hill, harbour) and not label.fragile", false),
        ("site in (hill, harbour) and not label.broken", true),
        ("device in (meter-02) or label.lens = plastic", true),
        ("label.lens not in (glass, plastic)", false),
        ("label.colour != red", true),
        ("label.colour = red", false),
        ("not (site = hill or label.lens = glass)", true),
        ("site = hill and site = harbour or device = meter-01", true),
        (
            "site = hill and (site = harbour or device = meter-01)",
            false,
        ),
        ("label.\"serial number\" = \"a \\\"b\\\"\"", true),
        ("not not label.fragile", true),
    ] {
        assert_eq!(selects(text), expected, "{text}");
    }
}

#[test]
fn errors_say_what_and_where() {
    for (text, what, at) in [
        (
            "",
            "`site`, `device` or `label.NAME` is expected, not the end",
            0,
        ),
        (
            "site",
            "`=`, `!=`, `in` or `not in` is expected, not the end",
            4,
        ),
        ("site = ", "a value is expected, not the end", 7),
        ("site = and", "a value is expected, not `and`", 7),
        (
            "site in harbour",
            "`(` and the values is expected, not `harbour`",
            8,
        ),
        ("site in (a b)", "`,` or `)` is expected, not `b`", 11),
        (
            "site = a site = b",
            "`and`, `or` or the end is expected, not `site`",
            9,
        ),
        (
            "town = a",
            "`site`, `device` or `label.NAME` is expected, not `town`",
            0,
        ),
        (
            "(site = a",
            "`and`, `or` or `)` is expected, not the end",
            9,
        ),
        (
            "site = a & x",
            "`&` cannot stand here; values with it need quotes",
            9,
        ),
        ("site = \"a", "a quote that does not end", 7),
        ("site ! a", "`!` stands only in `!=`; for others, `not`", 5),
        (
            "label.x not site",
            "`in` after `not` is expected, not `site`",
            12,
        ),
        (
            "label. = x",
            "the name of a label after `label.` is expected, not `=`",
            7,
        ),
    ] {
        let err = text.parse::<Expression>().expect_err(text);
        assert_eq!((err.what.as_str(), err.at), (what, at), "{text}");
    }
    let ends = "label.".parse::<Expression>().expect_err("it has no name");
    assert_eq!(
        ends.what,
        "the name of a label after `label.` is expected, not the end"
    );
    let deep = "not ".repeat(1000) + "site = a";
    deep.parse::<Expression>().expect_err("it is too deep");
    let open = "(".repeat(1000) + "site = a";
    open.parse::<Expression>().expect_err("it is too deep");
    let long = format!("site = {}", "a".repeat(4_096));
    let err = long.parse::<Expression>().expect_err("it is too long");
    assert!(err.to_string().len() < 400, "{err}");
}

fn expressions() -> impl Strategy<Value = Node> {
    let value = prop_oneof![
        "[a-z0-9._:/-]{1,6}",
        "[ -~äß]{0,6}",
        Just("and".to_owned()),
        Just("not".to_owned()),
    ];
    let subject = prop_oneof![
        Just(Subject::Site),
        Just(Subject::Device),
        value.clone().prop_map(Subject::Label),
    ];
    let leaf = prop_oneof![
        value.clone().prop_map(Node::Has),
        (subject, prop::collection::vec(value, 1..4)).prop_map(|(of, values)| Node::In(of, values)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Node::Any),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Node::All),
            inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_displayed_selects_the_same(node in expressions()) {
        let expression = Expression(node);
        let text = expression.to_string();
        let again: Expression = text.parse().map_err(|err| TestCaseError::fail(format!("{err}")))?;
        prop_assert_eq!(again.to_string(), text);
        for (site, label) in [("a", "b"), ("and", "not"), ("", "")] {
            let labels = BTreeMap::from([(label.to_owned(), site.to_owned())]);
            let device = Described { device: "meter-01", site, labels: &labels };
            prop_assert_eq!(again.selects(&device), expression.selects(&device));
        }
    }

    #[test]
    fn no_text_is_too_much(text in "[ -~äß]{0,80}") {
        let _ = text.parse::<Expression>();
    }
}
