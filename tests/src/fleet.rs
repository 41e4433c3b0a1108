//! A hub and its agents in one temporary directory.

use std::{net::SocketAddr, path::Path};

use tempfile::TempDir;
use tern_cli::client::{Client, ClientError, Connection, DeviceQuery, Token, Verdict};
use tern_protocol::{
    id::{DeviceId, IdentityId, ModelVersion, RolloutId},
    rest::{
        Because, DeviceView, IdentityView, Invited, NewInvitation, NewRollout, Overview,
        RolloutState, RolloutView, Selector, VersionView,
    },
};

use crate::{
    admin::{Admin, Invitation as _},
    agent::{Agent, SLOT, Settings},
    http::Answer,
    hub::{Doors, Hub},
    package::Package,
    process::Clock,
    proxy::Proxy,
    wait,
};

/// The model of every fleet in the tests; by custom it is named as the slot.
pub const MODEL: &str = SLOT;

/// A hub, agents, and the link between them, which can be cut.
#[derive(Debug)]
pub struct Fleet {
    /// The agents, in the order in which they were added.
    pub agents: Vec<Agent>,
    /// The hub.
    pub hub: Hub,
    /// What plain agents take for the broker.
    pub link: Proxy,
    /// Who we are to a secured hub.
    pub admin: Option<Admin>,
    // Last, so that everything has ended before it is removed.
    dir: TempDir,
}

impl Fleet {
    /// A hub without agents.
    #[track_caller]
    pub fn empty() -> Self {
        Self::with_hub(&[])
    }

    /// A hub with these arguments more, without agents.
    #[track_caller]
    pub fn with_hub(args: &[&str]) -> Self {
        Self::around(|dir| Hub::start(dir, args))
    }

    /// The hub that `start` starts in a fresh directory, without agents; set up if it is secured.
    #[track_caller]
    pub fn around(start: impl FnOnce(&Path) -> Hub) -> Self {
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        let hub = start(dir.path());
        let link = Proxy::start(hub.mqtt());
        let admin = (hub.doors() == Doors::Secured).then(|| Admin::set_up(&hub));
        Self {
            agents: Vec::new(),
            hub,
            link,
            admin,
            dir,
        }
    }

    /// A secured hub that has been set up, with these arguments more, without agents.
    #[track_caller]
    pub fn secured(args: &[&str]) -> Self {
        Self::secured_at(None, args)
    }

    /// As [`Self::secured`], at a hub that was made when this clock says. A clock in the past lets days
    /// go by: what tests ask the hub with has the machine's own clock.
    #[track_caller]
    pub fn secured_at(clock: Option<Clock>, args: &[&str]) -> Self {
        Self::around(|dir| Hub::start_at(clock, Doors::Secured, dir, args))
    }

    /// Invites an agent to a secured hub, lets it join, starts it and waits until the hub knows it;
    /// its place in [`Self::agents`].
    #[track_caller]
    pub fn add_joined(&mut self, settings: &Settings) -> usize {
        self.add_joined_at(None, settings)
    }

    /// As [`Self::add_joined`], with this clock.
    #[track_caller]
    pub fn add_joined_at(&mut self, clock: Option<Clock>, settings: &Settings) -> usize {
        let token = self.invite(&NewInvitation::default_of(1)).token;
        let mut agent = Agent::prepare(self.dir.path(), settings, None);
        agent.set_clock(clock);
        let (status, said) = agent.join(&token);
        assert!(status.success(), "{} joins: {said}", settings.device);
        agent.run();
        self.agents.push(agent);
        self.online(&settings.device);
        self.agents.len() - 1
    }

    /// Waits until the hub has a device online.
    #[track_caller]
    pub fn online(&self, device: &str) {
        wait::until(&format!("the hub to know {device} online"), || {
            let view = self.try_device(device)?;
            wait::that(view.online, || format!("{view:?}"))
        });
    }

    /// Makes an invitation.
    #[track_caller]
    pub fn invite(&self, new: &NewInvitation) -> Invited {
        let invited = self.client().invite(new);
        invited.unwrap_or_else(|err| panic!("inviting: {err}: {:?}", err.problem()))
    }

    /// Asks below `/api/v1` as the first admin in her session: tokens do not run a hub.
    #[track_caller]
    pub fn as_admin(&self, method: &str, path: &str, body: &serde_json::Value) -> Answer {
        let admin = self.admin.as_ref().expect("the hub is secured");
        let headers = [
            ("content-type", "application/json"),
            ("sec-fetch-site", "same-origin"),
            ("cookie", admin.cookie.as_str()),
        ];
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let url = format!("{}/api/v1{path}", self.hub.url());
        let answer = self.hub.http().send(method, &url, &headers, &body);
        let answer = answer.unwrap_or_else(|err| panic!("{method} {path}: {err}"));
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    }

    /// Accepts, rejects or revokes an identity.
    #[track_caller]
    pub fn judge(&self, id: IdentityId, verdict: Verdict, reason: &str) {
        let because = Because {
            reason: reason.into(),
        };
        if let Err(err) = self.client().judge(id, verdict, &because) {
            panic!("judging {id}: {err}: {:?}", err.problem());
        }
    }

    /// The identities that the hub knows of a device, in the order in which they joined.
    #[track_caller]
    pub fn identities(&self, device: &str) -> Vec<IdentityView> {
        let of = vec![("device", device.to_owned())];
        let mut all = self
            .client()
            .identities(of)
            .all()
            .expect("the hub lists identities");
        all.sort_by_key(|identity| identity.id);
        all
    }

    /// A hub and `count` agents `meter-01` … at the sites `harbour` and `hill` in turn.
    #[track_caller]
    pub fn of(count: usize) -> Self {
        let mut fleet = Self::empty();
        for number in 1..=count {
            fleet.add(&meter(number));
        }
        fleet
    }

    /// Adds an agent and waits until the hub knows it; its place in [`Self::agents`].
    #[track_caller]
    pub fn add(&mut self, settings: &Settings) -> usize {
        let agent = Agent::start(self.dir.path(), settings, self.link.address());
        self.agents.push(agent);
        self.online(&settings.device);
        self.agents.len() - 1
    }

    /// The test's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The addresses of all agents.
    #[track_caller]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.agents.iter().map(Agent::address).collect()
    }

    /// A client of the hub as it runs now.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.client_of(self.admin.as_ref().map(|admin| admin.token.as_str()))
    }

    /// A client that shows this token.
    #[track_caller]
    pub fn client_of(&self, token: Option<&str>) -> Client {
        let connection = Connection {
            hub: self.hub.url(),
            workspace: "default".parse().expect("a name"),
            token: token.map(Token::new),
            ca: self.admin.as_ref().map(|admin| admin.ca.clone()),
        };
        Client::connect(&connection).expect("the hub's address is one")
    }

    /// Starts a stopped hub again; agents find it behind the same link.
    #[track_caller]
    pub fn run_hub(&mut self) {
        self.hub.run();
        self.link.aim(self.hub.mqtt());
    }

    /// Uploads and publishes, and returns what the hub says.
    pub fn try_publish(&self, package: &Package) -> Result<VersionView, ClientError> {
        let client = self.client();
        for blob in package.blobs() {
            let digest = tern_protocol::digest::Digest::of(blob);
            client.put_blob(&digest, blob.len() as u64, &mut &*blob, &mut |_| {})?;
        }
        let model = MODEL.parse().expect("a name");
        Ok(client.publish(&model, &package.new_version())?.version)
    }

    /// Publishes a package that must be taken.
    #[track_caller]
    pub fn publish(&self, package: &Package) -> VersionView {
        match self.try_publish(package) {
            Ok(version) => version,
            Err(err) => panic!("publishing: {err}: {:?}", err.problem()),
        }
    }

    /// Starts a rollout of a version to `percent` of the devices that `selector` selects.
    #[track_caller]
    pub fn roll_out_to(
        &self,
        version: ModelVersion,
        selector: Selector,
        percent: u8,
    ) -> RolloutView {
        let rollout = NewRollout {
            slot: SLOT.parse().expect("a name"),
            model: MODEL.parse().expect("a name"),
            version,
            selector,
            percent,
        };
        match self.client().start_rollout(&rollout) {
            Ok(rollout) => rollout,
            Err(err) => panic!("starting a rollout: {err}: {:?}", err.problem()),
        }
    }

    /// Starts a rollout of a version to all devices.
    #[track_caller]
    pub fn roll_out(&self, version: ModelVersion) -> RolloutView {
        self.roll_out_to(version, Selector::default(), 100)
    }

    /// Publishes a package, rolls it out to all and waits until every agent serves it and the hub
    /// has the proof.
    #[track_caller]
    pub fn serve(&self, package: &Package) -> VersionView {
        let version = self.publish(package);
        let rollout = self.roll_out(version.version);
        for agent in &self.agents {
            agent.serves(version.version.get());
        }
        let devices = self.agents.len() as u64;
        self.rollout_until(rollout.id, "to be proven on all", |view| {
            view.state == RolloutState::Complete && view.counts.serving == devices
        });
        version
    }

    /// Waits until a rollout is as `wanted`.
    #[track_caller]
    pub fn rollout_until(
        &self,
        id: RolloutId,
        what: &str,
        wanted: impl Fn(&RolloutView) -> bool,
    ) -> RolloutView {
        let client = self.client();
        wait::until(&format!("rollout {id} {what}"), || {
            let view = client.rollout(id).map_err(|err| err.to_string())?;
            wait::that(wanted(&view), || format!("{view:?}"))?;
            Ok(view)
        })
    }

    /// What the hub knows of a device.
    pub fn try_device(&self, device: &str) -> Result<DeviceView, String> {
        let id: DeviceId = device.parse().expect("a test's device has a name");
        self.client().device(&id).map_err(|err| err.to_string())
    }

    /// What the hub knows of a device that it must know.
    #[track_caller]
    pub fn device(&self, device: &str) -> DeviceView {
        self.try_device(device)
            .unwrap_or_else(|err| panic!("device {device}: {err}"))
    }

    /// What the hub knows of all devices.
    #[track_caller]
    pub fn devices(&self) -> Vec<DeviceView> {
        self.client()
            .devices(&DeviceQuery::default())
            .all()
            .expect("the hub lists devices")
    }

    /// The hub's overview.
    #[track_caller]
    pub fn overview(&self) -> Overview {
        self.client().overview().expect("the hub has an overview")
    }

    /// Waits until the hub has counted exactly what the agents have answered in their present
    /// boots plus `before`, fails at once if it ever counts more, and returns the count.
    #[track_caller]
    pub fn counts_exactly(&self, before: u64) -> u64 {
        let answered = self
            .agents
            .iter()
            .map(|agent| agent.status().inferences)
            .sum::<u64>();
        let expected = before + answered;
        let client = self.client();
        wait::until(&format!("the hub to count {expected} inferences"), || {
            let devices = client.devices(&DeviceQuery::default()).all();
            let devices = devices.map_err(|err| err.to_string())?;
            let counted = devices.iter().map(|device| device.inferences).sum::<u64>();
            assert!(
                counted <= expected,
                "the hub counts {counted}, only {expected} were answered"
            );
            wait::that(counted == expected, || {
                let outboxes = self.agents.iter().map(|agent| {
                    let status = agent.status();
                    (
                        status.online,
                        status.windows_made,
                        status.windows_acked,
                        status.outbox,
                    )
                });
                format!("{counted}; agents {:?}", outboxes.collect::<Vec<_>>())
            })
        });
        let total = client
            .overview()
            .expect("the hub has an overview")
            .totals
            .inferences;
        assert_eq!(
            total, expected,
            "the overview's total is that of the devices"
        );
        expected
    }
}

/// `meter-NN` at `harbour` (odd) or `hill` (even).
pub fn meter(number: usize) -> Settings {
    let site = if number % 2 == 1 { "harbour" } else { "hill" };
    Settings::new(&format!("meter-{number:02}"), site)
}
