//! How hub and broker are reached, and who keeps that up to date: one for all lives of the node.

use std::sync::Arc;

use anyhow::Context as _;
use tern_agent::{
    chance::Chance,
    clock::Clock,
    config::Config,
    fetch::download::Route,
    identity::{self, renew::Renewer, standing::Standing},
    link::Way,
};
use tokio::sync::{Notify, watch};

/// The newest ways.
pub struct Ways {
    /// To the broker.
    pub way: watch::Receiver<Way>,
    /// To the hub by HTTPS.
    pub route: watch::Receiver<Route>,
    /// Told when the broker does not take this device for what it is.
    pub doubt: Arc<Notify>,
    /// A device that has not joined has nobody who changes them: the senders are held here.
    _senders: Option<(watch::Sender<Way>, watch::Sender<Route>)>,
}

impl Ways {
    /// The ways of this configuration. If the device has joined, its identity is renewed from now on.
    pub fn open(
        config: &Config,
        standing: Option<Standing>,
        clock: Clock,
        chance: Chance,
    ) -> anyhow::Result<Self> {
        let first = way(config, config.joined.as_ref()).map_err(anyhow::Error::msg);
        let first = first.context("the way to the broker")?;
        let first_route = route(config, config.joined.as_ref(), &first);
        let (routes, route) = watch::channel(first_route);
        let (ways, way) = watch::channel(first);
        let doubt = Arc::new(Notify::new());
        let senders = match standing {
            Some(standing) => {
                renew(
                    config,
                    standing,
                    clock,
                    chance,
                    Arc::clone(&doubt),
                    (ways, routes),
                );
                None
            }
            None => Some((ways, routes)),
        };
        Ok(Self {
            way,
            route,
            doubt,
            _senders: senders,
        })
    }
}

/// How the broker is reached as this identity.
fn way(config: &Config, joined: Option<&identity::file::Identity>) -> Result<Way, String> {
    let tls = joined.map(|joined| joined.tls(identity::floor(Some(joined.credentials.not_before))));
    Ok(Way {
        brokers: config.brokers(joined),
        tls: tls.transpose()?,
    })
}

/// How the hub is reached by HTTPS as this identity.
fn route(config: &Config, joined: Option<&identity::file::Identity>, way: &Way) -> Route {
    Route {
        bases: config.hubs(joined),
        tls: way.tls.clone(),
    }
}

/// Starts what renews the identity and tells the link and the downloads.
fn renew(
    config: &Config,
    standing: Standing,
    clock: Clock,
    chance: Chance,
    doubt: Arc<Notify>,
    (ways, routes): (watch::Sender<Way>, watch::Sender<Route>),
) {
    let mut newest = standing.newest();
    let renewer = Renewer {
        path: config.identity.clone(),
        clock,
        chance,
        doubt,
        standing,
    };
    tokio::spawn(renewer.run());
    let config = config.clone();
    tokio::spawn(async move {
        while newest.changed().await.is_ok() {
            let joined = newest.borrow_and_update().clone();
            match way(&config, Some(&joined)) {
                Ok(way) => {
                    routes.send_replace(route(&config, Some(&joined), &way));
                    ways.send_replace(way);
                }
                Err(err) => tracing::warn!("the renewed certificate cannot be used: {err}"),
            }
        }
    });
}
