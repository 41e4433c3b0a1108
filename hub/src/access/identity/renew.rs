//! A device asks for a new certificate for its key.

use std::net::IpAddr;

use tern_protocol::rest::{Joined, Renew};

use super::{
    JoinError,
    join::{Why, begin, by_key, stands},
    judge::may_ask,
    rows::state_of,
};
use crate::{access::authority::DeviceKey, app::App};

/// Renews: the signing request proves that the device has the key; after the certificate's expiry
/// for a while only.
pub async fn renew(app: &App, renew: &Renew, from: Option<IpAddr>) -> Result<Joined, JoinError> {
    let key = DeviceKey::from_request(&renew.csr)?;
    let _turn = app.registry.turn().await;
    let txn = begin(app).await?;
    let row = by_key(&txn, key.digest()).await?;
    let row = row.ok_or(JoinError::UnknownKey)?;
    may_ask(state_of(&row)?)?;
    stands(app, txn, row, &key, Why::Renewal, from).await
}
