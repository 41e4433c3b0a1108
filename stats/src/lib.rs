//! The mathematics of decisions: summaries that merge exactly, and estimates with intervals.
//!
//! Called by the agent (to count), the hub (to merge, to estimate) and the trainer (to profile).
//! Calls the wire types of `tern-protocol`, nothing else.
//!
//! Must never break:
//! - merging is exact and its order never matters: a fleet's summary is the same whether windows
//!   met on the device, in its outbox or in the hub;
//! - nothing that arrives from a device can panic or grow without bound in here.
//!
//! There is no I/O and no clock. It uses std for `ln` and `powi` alone, which core does not have.

pub mod betting;
pub mod chance;
pub mod compare;
pub mod confidence;
pub mod drift;
pub mod estimate;
pub mod evidence;
pub mod histogram;
pub mod interval;
pub mod ladder;
pub mod levels;
pub mod metric;
pub mod pareto;
pub mod signal;
pub mod sketch;
pub mod truth;
pub mod values;
pub mod window;
