//! Calls about experiments and runs.

use tern_protocol::rest::{BestRun, Constraints, Direction, ExperimentView, MetricCurve, RunView};

use super::{Client, ClientError, Pages, query::given};

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunQuery {
    /// MLflow's filter.
    pub filter: Option<String>,
    /// One of MLflow's orders.
    pub order_by: Option<String>,
    /// The deleted instead of those that are there.
    pub deleted: bool,
    /// On one page.
    pub page: Option<u64>,
}

/// Which run is best.
#[derive(Debug, Clone, PartialEq)]
pub struct BestQuery {
    /// By which metric.
    pub metric: String,
    /// Which end of it is good.
    pub direction: Direction,
    /// MLflow's filter.
    pub filter: Option<String>,
    /// What its model may cost.
    pub constraints: Constraints,
}

impl Client {
    /// `GET /experiments`.
    pub fn experiments(&self) -> Pages<ExperimentView> {
        self.pages("/experiments", Vec::new())
    }

    /// `GET /experiments/{experiment}/runs`.
    pub fn runs(&self, experiment: i64, query: &RunQuery) -> Pages<RunView> {
        let parameters = given([
            ("filter", query.filter.clone()),
            ("order_by", query.order_by.clone()),
            ("deleted", query.deleted.then(|| "true".into())),
            ("limit", query.page.map(|limit| limit.to_string())),
        ]);
        self.pages(&format!("/experiments/{experiment}/runs"), parameters)
    }

    /// `GET /experiments/{experiment}/best`.
    pub fn best_run(&self, experiment: i64, query: &BestQuery) -> Result<BestRun, ClientError> {
        let direction = match query.direction {
            Direction::Max => "max",
            Direction::Min => "min",
        };
        let constraints = query.constraints.to_string();
        let parameters = given([
            ("metric", Some(query.metric.clone())),
            ("direction", Some(direction.into())),
            ("filter", query.filter.clone()),
            ("where", Some(constraints).filter(|text| !text.is_empty())),
        ]);
        let path = self.path(&format!("/experiments/{experiment}/best"));
        self.http.get(&path, &parameters)
    }

    /// `GET /runs/{run}`.
    pub fn run(&self, run: &str) -> Result<RunView, ClientError> {
        self.http.get(&self.path(&format!("/runs/{run}")), &[])
    }

    /// `GET /runs/{run}/curve`.
    pub fn curve(&self, run: &str, metric: &str) -> Result<MetricCurve, ClientError> {
        let path = self.path(&format!("/runs/{run}/curve"));
        self.http.get(&path, &[("metric", metric.to_owned())])
    }
}
