//! Searches against what was logged.

use super::*;

/// A run as a search sees it.
#[derive(Clone)]
struct Facts {
    id: String,
    acc: Option<f64>,
    depth: Option<&'static str>,
    start: i64,
}

/// Whether a filter takes a run.
type Holds = fn(&Facts) -> bool;

#[tokio::test]
async fn a_search_finds_what_its_filter_says_in_its_order_page_by_page() {
    let (_dir, app, workspace) = begun().await;
    let mut all = Vec::new();
    for i in 0..40_i64 {
        let start = (i * 17) % 40;
        let id = new_run(&app, &workspace, 0, start).await.info.run_id;
        let acc = match i % 5 {
            0 => None,
            1 => Some(f64::NAN),
            _ => Some((i % 7) as f64 / 10.0),
        };
        let depth = [None, Some("3"), Some("deep_5%"), Some("DEEP")][i as usize % 4];
        if let Some(acc) = acc {
            log(
                &app,
                &workspace,
                &id,
                metrics(vec![point("val/acc", i, acc)]),
            )
            .await
            .expect("logs");
        }
        if let Some(depth) = depth {
            log(&app, &workspace, &id, params(&[("depth", depth)]))
                .await
                .expect("logs");
        }
        all.push(Facts {
            id,
            acc,
            depth,
            start,
        });
    }
    let elsewhere = name("other");
    app.tracking.begin(&app, &elsewhere).await.expect("begins");
    new_run(&app, &elsewhere, 0, 5).await;

    let filters: [(&str, Holds); 11] = [
        ("", |_| true),
        ("metrics.`val/acc` >= 0.3", |f| {
            f.acc.is_some_and(|acc| acc >= 0.3)
        }),
        ("metrics.`val/acc` != 0.3", |f| {
            f.acc
                .is_some_and(|acc| !acc.is_nan() && acc.total_cmp(&0.3).is_ne())
        }),
        ("params.depth = '3'", |f| f.depth == Some("3")),
        ("params.depth != '3'", |f| f.depth.is_some_and(|d| d != "3")),
        ("params.depth LIKE 'deep%'", |f| {
            f.depth.is_some_and(|d| d.starts_with("deep"))
        }),
        ("params.depth ILIKE 'deep%'", |f| {
            f.depth
                .is_some_and(|d| d.to_lowercase().starts_with("deep"))
        }),
        ("params.depth IS NULL", |f| f.depth.is_none()),
        ("start_time < 11 and params.depth IS NOT NULL", |f| {
            f.start < 11 && f.depth.is_some()
        }),
        ("params.nothing = 'x'", |_| false),
        ("status = 'RUNNING' and end_time > 1", |_| false),
    ];
    for (filter, holds) in filters {
        let mut expected: Vec<&Facts> = all.iter().filter(|facts| holds(facts)).collect();
        expected.sort_by_key(|facts| std::cmp::Reverse(facts.start));
        let expected: Vec<String> = expected.into_iter().map(|facts| facts.id.clone()).collect();
        assert_eq!(
            found(&app, &workspace, filter, "start_time DESC").await,
            expected,
            "{filter}"
        );
        // By the metric: numbers first, then what is none, then what is missing, whichever way.
        for (order, sign) in [("metrics.`val/acc` DESC", -1.0), ("metrics.`val/acc`", 1.0)] {
            let ids = found(&app, &workspace, filter, order).await;
            let facts = |id: &String| {
                all.iter()
                    .find(|facts| facts.id == *id)
                    .expect("one of them")
            };
            let ranks: Vec<(u8, f64)> = ids
                .iter()
                .map(|id| match facts(id).acc {
                    None => (2, 0.0),
                    Some(acc) if acc.is_nan() => (1, 0.0),
                    Some(acc) => (0, sign * acc),
                })
                .collect();
            assert!(ranks.is_sorted(), "{filter}, {order}: {ranks:?}");
            assert_eq!(ids.len(), expected.len(), "{filter}, {order}");
        }
    }
    let ids = all
        .iter()
        .take(3)
        .map(|facts| format!("'{}'", facts.id))
        .collect::<Vec<_>>();
    let some = format!("run_id IN ({})", ids.join(", "));
    assert_eq!(found(&app, &workspace, &some, "").await.len(), 3);
    let refused = async |filter: &str| {
        let asked = Asked {
            experiments: vec![0],
            filter: filter.into(),
            ..Asked::default()
        };
        let window = Window::new(None, 7, 7, "").expect("a window");
        search::runs(&app.store, &workspace, &asked, window)
            .await
            .expect_err(filter)
    };
    for bad in [
        "colour = 'red'",
        "metrics.acc = 'high'",
        "params.depth > 3",
        "run_id > 5",
    ] {
        assert!(
            matches!(refused(bad).await, TrackingError::Invalid(_)),
            "{bad}"
        );
    }
}
