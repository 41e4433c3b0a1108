//! The broker's hooks: who gets in, who may say and hear what.
//!
//! Called by rmqtt for each CONNECT, SUBSCRIBE and PUBLISH; asks [`super::rules`] and [`super::seats`].
//!
//! Must never break:
//! - each listener has its own way in, and a client that fits none is refused;
//! - a client id is checked before the broker looks for an older session with it, so that nobody
//!   takes over or ends a session of somebody else;
//! - a refusal is counted and said, but no device can fill the log with its own.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmqtt::{
    codec::v5::SubscribeAckReason,
    context::ServerContext,
    hook::{Handler, HookResult, Parameter, ReturnType, Type},
    types::{
        AuthResult, ConnectInfo, Id, LastWill, Publish, PublishAclResult, Subscribe,
        SubscribeAclResult,
    },
};
use tokio::time::Instant;

use super::{
    DEVICES_DOOR, HUB_DOOR, PLAIN_DOOR,
    password::Password,
    rules::{self, Refused, Said, Speaker},
    seats::Seats,
};
use crate::counters::Counters;

/// How often a refusal of one client is logged.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// Clients whose last logged refusal is remembered. Those beyond are counted and not logged.
const REMEMBERED: usize = 1_024;

/// What the hooks look at.
#[derive(Clone)]
pub struct Gate(Arc<Inside>);

struct Inside {
    seats: Seats,
    hub: Password,
    counters: Arc<Counters>,
    /// When a refusal of each client was last logged.
    said: Mutex<HashMap<String, Instant>>,
}

/// Who a client is, by the door that it came in by.
enum Client {
    Device(Speaker),
    /// Somebody on this machine, at the plain listener.
    Local,
    /// The hub itself.
    Hub,
}

impl Gate {
    /// A gate that knows the devices by their seats, and the hub by its password.
    pub fn new(seats: Seats, hub: Password, counters: Arc<Counters>) -> Self {
        Self(Arc::new(Inside {
            seats,
            hub,
            counters,
            said: Mutex::default(),
        }))
    }

    /// Puts it into a broker.
    pub async fn guard(&self, context: &ServerContext) {
        let register = context.extends.hook_mgr().register();
        for kind in [
            Type::ClientAuthenticate,
            Type::ClientSubscribeCheckAcl,
            Type::MessagePublishCheckAcl,
        ] {
            register.add(kind, Box::new(self.clone())).await;
        }
        register.start().await;
    }

    fn connect(&self, info: &ConnectInfo) -> AuthResult {
        let will = info.last_will();
        let will = will.as_ref().map(will_said);
        let id = info.id();
        let refused = match id.lid {
            HUB_DOOR => {
                if info.password().is_some_and(|told| self.0.hub.is(told)) {
                    return AuthResult::Allow(true, None);
                }
                "not the hub".to_owned()
            }
            PLAIN_DOOR => match local(&id.client_id) {
                Client::Device(speaker) => {
                    match rules::may_connect(&speaker, &id.client_id, will) {
                        Ok(()) => return AuthResult::Allow(false, None),
                        Err(err) => err.to_string(),
                    }
                }
                Client::Local | Client::Hub => {
                    if will.is_none_or(|will| rules::is_ours(will.topic)) {
                        return AuthResult::Allow(false, None);
                    }
                    Refused::Will.to_string()
                }
            },
            DEVICES_DOOR => match id.remote_addr.and_then(|from| self.0.seats.at(from)) {
                Some(speaker) => match rules::may_connect(&speaker, &id.client_id, will) {
                    Ok(()) => return AuthResult::Allow(false, None),
                    Err(err) => {
                        self.0.counters.refused_connections.one();
                        // By its own name, not by the one that it claims.
                        self.say(&speaker.to_string(), "connection", &err.to_string());
                        return AuthResult::NotAuthorized;
                    }
                },
                None => "it did not come in by the door for devices".to_owned(),
            },
            _ => "there is no such door".to_owned(),
        };
        self.0.counters.refused_connections.one();
        self.say(&id.client_id, "connection", &refused);
        AuthResult::NotAuthorized
    }

    fn subscribe(&self, id: &Id, subscribe: &Subscribe) -> SubscribeAclResult {
        let filter = &subscribe.topic_filter;
        let granted = match client(id) {
            Some(Client::Hub) => Ok(()),
            Some(Client::Local) if rules::is_ours(filter) => Ok(()),
            Some(Client::Local) | None => Err(Refused::Filter),
            Some(Client::Device(speaker)) => {
                // A shared subscription comes with its group taken off.
                if subscribe.opts.shared_group().is_some() {
                    Err(Refused::Filter)
                } else {
                    rules::may_subscribe(&speaker, filter)
                }
            }
        };
        match granted {
            Ok(()) => SubscribeAclResult::new_success(subscribe.opts.qos(), None),
            Err(err) => {
                self.0.counters.refused_subscriptions.one();
                self.say(&id.client_id, "subscription", &err.to_string());
                SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
            }
        }
    }

    async fn publish(&self, id: &Id, publish: &Publish) -> PublishAclResult {
        let said = Said {
            topic: &publish.topic,
            retain: publish.retain,
            qos: publish.qos.value(),
            len: publish.payload.len(),
        };
        let granted = match client(id) {
            Some(Client::Hub) => Ok(()),
            Some(Client::Local) if rules::is_ours(said.topic) => Ok(()),
            Some(Client::Local) | None => Err(Refused::Topic),
            Some(Client::Device(speaker)) => rules::may_publish(&speaker, said),
        };
        match granted {
            Ok(()) => {
                // The session reads nothing while it waits here: the device's own socket fills.
                let wait = id.remote_addr.map(|from| self.0.seats.message(from));
                match wait {
                    Some(wait) if !wait.is_zero() => tokio::time::sleep(wait).await,
                    _ => {}
                }
                PublishAclResult::allow()
            }
            Err(err) => {
                self.0.counters.refused_publishes.one();
                self.say(&id.client_id, "message", &err.to_string());
                PublishAclResult::rejected(true, Some(err.to_string().into()))
            }
        }
    }

    /// Logs a refusal, unless one of the same client was logged a moment ago.
    fn say(&self, client: &str, what: &'static str, reason: &str) {
        let now = Instant::now();
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= REMEMBERED {
            said.retain(|_, at| now.duration_since(*at) < SAY_AGAIN);
        }
        let due = match said.get(client) {
            Some(at) => now.duration_since(*at) >= SAY_AGAIN,
            None => said.len() < REMEMBERED,
        };
        if due {
            said.insert(client.to_owned(), now);
            drop(said);
            tracing::warn!(client, reason, "the broker refused a {what}");
        }
    }
}

/// Who a connected client is. Its client id was checked when it connected.
fn client(id: &Id) -> Option<Client> {
    match id.lid {
        HUB_DOOR => Some(Client::Hub),
        PLAIN_DOOR => Some(local(&id.client_id)),
        DEVICES_DOOR => id.client_id.parse().ok().map(Client::Device),
        _ => None,
    }
}

/// At the plain listener a device is who it says it is, and everybody else is a tool.
fn local(client_id: &str) -> Client {
    client_id.parse().map_or(Client::Local, Client::Device)
}

fn will_said<'a>(will: &LastWill<'a>) -> Said<'a> {
    match *will {
        LastWill::V3(will) => Said {
            topic: &will.topic,
            retain: will.retain,
            qos: will.qos.value(),
            len: will.message.len(),
        },
        LastWill::V5(will) => Said {
            topic: &will.topic,
            retain: will.retain,
            qos: will.qos.value(),
            len: will.message.len(),
        },
    }
}

/// As `async_trait` spells it, which rmqtt declares this trait with.
impl Handler for Gate {
    fn hook<'gate, 'parameter, 'future>(
        &'gate self,
        parameter: &'parameter Parameter<'_>,
        before: Option<HookResult>,
    ) -> Pin<Box<dyn Future<Output = ReturnType> + Send + 'future>>
    where
        'gate: 'future,
        'parameter: 'future,
        Self: 'future,
    {
        Box::pin(async move {
            let result = match parameter {
                Parameter::ClientAuthenticate(info) => HookResult::AuthResult(self.connect(info)),
                Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                    HookResult::SubscribeAclResult(self.subscribe(&session.id, subscribe))
                }
                Parameter::MessagePublishCheckAcl(session, publish) => {
                    HookResult::PublishAclResult(self.publish(&session.id, publish).await)
                }
                _ => return (true, before),
            };
            (false, Some(result))
        })
    }
}
