use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Comparison {
    let filter: Filter = text.parse().unwrap_or_else(|err| panic!("{text}: {err}"));
    assert_eq!(filter.0.len(), 1, "{text}");
    filter.0.into_iter().next().expect("one")
}

#[track_caller]
fn is(text: &str, expected: &str) {
    let filter: Result<Filter, _> = text.parse();
    let read = filter.map_or_else(|err| err.to_string(), |filter| filter.to_string());
    assert_eq!(read, expected, "{text}");
}

#[test]
fn what_clients_write_is_read() {
    is("", "");
    is("metrics.acc > 0.9", "metrics.`acc` > 0.9");
    is("metric.acc>=-1e-3", "metrics.`acc` >= -0.001");
    is(
        "params.`learning rate` = '0.1' AND tags.\"a b\" != \"x\"",
        "params.`learning rate` = '0.1' AND tags.`a b` != 'x'",
    );
    is("tag.mlflow.user like 'a%'", "tags.`mlflow.user` LIKE 'a%'");
    is("status = 'FINISHED'", "attributes.`status` = 'FINISHED'");
    is("run.status = 'x'", "attributes.`status` = 'x'");
    is("`metrics.a b` < 1", "metrics.`a b` < 1.0");
    is(
        "attributes.run_id IN ('a',\"b\") and params.x IS NOT NULL",
        "attributes.`run_id` IN ('a', 'b') AND params.`x` IS NOT NULL",
    );
    is("run_id not in ('a',)", "attributes.`run_id` NOT IN ('a')");
    is("tags.x is null", "tags.`x` IS NULL");
    is(
        "name LIKE 'a%' AND tag.`mlflow.prompt.is_prompt` != 'true'",
        "attributes.`name` LIKE 'a%' AND tags.`mlflow.prompt.is_prompt` != 'true'",
    );
    assert_eq!(one("end_time > 5").operand, Operand::Number(5.0));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, part) in [
        ("metrics.acc", "a comparison"),
        ("metrics.acc >", "a number"),
        ("metrics.acc > high", "a number"),
        ("metrics.acc > 1 or metrics.x > 2", "`AND` or the end"),
        ("metrics.acc > 1 and", "`metrics.KEY`"),
        ("(metrics.acc > 1)", "`metrics.KEY`"),
        ("params.x = 'a", "a quote that does not end"),
        ("params. = 'a'", "a key"),
        ("run_id in ()", "a text in quotes"),
        ("run_id in ('a' 'b')", "`,` or `)`"),
        ("x ! 1", "`!` stands only"),
        ("x = 1; drop table run", "cannot stand here"),
        ("metrics.acc > nan", "a number"),
        ("tags.x is 'null'", "`null`"),
    ] {
        let err = text.parse::<Filter>().expect_err(text).to_string();
        assert!(err.contains(part), "{text}: {err}");
    }
}

#[test]
fn orders_are_read() {
    for (text, expected) in [
        ("metrics.acc DESC", "metrics.`acc` DESC"),
        ("start_time", "attributes.`start_time` ASC"),
        ("attribute.start_time asc", "attributes.`start_time` ASC"),
        ("`params.a b` desc", "params.`a b` DESC"),
        ("metrics.`val loss`", "metrics.`val loss` ASC"),
    ] {
        let order: Order = text.parse().expect(text);
        assert_eq!(order.to_string(), expected);
    }
    for bad in ["", "acc up", "metrics.acc DESC, x", "1 >"] {
        assert!(bad.parse::<Order>().is_err(), "{bad}");
    }
}

#[test]
fn no_text_takes_more_than_its_bounds() {
    let many = vec!["a = 'b'"; 101].join(" and ");
    assert!(many.parse::<Filter>().is_err());
    let long = format!("a = '{}'", "x".repeat(300_000));
    assert!(long.parse::<Filter>().is_err());
    let list = vec!["'a'"; 5_001].join(",");
    assert!(format!("a in ({list})").parse::<Filter>().is_err());
}

fn subject() -> impl Strategy<Value = Subject> {
    let entity = prop_oneof![
        Just(Entity::Metric),
        Just(Entity::Param),
        Just(Entity::Tag),
        Just(Entity::Attribute),
        Just(Entity::Dataset),
    ];
    (entity, "[^`]{1,12}").prop_map(|(entity, key)| Subject { entity, key })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let signs = prop_oneof![
        Just(Op::Equal),
        Just(Op::Differs),
        Just(Op::Above),
        Just(Op::AtLeast),
        Just(Op::Below),
        Just(Op::AtMost),
        Just(Op::Like),
        Just(Op::ILike),
    ];
    let value = prop_oneof![
        (-1e300..1e300_f64).prop_map(Operand::Number),
        "[^']{0,12}".prop_map(Operand::Text),
    ];
    let compared = (signs, value);
    let listed = (
        prop_oneof![Just(Op::In), Just(Op::NotIn)],
        prop::collection::vec("[^']{0,8}", 1..4).prop_map(Operand::List),
    );
    let asked = (
        prop_oneof![Just(Op::IsNull), Just(Op::IsNotNull)],
        Just(Operand::None),
    );
    (subject(), prop_oneof![compared, listed, asked]).prop_map(|(subject, (op, operand))| {
        Comparison {
            subject,
            op,
            operand,
        }
    })
}

proptest! {
    #[test]
    fn what_is_displayed_parses_to_what_it_was(all in prop::collection::vec(comparison(), 0..4)) {
        let filter = Filter(all);
        let read: Filter = filter.to_string().parse().expect("what was displayed");
        prop_assert_eq!(read, filter);
    }

    #[test]
    fn an_order_parses_to_what_it_was(subject in subject(), ascending: bool) {
        let order = Order { subject, ascending };
        let read: Order = order.to_string().parse().expect("what was displayed");
        prop_assert_eq!(read, order);
    }

    #[test]
    fn no_text_breaks_the_parser(text in "[a-z0-9 .`'\"(),=!<>%é-]{0,60}") {
        let _ = text.parse::<Filter>();
        let _ = text.parse::<Order>();
    }
}
