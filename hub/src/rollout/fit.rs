//! Which of a rollout's devices will refuse its version or have too little memory for it, as far as
//! the hub knows. It only says so: the device decides, and may have been mended meanwhile.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Statement};
use tern_protocol::{
    agent_version::AgentVersion, codec, id::DeviceId, manifest::Measured, reported::Reported,
};

use super::plan::Rollout;
use crate::{
    registry::{self, Needs},
    store::{Doing as _, StoreError},
};

/// Devices named in one warning; the number of the others follows.
const NAMED: usize = 5;

/// Warnings about the devices of a rollout.
pub(super) async fn warnings(
    db: &impl ConnectionTrait,
    rollout: &Rollout,
    devices: &HashSet<&DeviceId>,
) -> Result<Vec<String>, StoreError> {
    const DOING: &str = "reading what devices of a rollout are";
    let (model, version) = (&rollout.target.model, rollout.target.version);
    let needs = registry::needs(db, &rollout.workspace, model, version).await?;
    if needs == Needs::default() || devices.is_empty() {
        return Ok(Vec::new());
    }
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT id, reported FROM device WHERE workspace = $1 AND reported IS NOT NULL ORDER BY id",
        [rollout.workspace.as_str().into()],
    );
    let (mut old, mut small) = (Vec::new(), Vec::new());
    for row in db.query_all_raw(select).await.doing(DOING)? {
        let id: String = row.try_get_by_index(0).doing(DOING)?;
        let Some(device) = id
            .parse::<DeviceId>()
            .ok()
            .filter(|id| devices.contains(id))
        else {
            continue;
        };
        let reported: Vec<u8> = row.try_get_by_index(1).doing(DOING)?;
        let Ok(reported) = codec::decode::<Reported>(&reported) else {
            continue;
        };
        if is_too_old(&reported, &needs) {
            old.push(device.clone());
        }
        if is_too_small(&reported, &needs) {
            small.push(device);
        }
    }
    let mut warnings = Vec::new();
    if let (Some(min), false) = (needs.min_agent, old.is_empty()) {
        warnings.push(format!(
            "{} an agent older than {min}, which the version asks for, and will refuse it",
            who(&old, "runs", "run")
        ));
    }
    if !small.is_empty() {
        warnings.push(format!(
            "{} less memory than vetting the version took",
            who(&small, "has", "have")
        ));
    }
    Ok(warnings)
}

fn is_too_old(device: &Reported, needs: &Needs) -> bool {
    let agent: Option<AgentVersion> = device.agent.parse().ok();
    needs
        .min_agent
        .is_some_and(|min| agent.is_none_or(|agent| agent < min))
}

/// By what was measured on its class of target; without that, by the most that was measured on any.
fn is_too_small(device: &Reported, needs: &Needs) -> bool {
    let class = |measured: &&Measured| measured.target == device.platform.arch;
    let own = needs.measured.iter().find(class).and_then(|m| m.peak_rss);
    let any = || needs.measured.iter().filter_map(|m| m.peak_rss).max();
    let peak = own.or_else(any);
    let memory = device.resources.memory;
    peak.zip(memory).is_some_and(|(peak, memory)| memory < peak)
}

/// `2 devices run (a, b)`.
fn who(devices: &[DeviceId], one: &str, many: &str) -> String {
    let names: Vec<_> = devices.iter().take(NAMED).map(DeviceId::as_str).collect();
    let more = devices.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let names = names.join(", ") + &more;
    match devices.len() {
        1 => format!("1 device ({names}) {one}"),
        count => format!("{count} devices ({names}) {many}"),
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        id::{BootId, Revision},
        reported::{OutboxReport, Platform, Resources},
        time::{Instant, Uptime},
    };

    use super::*;

    fn device(agent: &str, arch: &str, memory: Option<u64>) -> Reported {
        Reported {
            agent: agent.into(),
            now: Instant {
                boot: BootId(1),
                uptime: Uptime(0),
            },
            wall: None,
            site: "harbour".parse().expect("a name"),
            labels: std::collections::BTreeMap::default(),
            platform: Platform {
                arch: arch.into(),
                ..Platform::default()
            },
            resources: Resources {
                memory,
                ..Resources::default()
            },
            answers: Revision(0),
            slots: Vec::new(),
            outbox: OutboxReport::default(),
            malformed: 0,
            trust: None,
            deltas: None,
            erased: None,
            captures: None,
        }
    }

    #[test]
    fn a_device_is_judged_by_its_agent_and_its_class() {
        let measured = |target: &str, peak_rss| Measured {
            target: target.into(),
            latency_us: 1,
            load_us: 1,
            peak_rss: Some(peak_rss),
            p95_us: None,
        };
        let needs = Needs {
            min_agent: "0.2.0".parse().ok(),
            measured: vec![measured("x86_64", 300), measured("aarch64", 200)],
        };
        let old = |agent: &str| is_too_old(&device(agent, "arm", None), &needs);
        assert!(old("0.1.9") && old("what?") && !old("0.2.0") && !old("0.10.0"));
        let small = |arch: &str, memory| is_too_small(&device("1.0.0", arch, memory), &needs);
        assert!(small("aarch64", Some(199)) && !small("aarch64", Some(200)));
        assert!(small("x86_64", Some(299)) && !small("x86_64", Some(300)));
        assert!(small("riscv64", Some(299)), "the most that is known");
        assert!(!small("x86_64", None), "it does not say");
    }

    #[test]
    fn a_warning_names_a_few() {
        let ids: Vec<DeviceId> = (1..8)
            .map(|n| format!("d{n}").parse().expect("a name"))
            .collect();
        assert_eq!(who(&ids[..1], "has", "have"), "1 device (d1) has");
        assert_eq!(
            who(&ids, "has", "have"),
            "7 devices (d1, d2, d3, d4, d5 and 2 more) have"
        );
    }
}
