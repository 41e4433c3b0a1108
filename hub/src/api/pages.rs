//! Names for pages in the OpenAPI document: its macro cannot spell a generic type where a crate that
//! is linked has conversions of its own from texts.

use tern_protocol::rest::{
    AccuracyView, AlertRuleView, AlertView, AuditEntry, AuthorityView, CaptureRequestView,
    CaptureView, DatasetRow, DatasetView, DatastoreView, DeletionView, DeviceView, EventView,
    ExperimentView, FindingView, IdentityView, InvitationView, MemberView, ModelView,
    NotificationView, Page, PlanTemplate, QuarantineView, RolloutView, RunView, SilenceView,
    SubscriptionView, TimelineEntry, TokenView, UserView, WorkspaceView,
};

pub(super) type AccuracyPage = Page<AccuracyView>;
pub(super) type AlertPage = Page<AlertView>;
pub(super) type AlertRulePage = Page<AlertRuleView>;
pub(super) type AuditPage = Page<AuditEntry>;
pub(super) type AuthorityPage = Page<AuthorityView>;
pub(super) type CapturePage = Page<CaptureView>;
pub(super) type CaptureRequestPage = Page<CaptureRequestView>;
pub(super) type DatasetPage = Page<DatasetView>;
pub(super) type DatasetRowPage = Page<DatasetRow>;
pub(super) type DatastorePage = Page<DatastoreView>;
pub(super) type DeletionPage = Page<DeletionView>;
pub(super) type DevicePage = Page<DeviceView>;
pub(super) type EventPage = Page<EventView>;
pub(super) type ExperimentPage = Page<ExperimentView>;
pub(super) type FindingPage = Page<FindingView>;
pub(super) type IdentityPage = Page<IdentityView>;
pub(super) type InvitationPage = Page<InvitationView>;
pub(super) type MemberPage = Page<MemberView>;
pub(super) type ModelPage = Page<ModelView>;
pub(super) type NotificationPage = Page<NotificationView>;
pub(super) type PlanTemplatePage = Page<PlanTemplate>;
pub(super) type QuarantinePage = Page<QuarantineView>;
pub(super) type RolloutPage = Page<RolloutView>;
pub(super) type RunPage = Page<RunView>;
pub(super) type SilencePage = Page<SilenceView>;
pub(super) type SubscriptionPage = Page<SubscriptionView>;
pub(super) type TimelinePage = Page<TimelineEntry>;
pub(super) type TokenPage = Page<TokenView>;
pub(super) type UserPage = Page<UserView>;
pub(super) type WorkspacePage = Page<WorkspaceView>;
