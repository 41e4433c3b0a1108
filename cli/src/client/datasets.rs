//! Calls about datasets and datastores.

use std::io::{self, Write};

use serde::Serialize;
use tern_protocol::{
    id::{DatasetName, DatastoreName},
    rest::{
        DatasetDetail, DatasetDiff, DatasetPick, DatasetRow, DatasetView, DatastoreView,
        NewDataset, NewDatastore, Page, Split,
    },
};

use super::{Client, ClientError, http::Patience, query::given};

/// A body that says nothing.
#[derive(Serialize)]
struct Nothing {}

impl Client {
    /// `GET /datasets`: of each the newest version, or all of one.
    pub fn datasets(&self, name: Option<&DatasetName>) -> Result<Vec<DatasetView>, ClientError> {
        let parameters = given([("name", name.map(ToString::to_string))]);
        let page: Page<_> = self.http.get(&self.path("/datasets"), &parameters)?;
        Ok(page.items)
    }

    /// `POST /datasets`.
    pub fn make_dataset(&self, new: &NewDataset) -> Result<DatasetView, ClientError> {
        Ok(self
            .http
            .post(&self.path("/datasets"), new, Patience::Vetting)?
            .1)
    }

    /// `GET /datasets/{dataset}`.
    pub fn dataset(&self, pick: &DatasetPick) -> Result<DatasetDetail, ClientError> {
        self.http.get(&self.path(&format!("/datasets/{pick}")), &[])
    }

    /// `GET /datasets/{dataset}/rows`.
    pub fn dataset_rows(
        &self,
        pick: &DatasetPick,
        split: Split,
        limit: usize,
    ) -> Result<Vec<DatasetRow>, ClientError> {
        let parameters = [("split", split.to_string()), ("limit", limit.to_string())];
        let path = self.path(&format!("/datasets/{pick}/rows"));
        let page: Page<_> = self.http.get(&path, &parameters)?;
        Ok(page.items)
    }

    /// `GET /datasets/{dataset}/files/{file}`, written as it comes; how many bytes.
    pub fn dataset_file(
        &self,
        pick: &DatasetPick,
        file: &str,
        to: &mut dyn Write,
    ) -> Result<u64, ClientError> {
        let path = self.path(&format!("/datasets/{pick}/files/{file}"));
        let body = self.http.reader(&path)?;
        let mut from = body.into_with_config().limit(u64::MAX).reader();
        io::copy(&mut from, to).map_err(ClientError::Source)
    }

    /// `GET /datasets/{dataset}/diff/{other}`.
    pub fn dataset_diff(
        &self,
        from: &DatasetPick,
        to: &DatasetPick,
    ) -> Result<DatasetDiff, ClientError> {
        let path = self.path(&format!("/datasets/{from}/diff/{to}"));
        self.http.get(&path, &[])
    }

    /// `POST /datasets/{dataset}/stop`.
    pub fn stop_dataset(&self, pick: &DatasetPick) -> Result<DatasetView, ClientError> {
        let path = self.path(&format!("/datasets/{pick}/stop"));
        Ok(self.http.post(&path, &Nothing {}, Patience::Answer)?.1)
    }

    /// `DELETE /datasets/{dataset}`: its files go.
    pub fn remove_dataset(&self, pick: &DatasetPick) -> Result<(), ClientError> {
        self.http.delete(&self.path(&format!("/datasets/{pick}")))
    }

    /// `GET /datastores`.
    pub fn datastores(&self) -> Result<Vec<DatastoreView>, ClientError> {
        let page: Page<_> = self.http.get(&self.path("/datastores"), &[])?;
        Ok(page.items)
    }

    /// `POST /datastores`.
    pub fn add_datastore(&self, new: &NewDatastore) -> Result<DatastoreView, ClientError> {
        Ok(self
            .http
            .post(&self.path("/datastores"), new, Patience::Answer)?
            .1)
    }

    /// `DELETE /datastores/{name}`.
    pub fn remove_datastore(&self, name: &DatastoreName) -> Result<(), ClientError> {
        self.http.delete(&self.path(&format!("/datastores/{name}")))
    }
}
