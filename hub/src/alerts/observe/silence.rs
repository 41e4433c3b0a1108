//! Devices that are not heard of.

use tern_protocol::{
    id::WorkspaceId,
    rest::{AlertFacts, AlertGroup, Measured, SilenceCondition},
    time::WallTime,
};

use super::{GROUPS, Observation, Observed, labels, words};
use crate::{
    alerts::machine::{Seen, Sight},
    app::App,
    fleet::{self, SiteSilence},
    store::StoreError,
};

pub(super) async fn observe(
    app: &App,
    workspace: &WorkspaceId,
    of: &SilenceCondition,
    up: Option<WallTime>,
    now: WallTime,
) -> Result<Observed, StoreError> {
    let span = i64::try_from(of.after.ms()).unwrap_or(i64::MAX);
    let before = WallTime(now.0.saturating_sub(span));
    let mut sites = fleet::silent(&app.store, workspace, before).await?;
    sites.retain(|site| of.site.as_ref().is_none_or(|wanted| *wanted == site.site));
    // Devices need a while to find a hub that has just started.
    let deaf = up.is_some_and(|up| up > before);
    let all = |sites: &[SiteSilence]| {
        let sum = |count: fn(&SiteSilence) -> u64| sites.iter().map(count).sum::<u64>();
        (sum(|site| site.devices), sum(|site| site.silent))
    };
    let groups: Vec<_> = if of.group_by == AlertGroup::Site {
        sites.sort_by(|a, b| (b.silent, &a.site).cmp(&(a.silent, &b.site)));
        sites.truncate(GROUPS);
        let each = sites.iter();
        each.map(|site| (Some(site.site.to_string()), site.devices, site.silent))
            .collect()
    } else {
        let (devices, silent) = all(&sites);
        let site = of.site.as_ref().map(ToString::to_string);
        vec![(site, devices, silent)]
    };
    let observation = |(site, devices, silent): (Option<String>, u64, u64)| {
        let seen = if deaf || devices < of.minimum {
            Seen::Unknown
        } else if silent as f64 > of.above.of_one() * devices as f64 {
            Seen::Beyond
        } else {
            Seen::Well
        };
        let group = site
            .as_ref()
            .map_or_else(|| "all".into(), |site| format!("site/{site}"));
        Observation {
            group,
            sight: Sight { seen, since: None },
            facts: AlertFacts {
                summary: words::silent(site.as_deref(), silent, devices),
                evidence: words::unheard(of, silent, devices),
                action: "look at the site's power and network; `tern device list --health offline` names the devices".into(),
                labels: labels([("site", site)]),
                measured: Some(Measured {
                    value: silent as f64 / devices.max(1) as f64,
                    unit: "ratio".into(),
                    level: of.above.of_one(),
                    low: None,
                    high: None,
                    n: devices,
                }),
                devices: silent,
                of_devices: devices,
                finding: None,
            },
        }
    };
    Ok(Observed {
        groups: groups.into_iter().map(observation).collect(),
        absent: if deaf { Seen::Unknown } else { Seen::Well },
    })
}
