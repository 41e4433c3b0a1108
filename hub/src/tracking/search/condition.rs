//! Comparisons as SQL.

use sea_orm::DatabaseBackend;

use super::super::{
    TrackingError,
    filter::{Comparison, Op, Operand},
    sql::Sql,
};

/// What is compared cannot be compared so.
pub(super) fn impossible<T>(comparison: &Comparison, takes: &str) -> Result<T, TrackingError> {
    let short: String = comparison.to_string().chars().take(120).collect();
    Err(TrackingError::Invalid(format!(
        "Invalid comparison `{short}`: {takes}"
    )))
}

/// There is no such thing to compare.
pub(super) fn unknown<T>(comparison: &Comparison, known: &str) -> Result<T, TrackingError> {
    let subject: String = comparison.subject.to_string().chars().take(120).collect();
    Err(TrackingError::Invalid(format!(
        "Invalid attribute key '{subject}' specified. Valid keys are {known}."
    )))
}

/// A comparison of a column that holds a text.
pub(super) fn text(
    sql: &mut Sql,
    backend: DatabaseBackend,
    column: &str,
    comparison: &Comparison,
) -> Result<(), TrackingError> {
    match (comparison.op, &comparison.operand) {
        (op @ (Op::Equal | Op::Differs), Operand::Text(text)) => {
            sql.push(column).push(" ").push(op.word()).push(" ");
            sql.bind(text.as_str());
        }
        (Op::Like, Operand::Text(text)) => {
            sql.like(backend, column, text, false);
        }
        (Op::ILike, Operand::Text(text)) => {
            sql.like(backend, column, text, true);
        }
        (op @ (Op::In | Op::NotIn), Operand::List(texts)) => {
            sql.push(column).push(" ").push(op.word()).push(" ");
            sql.list(texts.iter().map(String::as_str));
        }
        _ => {
            return impossible(
                comparison,
                "a text in quotes is compared by =, !=, LIKE, ILIKE, IN or NOT IN",
            );
        }
    }
    Ok(())
}

/// A comparison of a column that holds a number.
pub(super) fn number(
    sql: &mut Sql,
    column: &str,
    comparison: &Comparison,
) -> Result<(), TrackingError> {
    let Operand::Number(number) = comparison.operand else {
        return impossible(comparison, "a number is compared by =, !=, >, >=, < or <=");
    };
    let op = comparison.op.word();
    sql.push(column).push(" ").push(op).push(" ");
    sql.bind(number);
    Ok(())
}

/// What hangs on a row, and how it is found: `table` with a key and a value, whose `own` says of what it is.
#[derive(Clone, Copy)]
pub(super) struct Hanging<'a> {
    /// Its table.
    pub(super) table: &'a str,
    /// What has to hold for it to hang on the row, as `h.run = r.id`.
    pub(super) own: &'a str,
    /// Whether `!=` holds also where there is nothing of the name: with tags of registered models it does.
    pub(super) absent_differs: bool,
}

/// A comparison of a param or a tag.
pub(super) fn hanging(
    sql: &mut Sql,
    backend: DatabaseBackend,
    of: Hanging<'_>,
    comparison: &Comparison,
) -> Result<(), TrackingError> {
    let Hanging {
        table,
        own,
        absent_differs,
    } = of;
    let inverted = absent_differs && comparison.op == Op::Differs;
    if comparison.op == Op::IsNull || inverted {
        sql.push("NOT ");
    }
    sql.push("EXISTS (SELECT 1 FROM ")
        .push(table)
        .push(" h WHERE ");
    sql.push(own).push(" AND h.key = ");
    sql.bind(comparison.subject.key.as_str());
    match comparison.op {
        Op::IsNull | Op::IsNotNull => {}
        Op::In | Op::NotIn => {
            return impossible(
                comparison,
                "params and tags are compared by =, !=, LIKE, ILIKE, IS NULL or IS NOT NULL",
            );
        }
        _ => {
            sql.push(" AND ");
            let equal = Comparison {
                op: if inverted { Op::Equal } else { comparison.op },
                ..comparison.clone()
            };
            text(sql, backend, "h.value", &equal)?;
        }
    }
    sql.push(")");
    Ok(())
}

/// A comparison of the latest value of a metric.
pub(super) fn metric(
    sql: &mut Sql,
    of: Hanging<'_>,
    comparison: &Comparison,
) -> Result<(), TrackingError> {
    sql.push("EXISTS (SELECT 1 FROM ").push(of.table);
    sql.push(" h WHERE ").push(of.own).push(" AND h.key = ");
    sql.bind(comparison.subject.key.as_str());
    // What is no number is neither more nor less nor the same.
    sql.push(" AND NOT h.nan AND ");
    number(sql, "h.value", comparison)?;
    sql.push(")");
    Ok(())
}
