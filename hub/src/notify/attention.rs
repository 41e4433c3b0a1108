//! Makes notices of what needs a person: that is a state, and a notice is an event.
//!
//! Each subscription remembers what it was told. What stands and was not told is told, also what stood before
//! the subscription was made; what is gone is forgotten after a while, so that what comes and goes every
//! minute is told once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{SubscriptionId, WorkspaceId},
    rest::NoticeKind,
    time::WallTime,
};

use super::{
    Courier, Notice,
    outbox::enqueue_for,
    sql::{SQL, number},
    subscription::stored_kinds,
};
use crate::{
    app::App,
    store::{Store, StoreError, parsed},
};

/// How long something has to be gone before it is news again.
const QUIET: Duration = Duration::from_hours(1);

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What makes it the same as when it was looked at last.
    pub item: String,
    /// In a line.
    pub subject: String,
    /// What is the matter, and what to do.
    pub text: String,
    /// The page to look at, as [`Notice::link_path`].
    pub link_path: String,
}

/// What to do about one item for one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    /// It is new: tell it.
    Tell(&'a str),
    /// It is not there any more.
    Gone(&'a str),
    /// It was gone for a moment only.
    Back(&'a str),
    /// It is gone for so long that it would be news.
    Forget(&'a str),
}

/// From what was told (each with the time since when it is gone) to what stands. Pure.
fn difference<'a>(
    told: &'a BTreeMap<String, Option<WallTime>>,
    standing: &BTreeSet<&'a str>,
    now: WallTime,
) -> Vec<Step<'a>> {
    let new = standing.iter().copied();
    let new = new.filter(|item| !told.contains_key(*item)).map(Step::Tell);
    let known = told.iter().filter_map(|(item, gone)| {
        let item = item.as_str();
        match (standing.contains(item), gone) {
            (true, Some(_)) => Some(Step::Back(item)),
            (false, None) => Some(Step::Gone(item)),
            (false, Some(since)) => {
                let quiet = now.0.saturating_sub(since.0) >= QUIET.as_millis() as i64;
                quiet.then_some(Step::Forget(item))
            }
            (true, None) => None,
        }
    });
    new.chain(known).collect()
}

impl Courier {
    /// Makes whoever looks what needs a person look at once.
    pub(super) fn look(&self) {
        self.0.look.notify();
    }

    /// Returns once somebody wants it looked at.
    pub async fn asked_to_look(&self) {
        self.0.look.notified().await;
    }
}

/// Workspaces in which somebody wants to hear what needs a person.
pub async fn workspaces(store: &Store) -> Result<BTreeSet<WorkspaceId>, StoreError> {
    let sql = "SELECT workspace, notices FROM notify_subscription";
    let mut all = BTreeSet::new();
    for row in SQL.rows(store.read(), sql, []).await? {
        if stored_kinds(&SQL.column::<String>(&row, "notices")?)?.contains(&NoticeKind::Attention) {
            all.insert(parsed(
                "workspace id",
                &SQL.column::<String>(&row, "workspace")?,
            )?);
        }
    }
    Ok(all)
}

/// Tells each subscription of the workspace what of this it has not been told.
pub async fn tell(
    app: &App,
    workspace: &WorkspaceId,
    standing: &[Standing],
) -> Result<(), StoreError> {
    let now = app.clock.now();
    let items: BTreeSet<&str> = standing.iter().map(|one| one.item.as_str()).collect();
    // Nearly always there is nothing to do, and nothing to write.
    let told = all_told(app.store.read(), workspace).await?;
    let quiet = |told| difference(told, &items, now).is_empty();
    if told.values().all(quiet) {
        return Ok(());
    }
    let txn = SQL.begin(&app.store).await?;
    let mut new = 0;
    for (subscription, told) in all_told(&txn, workspace).await? {
        for step in difference(&told, &items, now) {
            new += take(&txn, workspace, subscription, standing, step, now).await?;
        }
    }
    SQL.commit(txn).await?;
    if new > 0 {
        app.courier.wake();
    }
    Ok(())
}

/// Takes one step; how many notices that made.
async fn take<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    subscription: SubscriptionId,
    standing: &[Standing],
    step: Step<'_>,
    now: WallTime,
) -> Result<u64, StoreError> {
    let of = |item: &str| [number(subscription.0), item.into()];
    match step {
        Step::Tell(item) => {
            let sql = "INSERT INTO notify_told (subscription, item) VALUES ($1, $2)";
            SQL.exec(db, sql, of(item)).await?;
            let Some(one) = standing.iter().find(|one| one.item == item) else {
                return Ok(0);
            };
            let notice = Notice {
                kind: NoticeKind::Attention,
                subject: one.subject.clone(),
                text: one.text.clone(),
                link_path: one.link_path.clone(),
                at: now,
                // Each time that it is news it is another notice.
                key: format!("attention/{item}/{}", now.0),
            };
            return enqueue_for(db, workspace, subscription, &notice).await;
        }
        Step::Gone(item) => {
            let sql = "UPDATE notify_told SET gone_at = $3 WHERE subscription = $1 AND item = $2";
            let [subscription, item] = of(item);
            SQL.exec(db, sql, [subscription, item, now.0.into()])
                .await?;
        }
        Step::Back(item) => {
            let sql = "UPDATE notify_told SET gone_at = NULL WHERE subscription = $1 AND item = $2";
            SQL.exec(db, sql, of(item)).await?;
        }
        Step::Forget(item) => {
            let sql = "DELETE FROM notify_told WHERE subscription = $1 AND item = $2";
            SQL.exec(db, sql, of(item)).await?;
        }
    }
    Ok(0)
}

/// What each subscription that wants to hear it was told.
async fn all_told<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<SubscriptionId, BTreeMap<String, Option<WallTime>>>, StoreError> {
    let sql = "SELECT s.id, s.notices, t.item, t.gone_at FROM notify_subscription s \
               LEFT JOIN notify_told t ON t.subscription = s.id WHERE s.workspace = $1";
    let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for row in SQL.rows(db, sql, [workspace.as_str().into()]).await? {
        if !stored_kinds(&SQL.column::<String>(&row, "notices")?)?.contains(&NoticeKind::Attention)
        {
            continue;
        }
        let told = all
            .entry(SubscriptionId(SQL.count(&row, "id")?))
            .or_default();
        if let Some(item) = SQL.column::<Option<String>>(&row, "item")? {
            let gone: Option<i64> = SQL.column(&row, "gone_at")?;
            told.insert(item, gone.map(WallTime));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn what_is_new_is_told_and_what_flaps_is_told_once() {
        let told = BTreeMap::from([
            ("stands".to_owned(), None),
            ("went".to_owned(), None),
            ("back".to_owned(), Some(WallTime(HOUR))),
            ("gone".to_owned(), Some(WallTime(HOUR))),
            ("long-gone".to_owned(), Some(WallTime(0))),
        ]);
        let standing = BTreeSet::from(["new", "stands", "back"]);
        let steps = difference(&told, &standing, WallTime(HOUR));
        let expected = [
            Step::Tell("new"),
            Step::Back("back"),
            Step::Forget("long-gone"),
            Step::Gone("went"),
        ];
        assert_eq!(steps, expected);
    }

    /// Takes the steps as the database does.
    fn taken(
        told: &BTreeMap<String, Option<WallTime>>,
        standing: &BTreeSet<&str>,
        now: WallTime,
    ) -> (BTreeMap<String, Option<WallTime>>, usize) {
        let (mut after, mut news) = (told.clone(), 0);
        for step in difference(told, standing, now) {
            match step {
                Step::Tell(item) => {
                    news += 1;
                    after.insert(item.into(), None);
                }
                Step::Back(item) => drop(after.insert(item.into(), None)),
                Step::Gone(item) => drop(after.insert(item.into(), Some(now))),
                Step::Forget(item) => drop(after.remove(item)),
            }
        }
        (after, news)
    }

    proptest! {
        #[test]
        fn steps_reach_a_fixed_point_and_nothing_is_news_twice_within_an_hour(
            looks in prop::collection::vec((prop::collection::btree_set("[abc]", 0..3), 0..HOUR / 4), 1..40),
        ) {
            let (mut told, mut now) = (BTreeMap::new(), WallTime(0));
            let mut last: BTreeMap<String, i64> = BTreeMap::new();
            for (standing, pause) in looks {
                now = WallTime(now.0 + pause);
                let standing: BTreeSet<&str> = standing.iter().map(String::as_str).collect();
                let before = told.clone();
                let (after, _) = taken(&before, &standing, now);
                for step in difference(&before, &standing, now) {
                    if let Step::Tell(item) = step {
                        let again = last.insert(item.to_owned(), now.0);
                        prop_assert!(again.is_none_or(|at| now.0 - at >= HOUR));
                    }
                }
                prop_assert!(standing.iter().all(|item| after.get(*item) == Some(&None)));
                let (same, news) = taken(&after, &standing, now);
                prop_assert_eq!(news, 0);
                prop_assert!(same.len() <= after.len());
                told = after;
            }
        }
    }
}
