"""What the hub says and is told: plain JSON with names.

Written by `generate.py` from the hub's OpenAPI document: change that, not this.
"""

from __future__ import annotations

import typing as _t


class Abort(_t.TypedDict, total=False):
    """`POST /rollouts/{id}/abort`."""

    moved: Moved
    """What becomes of devices that were moved."""


class _AccuracyViewRequired(_t.TypedDict):
    accuracy: float
    """Share of right predictions, weighted by the inverse capture probability."""
    high: float
    """Upper end of the 95 % interval."""
    labels: int
    """Labels it stands on."""
    low: float
    """Lower end of the 95 % interval."""
    model: ModelName
    """The model."""
    version: ModelVersion
    """Its version."""


class AccuracyView(_AccuracyViewRequired, total=False):
    """Accuracy of one version at one site (or over all sites), from labels."""

    site: SiteName | None
    """The site; absent: all sites."""


class Acknowledge(_t.TypedDict, total=False):
    """Somebody knows of an alert: it is not told again until it is over."""

    comment: str
    """What they say about it."""


class _AcknowledgedRequired(_t.TypedDict):
    at: WallTime
    """Since when."""
    by: str
    """Who."""


class Acknowledged(_AcknowledgedRequired, total=False):
    """Somebody knows of it."""

    comment: str
    """What they said."""


Against: _t.TypeAlias = _t.Literal["control", "limit", "others"]
"""What a mean is compared with."""


AgentVersion: _t.TypeAlias = str


class _AgreementViewRequired(_t.TypedDict):
    both: int
    """Captures that two people labelled."""
    same: int
    """Those about which they said the same."""


class AgreementView(_AgreementViewRequired, total=False):
    """How far two people agree."""

    kappa: Estimated | None
    """Cohen's kappa: 1 if they always agree, 0 if as often as by chance. Absent where it cannot be said: of
    fewer than two captures, if only one class was ever said, and of numbers, which are the same if they
    differ by no more than a hundredth of the larger one, or of one.
    """


class AlertConditionFinding(_t.TypedDict):
    """Something was found to have moved; each finding is an alert."""

    finding: FindingCondition
    """Something was found to have moved; each finding is an alert."""


class AlertConditionMetric(_t.TypedDict):
    """A quantity is beyond a level."""

    metric: MetricCondition
    """A quantity is beyond a level."""


class AlertConditionSilence(_t.TypedDict):
    """Devices are not heard of."""

    silence: SilenceCondition
    """Devices are not heard of."""


AlertCondition: _t.TypeAlias = "AlertConditionFinding | AlertConditionMetric | AlertConditionSilence"
"""What is looked at."""


class _AlertFactsRequired(_t.TypedDict):
    action: str
    """What to do."""
    devices: int
    """Devices that it is about."""
    evidence: str
    """What that stands on."""
    labels: dict[str, str]
    """Where it is, and what the rule says of it: `rule`, `severity`, `workspace`, and `model`, `site`,
    `version`, `kind`, `attribution` where they are known.
    """
    of_devices: int
    """Of so many."""
    summary: str
    """What is the matter, in a line."""


class AlertFacts(_AlertFactsRequired, total=False):
    """What an alert stands on, as of the last look."""

    finding: int | None
    """The finding that it is about."""
    measured: Measured | None
    """What was measured, if something was."""


class _AlertViewRequired(_t.TypedDict):
    id: AlertId
    """Its number in the hub."""
    rule: RuleName
    """By which rule."""
    severity: AlertSeverity
    """How much of a person's time it is worth."""
    since: WallTime
    """Since when it is so."""
    state: AlertState
    """How it stands."""


class AlertView(AlertFacts, _AlertViewRequired, total=False):
    """An alert."""

    acknowledged: Acknowledged | None
    """Who knows of it."""
    end: str | None
    """Why it was over."""
    fired: WallTime | None
    """Since when it is an alert."""
    resolved: WallTime | None
    """When it was over."""
    silenced_by: SilenceId | None
    """The silence that holds it back."""
    told: WallTime | None
    """When receivers were last told that it goes on."""


class AlertDetail(AlertView):
    """An alert with its history."""

    history: list[AlertEvent]
    """What happened to it, the oldest first."""


class _AlertEventRequired(_t.TypedDict):
    at: WallTime
    """When."""
    what: AlertEventKind
    """What."""


class AlertEvent(_AlertEventRequired, total=False):
    """Something that happened to an alert."""

    text: str
    """More about it."""


AlertEventKind: _t.TypeAlias = _t.Literal["pending", "firing", "told", "acknowledged", "resolved"]
"""What happened to an alert."""


AlertGroup: _t.TypeAlias = _t.Literal["none", "site", "version", "model"]
"""What is judged by itself."""


AlertId: _t.TypeAlias = int


_AlertRuleOptional = _t.TypedDict("_AlertRuleOptional", {
    "action": "str",
    "cool-down": "Span",
    "enabled": "bool",
    "for": "Span",
    "gather": "Span",
    "labels": "dict[str, str]",
    "repeat": "Span | None",
    "resolve-after": "Span",
    "severity": "AlertSeverity",
    "together": "Together",
}, total=False)


class AlertRule(_AlertRuleOptional):
    """A rule."""

    name: RuleName
    """Its name; one of the same name takes its place."""
    when: AlertCondition
    """What is looked at."""


class _AlertRuleViewRequired(_t.TypedDict):
    firing: int
    """Alerts by it that fire."""
    origin: RuleOrigin
    """Where it comes from."""
    pending: int
    """Alerts by it that are pending."""
    rule: AlertRule
    """The rule, with all that it leaves to defaults."""


class AlertRuleView(_AlertRuleViewRequired, total=False):
    """A rule of a workspace."""

    by: str | None
    """Who changed it."""
    updated: WallTime | None
    """When it was last changed."""


AlertSeverity: _t.TypeAlias = _t.Literal["page", "ticket", "info"]
"""How much of a person's time an alert is worth."""


AlertState: _t.TypeAlias = _t.Literal["firing", "pending", "resolved"]
"""How an alert stands."""


class _AttentionRequired(_t.TypedDict):
    devices: int
    """Devices that it is about; 0: it is about the workspace."""
    kind: AttentionKind
    """What kind of thing."""
    remedy: str
    """What to do about it."""
    text: str
    """What is the matter."""


class Attention(_AttentionRequired, total=False):
    """Something that needs a person."""

    command: str | None
    """The command that helps, if there is one."""
    version: VersionRef | None
    """The version that it is about."""


AttentionKind: _t.TypeAlias = _t.Literal["revoked-serving", "failing", "rollout-stopped", "rollout-waits", "alert", "proposal", "frozen", "damaged-blobs", "damaged-database", "undelivered", "quarantine", "development-keys"]
"""What needs a person, the worst first."""


Attribution: _t.TypeAlias = _t.Literal["devices", "sites", "fleet", "version", "mix"]
"""Why something moved, as far as can be told."""


class AuditBreak(_t.TypedDict):
    """Where the audit log is broken."""

    seq: int
    """The entry."""
    text: str
    """What is wrong with it."""


_AuditEntryOptional = _t.TypedDict("_AuditEntryOptional", {
    "after": "Digest | None",
    "before": "Digest | None",
    "from": "str | None",
    "workspace": "WorkspaceId | None",
}, total=False)


class AuditEntry(_AuditEntryOptional):
    """One thing that somebody did."""

    action: str
    """What, as `rollout.start`."""
    actor: str
    """Who, as `user ada`, `token 12 of ada`, `device meter-01`, `hub`, `operator on the machine`."""
    at: WallTime
    """When."""
    detail: str
    """What else is worth knowing, for people; never a secret."""
    hash: Digest
    """Hash over this entry and the hash of the one before it."""
    seq: int
    """1, 2, 3 … without holes."""
    subject: str
    """To what, as `rollout 12`."""


class _AuditVerdictRequired(_t.TypedDict):
    entries: int
    """Entries that were looked at."""
    whole: bool
    """Whether every entry is there and as it was written."""


class AuditVerdict(_AuditVerdictRequired, total=False):
    """Whether the audit log is whole."""

    broken: AuditBreak | None
    """The first entry that is not as it should be, and how."""
    head: Digest | None
    """Hash of the newest entry: who notes it down elsewhere can later prove that nothing before it was changed.
    """


class _AuthorityViewRequired(_t.TypedDict):
    fingerprint: Digest
    """SHA-256 of its certificate."""
    id: str
    """The first 16 hex digits of its certificate's SHA-256."""
    identities: int
    """Active identities whose newest certificate it issued."""
    issues: bool
    """Whether new certificates come from it. One that issues no more is still trusted until it is retired."""
    not_after: WallTime
    """Until when it is valid."""
    not_before: WallTime
    """From when it is valid."""


class AuthorityView(_AuthorityViewRequired, total=False):
    """A certificate authority of the hub."""

    workspace: WorkspaceId | None
    """Whom it issues for; the hub's own if there is none."""


BalanceMethod: _t.TypeAlias = _t.Literal["over", "under"]
"""How classes become as frequent."""


class Base(_t.TypedDict):
    """A version that a delta may start from."""

    onnx: BlobRef
    """Its ONNX file."""
    version: ModelVersion
    """Its number."""


Baseline: _t.TypeAlias = _t.Literal["training", "week-before"]
"""What a time is compared with."""


class Because(_t.TypedDict, total=False):
    """Why something is taken away or refused."""

    reason: str
    """In a person's words; kept in the audit log."""


class _BestRunRequired(_t.TypedDict):
    considered: int
    """Runs that have the metric, and that the filter takes."""
    direction: Direction
    """Which end of it is good."""
    excluded: int
    """Of these, how many do not keep to the constraints, though they were measured."""
    front: list[RunCandidate]
    """Those of which no other is as good in the metric, the latency and the size, and better in one: by the
    metric, best first. Of runs whose model vetting has measured.
    """
    metric: str
    """By which metric."""
    unmeasured: int
    """Of these, how many have no model that vetting has measured."""


class BestRun(_BestRunRequired, total=False):
    """The best run of an experiment."""

    best: RunCandidate | None
    """The best of those that keep to all constraints; none if none does."""


class Between(_t.TypedDict):
    """A mean or a difference of means, with the interval that contains the truth at all times at once with a
    chance of 95 %.
    """

    high: float
    """Upper end."""
    low: float
    """Lower end."""
    mean: float
    """The estimate."""


class _BlobDeliveryRequired(_t.TypedDict):
    blob: BlobRef
    """The blob."""
    chunks: int
    """Chunks that it has."""
    chunks_lost: int
    """Chunks that are still to be sent again because somebody lost them."""
    chunks_sent: int
    """Chunks that were sent at least once in this wave."""
    chunks_waiting: int
    """Chunks that are still to be sent for the first time or for those who join late."""
    devices: int
    """Devices that asked for it in this wave, by MQTT."""
    downloaded_per_s: int
    """Of these, by HTTPS."""
    part: BlobPart
    """What it is."""
    per_s: int
    """Bytes a second over the last seconds, by both ways."""


class BlobDelivery(_BlobDeliveryRequired, total=False):
    """A blob on its way to devices."""

    repeats_per_s: int | None
    """Bytes a second that repeats are held to because devices lose chunks."""
    seconds_left: int | None
    """Seconds until all chunks that wait are sent, at this rate; absent when none wait or nothing moves."""
    version: VersionRef | None
    """Of which version; absent: of none."""


BlobPart: _t.TypeAlias = _t.Literal["manifest", "model", "golden", "reference", "delta", "metadata"]
"""What a blob is of what ships."""


class BlobRef(_t.TypedDict):
    """Name and length of a blob."""

    digest: Digest
    """SHA-256 of its bytes."""
    len: int
    """Its length in bytes."""


class Bound(_t.TypedDict, total=False):
    """What is allowed."""

    certainty: Certainty
    """How sure one must be that it is not more."""
    limit: Share | None
    """So much at all."""
    margin: Share | None
    """So much more than the control."""


class _BudgetedBytesRequired(_t.TypedDict):
    budget: str


class BudgetedBytes(_BudgetedBytesRequired, total=False):
    """What is allowed of something that has a budget."""

    certainty: Certainty
    """How sure one must be that it is not more."""
    limit: Share | None
    """So much at all."""
    margin: Share | None
    """So much more than the control."""


class _BudgetedShareRequired(_t.TypedDict):
    budget: str


class BudgetedShare(_BudgetedShareRequired, total=False):
    """What is allowed of something that has a budget."""

    certainty: Certainty
    """How sure one must be that it is not more."""
    limit: Share | None
    """So much at all."""
    margin: Share | None
    """So much more than the control."""


class _BudgetedSpanRequired(_t.TypedDict):
    budget: str


class BudgetedSpan(_BudgetedSpanRequired, total=False):
    """What is allowed of something that has a budget."""

    certainty: Certainty
    """How sure one must be that it is not more."""
    limit: Share | None
    """So much at all."""
    margin: Share | None
    """So much more than the control."""


Bytes: _t.TypeAlias = str


class _CalendarRequired(_t.TypedDict):
    open: list[OpenHours]
    """Devices are moved only within one of these."""


class Calendar(_CalendarRequired, total=False):
    """Opening hours. A device lives by the zone in its label `zone`, else by [`Self::zone`]."""

    zone: str
    """The zone of devices without a label `zone`, by its name in the time zone database: `Europe/Lisbon`."""


class _CalibrationViewRequired(_t.TypedDict):
    points: list[ReliabilityPoint]
    """The reliability curve, by rising confidence."""


class CalibrationView(_CalibrationViewRequired, total=False):
    """Calibration of a classifier."""

    brier: Estimated | None
    """Brier score of the predicted class."""
    by_chance: float | None
    """What it would be of a perfectly calibrated model with as many labels: chance alone."""
    error: float | None
    """Expected calibration error, 0 to 1."""


class _CandidateCostRequired(_t.TypedDict):
    latency_ms: float
    """Median latency of one sample, in milliseconds."""
    size: int
    """Length of its ONNX file in bytes."""
    version: VersionRef
    """The version."""


class CandidateCost(_CandidateCostRequired, total=False):
    """What a run's model costs a device: of several classes of target the worst."""

    memory: int | None
    """Largest resident memory of a process that loads and runs it, in bytes."""
    p95_ms: float | None
    """The latency that 95 of 100 samples keep to, in milliseconds; versions that were vetted before it was
    measured have none.
    """


class CaptureLimits(_t.TypedDict, total=False):
    """The most that a device captures in any 24 hours."""

    bytes_per_day: int | None
    """So many bytes of inputs."""
    per_day: int | None
    """So many."""


CaptureReason: _t.TypeAlias = _t.Literal["unsure", "random", "drifted", "disagreed", "requested", "asked"]
"""Why an input was captured."""


CaptureRequestState: _t.TypeAlias = _t.Literal["open", "over"]
"""How a request stands."""


class _CaptureRequestViewRequired(_t.TypedDict):
    at: WallTime
    """When it was made."""
    by: str
    """Who made it, as in the audit log."""
    came: int
    """Captures that came for it."""
    count: int
    """How many of each device."""
    devices: int
    """Devices that they came from."""
    id: int
    """Its number."""
    state: CaptureRequestState
    """How it stands."""
    until: WallTime
    """Until when devices are asked."""


class CaptureRequestView(_CaptureRequestViewRequired, total=False):
    """A request for captures."""

    device: DeviceId | None
    """Only this device."""
    model: ModelName | None
    """Only inputs of this model."""
    site: SiteName | None
    """Only devices at this site."""
    slot: SlotName | None
    """Only inputs of this slot."""


class CaptureSummary(_t.TypedDict):
    """What stands for an input that is not kept itself."""

    embedding: list[float]
    """The output that the model calls `embedding`, if it has one."""
    places: list[int]
    """The place of each feature among the bins of the reference profile: 0 under, then each bin, then over, then
    missing.
    """
    signals: list[MeasuredSignal]
    """What was measured of the input as a whole."""


_CaptureViewRequired = _t.TypedDict("_CaptureViewRequired", {
    "at": "WallTime",
    "class": "str",
    "confidence": "float",
    "device": "DeviceId",
    "input": "list[float]",
    "model": "ModelName",
    "prediction": "PredictionId",
    "probability": "float",
    "shape": "list[int]",
    "site": "SiteName",
    "slot": "SlotName",
    "version": "ModelVersion",
})


class CaptureView(_CaptureViewRequired, total=False):
    """A stored input with its prediction and, once known, the truth."""

    no_input: NoInput | None
    """Why `input` is empty, if it is."""
    number: PredictedNumber | None
    """What was predicted, of a model that answers numbers."""
    reasons: list[CaptureReason]
    """Why it was captured; empty if its device did not say."""
    request: int | None
    """For which request."""
    subject: Digest | None
    """Whose input it is: a hash."""
    summary: CaptureSummary | None
    """What stands for an input that is not kept."""
    truth: str | None
    """The right class or number, once somebody said."""


class CapturesKept(_t.TypedDict):
    """`GET /captures/kept`: what is kept of captures."""

    all: KeptCount
    """All of them."""
    days: list[KeptDay]
    """By day (UTC), the newest first, at most 31."""
    devices: list[KeptDevice]
    """Devices that captured most in the last 24 hours, at most 20."""
    more: bool
    """Whether there are older ones that were not counted."""
    reasons: list[KeptOf]
    """By why they were kept, the most first; one that was kept for two reasons counts with both."""
    sites: list[KeptOf]
    """By site, the most first."""
    versions: list[KeptOf]
    """By version of a model, the most first."""


class CategoryCount(_t.TypedDict):
    """How often a category is there."""

    name: str
    """Its name."""
    rows: int
    """Rows."""


class _CauseViewRequired(_t.TypedDict):
    joined: WallTime
    """When it joined the round."""
    since: WallTime
    """About when it began."""
    text: str
    """In a sentence."""


class CauseView(_CauseViewRequired, total=False):
    """Something that calls for a round."""

    finding: int | None
    """The finding that it is."""
    sites: list[SiteName]
    """Sites that it is about."""


Certainty: _t.TypeAlias = _t.Literal["estimate", "proven"]
"""How sure one must be that there is no harm before a gate passes. That there *is* harm must always be proven.
"""


class CertificateView(_t.TypedDict):
    """A certificate."""

    authority: str
    """The authority that issued it: the first 16 hex digits of its certificate's SHA-256."""
    not_after: WallTime
    """Until when it is valid."""
    not_before: WallTime
    """From when it is valid."""
    serial: str
    """Serial number, lower-case hex."""


class Chance(_t.TypedDict):
    """How often something happened, and between what its chance lies (Wilson's interval, 95 %)."""

    high: float
    """The chance at most."""
    low: float
    """The chance at least, from 0 to 1."""
    of: int
    """Of so many."""
    times: int
    """Times."""


class ChangeDevice(_t.TypedDict):
    """A device's state."""

    changed: _t.Literal["device"]
    device: DeviceId
    """Which."""


class ChangeRollout(_t.TypedDict):
    """A rollout."""

    changed: _t.Literal["rollout"]
    id: RolloutId
    """Which."""


class ChangeModel(_t.TypedDict):
    """A model has a new version."""

    changed: _t.Literal["model"]
    model: ModelName
    """Which."""


class ChangeTrust(_t.TypedDict):
    """Signed metadata, or what waits for signatures."""

    changed: _t.Literal["trust"]


class ChangeDelivery(_t.TypedDict):
    """What moves to devices."""

    changed: _t.Literal["delivery"]


class ChangeNotifications(_t.TypedDict):
    """Who is notified, or what became of a notice."""

    changed: _t.Literal["notifications"]


class ChangeAlerts(_t.TypedDict):
    """Alerts, their rules or silences."""

    changed: _t.Literal["alerts"]


class ChangeExperiments(_t.TypedDict):
    """Experiments, or registered models."""

    changed: _t.Literal["experiments"]


class ChangeRuns(_t.TypedDict):
    """Runs of an experiment."""

    changed: _t.Literal["runs"]
    experiment: int
    """Which experiment."""


class ChangeRun(_t.TypedDict):
    """What a run is or logged."""

    changed: _t.Literal["run"]
    run: str
    """Which."""


class ChangeRetraining(_t.TypedDict):
    """Retraining of a model: its policy, its round, what people are asked."""

    changed: _t.Literal["retraining"]
    model: ModelName
    """Which."""


class ChangeJob(_t.TypedDict):
    """A job."""

    changed: _t.Literal["job"]
    id: JobId
    """Which."""


class ChangeComputes(_t.TypedDict):
    """Computes, or the order in which jobs wait."""

    changed: _t.Literal["computes"]


class ChangeDatasets(_t.TypedDict):
    """Datasets, or where their files are from."""

    changed: _t.Literal["datasets"]


class ChangeTelemetry(_t.TypedDict):
    """Telemetry or labels were stored."""

    at: WallTime
    """When."""
    changed: _t.Literal["telemetry"]


Change: _t.TypeAlias = "ChangeDevice | ChangeRollout | ChangeModel | ChangeTrust | ChangeDelivery | ChangeNotifications | ChangeAlerts | ChangeExperiments | ChangeRuns | ChangeRun | ChangeRetraining | ChangeJob | ChangeComputes | ChangeDatasets | ChangeTelemetry"
"""`GET /stream`, server-sent events: something changed; ask the API for what. The SSE event's name is the
variant's, its data this as JSON.
"""


class ChangePassword(_t.TypedDict):
    """Changes the password."""

    new: str
    """The one from now on, at least 12 characters."""
    old: str
    """The one that is good until now."""


Channel: _t.TypeAlias = _t.Literal["webhook", "email", "alertmanager"]
"""By which way notices go."""


Channels: _t.TypeAlias = _t.Literal["last", "first"]
"""Where an image has its channels."""


_ChartRequired = _t.TypedDict("_ChartRequired", {
    "from": "WallTime",
    "metric": "Metric",
    "series": "list[Series]",
    "step_ms": "int",
    "unit": "str",
})


class Chart(_ChartRequired):
    """A chart: series on one time axis, evenly spaced."""


_ChoiceRequired = _t.TypedDict("_ChoiceRequired", {
    "class": "str",
})


class Choice(_ChoiceRequired, total=False):
    """A class to choose."""

    key: str | None
    """The key that chooses it; of many classes the last have none."""


Chosen: _t.TypeAlias = _t.Literal["lot", "value", "disagreement"]
"""Why a capture is asked about."""


_ClassChangeRequired = _t.TypedDict("_ClassChangeRequired", {
    "from": "int",
    "to": "int",
})


class ClassChange(_ClassChangeRequired):
    """Rows of a class, in one version and another."""


_ClassRatesRequired = _t.TypedDict("_ClassRatesRequired", {
    "class": "str",
    "labels": "int",
    "predicted": "int",
})


class ClassRates(_ClassRatesRequired, total=False):
    """How one class does."""

    f1: Estimated | None
    """Both in one."""
    precision: Estimated | None
    """Of those predicted to be of this class, the share that is."""
    recall: Estimated | None
    """Of those of this class, the share that was found."""


class ClassTruth(_t.TypedDict):
    """How right a classifier is. Each label weighs as much as the inverse of the probability with which its
    input was captured.
    """

    accuracy: Estimated
    """Share of right predictions."""
    calibration: CalibrationView
    """Whether the model is as sure as it is right."""
    confusion: list[ConfusionCell]
    """Pairs of truth and prediction that have labels."""
    macro_f1: float
    """Mean F1 of the classes that were predicted or true."""
    rates: list[ClassRates]
    """Each class that was predicted or true, in the order of the manifest."""


Clock: _t.TypeAlias = str


class Code(_t.TypedDict):
    """A code of the second factor."""

    code: str
    """Six digits."""


ColumnKind: _t.TypeAlias = _t.Literal["number", "category"]
"""What values of a column are."""


class _ColumnStatisticsRequired(_t.TypedDict):
    count: int
    """Values that are there."""
    missing: int
    """Values that are missing."""
    name: str
    """Its name."""


class ColumnStatistics(_ColumnStatisticsRequired, total=False):
    """What values of a column are like, over all splits."""

    categories: list[CategoryCount]
    """Of categories: how often each, the most frequent first, 64 at most."""
    number: NumberStatistics | None
    """Of numbers."""


ComputeKind: _t.TypeAlias = _t.Literal["local", "ray", "kubernetes"]
"""What a compute is."""


ComputeName: _t.TypeAlias = str


class ComputeScaling(_t.TypedDict):
    """How a compute grows and shrinks."""

    idle_after: int
    """How long less has to be wanted before there is less, in seconds."""
    max: int
    """More than so many never are."""
    min: int
    """So many units are there always."""
    up_after: int
    """How long more has to be wanted before there is more, in seconds."""


class _ComputeSettingsRequired(_t.TypedDict):
    kind: ComputeKind
    """What it is."""


class ComputeSettings(_ComputeSettingsRequired, total=False):
    """`PUT /computes/{name}`: a place where jobs run. Of `local` only `paused` and `scaling` can be set."""

    ca: str | None
    """Authorities that vouch for it, as PEM; those that the machine trusts unless given."""
    kubernetes: KubernetesSettings | None
    """Of a Kubernetes cluster."""
    paused: bool
    """Whether nothing new starts there."""
    scaling: ComputeScaling | None
    """How many units it has."""
    token: ComputeToken | None
    """How the hub shows who it is. Left out at a change: as before."""
    tracking: bool
    """Whether jobs there get a token for tracking even if the cluster shows it to others, as Ray does."""
    unit: JobResources | None
    """What one of its units has: a slot, a machine."""
    url: str | None
    """Where it answers, as `https://HOST:PORT`."""


class ComputeTokenToken(_t.TypedDict):
    """By this token."""

    token: str
    """By this token."""


class ComputeTokenFile(_t.TypedDict):
    """By the token in this file of the hub's machine, which is read each time."""

    file: str
    """By the token in this file of the hub's machine, which is read each time."""


ComputeToken: _t.TypeAlias = "ComputeTokenToken | ComputeTokenFile"
"""How the hub shows a cluster who it is. Never shown again."""


class _ComputeViewRequired(_t.TypedDict):
    kind: ComputeKind
    """What it is."""
    name: ComputeName
    """Its name."""
    paused: bool
    """Whether nothing new starts there."""
    running: int
    """Attempts that were given to it and have not ended, of all workspaces."""
    scaling: ComputeScaling
    """How it grows and shrinks."""
    token: bool
    """Whether the hub shows who it is."""
    tracking: bool
    """Whether jobs there get a token for tracking even if the cluster shows it to others."""
    unit: JobResources
    """What one of its units has."""
    units: int
    """How many units it has now."""
    used: JobResources
    """What those that run take."""
    waiting: int
    """Jobs that wait for it, of all workspaces."""


class ComputeView(_ComputeViewRequired, total=False):
    """A place where jobs run, and how it stands."""

    ca: str | None
    """Authorities that vouch for it, as PEM."""
    kubernetes: KubernetesSettings | None
    """Of a Kubernetes cluster."""
    trouble: str | None
    """What is wrong with it, if something is."""
    url: str | None
    """Where it answers."""


class Confirm(_t.TypedDict):
    """Shows the password again before something dangerous."""

    password: str
    """The account's password."""


class ConfusionCell(_t.TypedDict):
    """One cell of the confusion matrix."""

    labels: int
    """Labels."""
    predicted: str
    """What was predicted."""
    share: float
    """Share of the predictions of this truth."""
    truth: str
    """What was true."""
    weight: float
    """Predictions of the fleet that they stand for."""


_ConsequencesOptional = _t.TypedDict("_ConsequencesOptional", {
    "fail": "OnFail",
    "inconclusive": "OnInconclusive",
    "pass": "OnPass",
}, total=False)


class Consequences(_ConsequencesOptional):
    """What follows from verdicts."""


Counted: _t.TypeAlias = _t.Literal["feature", "signal", "prediction", "confidence", "margin"]
"""What a histogram counts."""


class _CountedDistanceRequired(_t.TypedDict):
    counted: Counted
    """What is counted."""
    jensen_shannon: Interval
    """Jensen–Shannon distance, 0 to 1."""
    n: int
    """Values counted."""
    psi: Interval
    """Population stability index, 0 and up."""


class CountedDistance(_CountedDistanceRequired, total=False):
    """How far one histogram is from what it is compared with."""

    cramers_v: Interval | None
    """Cramér's V, 0 to 1; of classes."""
    kolmogorov_smirnov: Interval | None
    """Kolmogorov–Smirnov on the bins, 0 to 1; of what has an order."""
    missing: float | None
    """Share of values that are missing, of features and signals."""
    name: str
    """Name of the feature or signal; empty else."""
    repeated: float | None
    """Share of values that were those of the inference before, of features."""


class _CoverageRequired(_t.TypedDict):
    held: Estimated
    """How often they did."""


class Coverage(_CoverageRequired, total=False):
    """How often predicted intervals held the truth."""

    promised: float | None
    """How often they promise to, by the names of the outputs; absent if those no longer say so."""


class _CredentialsRequired(_t.TypedDict):
    authorities: str
    """The authorities that vouch for the hub: PEM, one or more."""
    certificate: str
    """Its certificate, and those between it and the authority: PEM, leaf first."""
    device: DeviceId
    """Its id."""
    https: list[str]
    """Where the hub's HTTPS is, as `https://HOST:PORT`, best first."""
    mqtt: list[str]
    """Where the broker is, as `HOST:PORT`, best first."""
    not_after: WallTime
    """Until when the certificate is valid."""
    not_before: WallTime
    """From when the certificate is valid."""
    workspace: WorkspaceId
    """Its workspace."""


class Credentials(_CredentialsRequired, total=False):
    """What a device needs to speak."""

    broker_authorities: str | None
    """The authorities that vouch for the broker, if they are others: PEM, one or more."""
    labels: dict[str, str]
    """The labels that it is bound to."""
    root: str | None
    """The root of the signed metadata, as JSON text: what a device pins when it joins."""
    site: SiteName | None
    """The site that it is bound to."""


_DatasetBuildOptional = _t.TypedDict("_DatasetBuildOptional", {
    "base": "DatasetPick | None",
    "classes": "list[str]",
    "from": "WallTime | None",
    "held_out": "Share | None",
    "keep_out": "Share",
    "new_schema": "bool",
    "sites": "list[SiteName]",
    "sources": "list[LabelSource]",
    "to": "WallTime | None",
    "until": "WallTime | None",
    "without": "list[DeviceId]",
}, total=False)


class DatasetBuild(_DatasetBuildOptional):
    """Labelled captures of a model."""

    model: ModelName
    """Of this model."""


class _DatasetColumnRequired(_t.TypedDict):
    name: str
    """Its name."""
    type: ColumnKind
    """What its values are."""


class DatasetColumn(_DatasetColumnRequired, total=False):
    """A feature."""

    categories: list[str]
    """Its categories, in the order of their places. Those of the version before come first."""


class _DatasetDetailRequired(_t.TypedDict):
    children: list[DatasetView]
    """Versions that were made of it."""
    dataset: DatasetView
    """In short."""
    order: DatasetOrder
    """What was asked for."""
    trained: list[VersionRef]
    """Versions of models that were trained on it."""


class DatasetDetail(_DatasetDetailRequired, total=False):
    """A version of a dataset."""

    manifest: DatasetManifest | None
    """What it is, once it is done."""


_DatasetDiffRequired = _t.TypedDict("_DatasetDiffRequired", {
    "added": "SplitCounts",
    "classes": "dict[str, ClassChange]",
    "common": "int",
    "from": "DatasetView",
    "relabelled": "int",
    "removed": "SplitCounts",
    "schema": "list[str]",
    "to": "DatasetView",
})


class DatasetDiff(_DatasetDiffRequired):
    """What sets two versions apart."""


class DatasetFile(_t.TypedDict):
    """A file of a version, as it is written out."""

    digest: Digest
    """SHA-256 of its bytes."""
    len: int
    """How many."""


DatasetId: _t.TypeAlias = int


class _DatasetImportRequired(_t.TypedDict):
    files: list[ImportFile]
    """The files; all have the same columns."""
    label: str
    """The column with the truth."""


class DatasetImport(_DatasetImportRequired, total=False):
    """Files, Parquet or CSV; which, their first bytes tell."""

    features: list[str]
    """Columns that are features although they are called as one of the hub's own: `id`, `device`, `site`, `at`,
    `source`, `weight`, `label` or `input`. In the version they are called `feature_weight` and so on.
    """
    held_out: Share | None
    """Share of the rows to be held out, of files that name no split."""
    new_schema: bool
    """Columns, kind of truths and classes may be others than in the version before."""
    numbers: bool | None
    """Whether truths are numbers; by default, if all are and there are more than 20 different ones or some are
    fractions.
    """
    tensor: TensorForm | None
    """What models get: the columns beside the label as elements of a tensor, or a column `input` with its bytes.
    Without, each column is a feature of a table.
    """


class TensorForm(_t.TypedDict):
    """A tensor without its batch."""

    dtype: Dtype
    """Element type."""
    name: str
    """Name of the input."""
    shape: list[int]
    """Dimensions."""


class DatasetInputTensor(TensorForm):
    """A tensor."""

    kind: _t.Literal["tensor"]


class DatasetInputTable(_t.TypedDict):
    """A value a column. A device sends it as floats in this order, a category as its place in the list, and a
    value that is missing as NaN.
    """

    columns: list[DatasetColumn]
    """The columns."""
    kind: _t.Literal["table"]


DatasetInput: _t.TypeAlias = "DatasetInputTensor | DatasetInputTable"
"""What a model gets of a row."""


class DatasetLabelClasses(_t.TypedDict):
    """One of these classes."""

    classes: list[str]
    """In the order of the model's output."""
    kind: _t.Literal["classes"]


class DatasetLabelNumber(_t.TypedDict):
    """A number."""

    kind: _t.Literal["number"]


DatasetLabel: _t.TypeAlias = "DatasetLabelClasses | DatasetLabelNumber"
"""What is true of a row."""


class _DatasetManifestRequired(_t.TypedDict):
    files: dict[str, DatasetFile]
    """Its files."""
    id: DatasetId
    """Its number in the hub."""
    input: DatasetInput
    """What a model gets."""
    label: DatasetLabel
    """What is true."""
    made_from: MadeFrom
    """What it was made from."""
    name: DatasetName
    """The dataset."""
    number: int
    """Which version of it."""
    parents: list[DatasetId]
    """Versions that its rows are from."""
    splits: DatasetSplits
    """What rows are for."""
    statistics: DatasetStatistics
    """What is in it."""


class DatasetManifest(_DatasetManifestRequired, total=False):
    """What a version is: `dataset.json`. Its digest names the version."""

    model: ModelName | None
    """The model whose captures are in it."""
    prepared: Prepared | None
    """How it was prepared."""


DatasetName: _t.TypeAlias = str


class DatasetOrderBuild(_t.TypedDict):
    """Labelled captures, and a version that there is."""

    build: DatasetBuild
    """Labelled captures, and a version that there is."""


_DatasetOrderImportRequired = _t.TypedDict("_DatasetOrderImportRequired", {
    "import": "DatasetImport",
})


class DatasetOrderImport(_DatasetOrderImportRequired):
    """Files."""


class DatasetOrderPrepare(_t.TypedDict):
    """A version that there is, cleaned and made into features."""

    prepare: DatasetPrepare
    """A version that there is, cleaned and made into features."""


DatasetOrder: _t.TypeAlias = "DatasetOrderBuild | DatasetOrderImport | DatasetOrderPrepare"
"""Of what a version is made."""


DatasetPick: _t.TypeAlias = str


class DatasetPrepare(_t.TypedDict):
    """Another form of a version."""

    base: DatasetPick
    """Of which version."""
    preparation: Preparation
    """What is done to it."""


class _DatasetRowRequired(_t.TypedDict):
    at: WallTime
    """When."""
    device: str
    """Where it was captured; empty if it was not."""
    id: str
    """Of the capture, or of the row."""
    label: str
    """What is true."""
    site: str
    """At which site."""
    source: str
    """Where its truth is from."""
    values: list[float | None]
    """The elements of a tensor, or the values of a table as devices send them; nothing where there is none."""
    weight: float
    """The inverse of the probability with which it was captured; 0 of one that no estimate counts, 1 of one that
    was not captured.
    """


class DatasetRow(_DatasetRowRequired, total=False):
    """Some rows of a version, to look at."""

    categories: dict[str, str]
    """Categories of a table, by column."""


class _DatasetRowsRequired(_t.TypedDict):
    splits: SplitCounts
    """By what they are for."""


class DatasetRows(_DatasetRowsRequired, total=False):
    """How many rows there are of what."""

    as_called: list[str]
    """Columns of files that were taken as what they are called (`weight`, `site`, …), and are no features."""
    classes: dict[str, int]
    """Those to train on, by class, also classes of which there is none; empty if truths are numbers."""
    different: int | None
    """How many different numbers there are to train on, at most 2, if truths are numbers."""


class DatasetSplit(_t.TypedDict):
    """Rows that are for the same."""

    files: list[str]
    """Where they are; no file without rows."""
    rows: int
    """How many."""


_DatasetSplitsRequired = _t.TypedDict("_DatasetSplitsRequired", {
    "held-out": "DatasetSplit",
    "kept-out": "DatasetSplit",
    "train": "DatasetSplit",
})


class DatasetSplits(_DatasetSplitsRequired):
    """What rows are for."""


DatasetState: _t.TypeAlias = _t.Literal["running", "done", "failed", "stopped", "removed"]
"""How far a version has come."""


class _DatasetStatisticsRequired(_t.TypedDict):
    columns: list[ColumnStatistics]
    """By column; of a tensor all of its elements are one."""
    devices: int
    """How many devices."""
    sites: dict[str, SplitCounts]
    """Rows by site; those without are under an empty name."""
    sources: dict[str, int]
    """Rows by where their truth is from."""


class DatasetStatistics(_DatasetStatisticsRequired, total=False):
    """What is in a version."""

    classes: dict[str, SplitCounts]
    """Rows by class."""
    numbers: ColumnStatistics | None
    """Truths that are numbers."""


class _DatasetViewRequired(_t.TypedDict):
    at: WallTime
    """When."""
    by: str
    """Who asked for it, as in the audit log."""
    bytes: int
    """Bytes of its files."""
    how: str
    """Whether it is built, imported or prepared."""
    id: DatasetId
    """Its number in the hub."""
    name: DatasetName
    """The dataset."""
    number: int
    """Which version of it."""
    state: DatasetState
    """How far it has come."""


class DatasetView(_DatasetViewRequired, total=False):
    """A version of a dataset, in short."""

    again: bool
    """Whether it may help to ask again, where it failed."""
    base: DatasetId | None
    """The version that it began with."""
    digest: Digest | None
    """Its digest, once it is done."""
    finished: WallTime | None
    """When it was done, or not."""
    key: str | None
    """The key under which it was asked for."""
    model: ModelName | None
    """The model whose captures are in it."""
    reason: str | None
    """Why it failed."""
    rows: DatasetRows | None
    """What is in it, once it is done."""
    untrainable: str | None
    """Why nothing can be trained on it, if nothing can."""
    withdrawn: Withdrawn | None
    """Why nothing is to be trained on it any more."""


DatastoreName: _t.TypeAlias = str


class DatastorePlaceDirectory(_t.TypedDict):
    """A directory of the hub's machine, below one that its operator allows."""

    kind: _t.Literal["directory"]
    path: str
    """Which."""


class DatastorePlaceHttp(_t.TypedDict):
    """What is below an address."""

    kind: _t.Literal["http"]
    url: str
    """The address, without name and password."""


class _DatastorePlaceS3Required(_t.TypedDict):
    bucket: str
    """Its name."""
    kind: _t.Literal["s3"]


class DatastorePlaceS3(_DatastorePlaceS3Required, total=False):
    """A bucket of Amazon S3, or of a service that speaks the same."""

    endpoint: str | None
    """Where a service of one's own answers, as `https://minio.example`; Amazon's address of the region if unset.
    """
    key_id: str | None
    """The id of the key that signs requests; they are not signed if unset. Its secret is the datastore's
    `token`.
    """
    prefix: str
    """What the names of its files begin with; a `/` is put between that and a path."""
    region: str
    """Its region, which signatures name; `us-east-1` if unset."""


DatastorePlace: _t.TypeAlias = "DatastorePlaceDirectory | DatastorePlaceHttp | DatastorePlaceS3"
"""Where files to import are."""


class DatastoreView(_t.TypedDict):
    """A datastore."""

    at: WallTime
    """When."""
    by: str
    """Who made it."""
    name: DatastoreName
    """Its name."""
    place: DatastorePlace
    """Where it is."""
    token: bool
    """Whether the hub has a token or a secret for it."""


Day: _t.TypeAlias = _t.Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""A day of the week."""


class DecidedOn(_t.TypedDict):
    """Devices when something was decided. Each counts once, by its final outcome."""

    admitted: int
    """Admitted: to have the version."""
    confirmed: int
    """Of those: serving it for good."""
    control: int
    """Kept as control."""
    failed: int
    """Of those: refused it, or fell back."""
    lost: int
    """Of those: began to fetch and were not heard of in time."""
    selected: int
    """Selected."""


class _DecisionRequired(_t.TypedDict):
    at: WallTime
    """When."""
    devices: DecidedOn
    """Devices by where they were."""
    number: int
    """1, 2, 3 …"""
    sentence: str
    """It and its reason as a sentence."""
    stage: int
    """In which stage, from 1; 0 before the first."""
    what: Deed
    """What."""


class Decision(_DecisionRequired, total=False):
    """Something that a rollout or a person decided about it."""

    by: str | None
    """Who, if it was a person."""
    gates: list[GateVerdict]
    """What the gates said."""


Deed: _t.TypeAlias = _t.Literal["start", "advance", "ask", "approve", "hold", "stop", "release", "complete", "pause", "resume", "abort"]
"""What was decided."""


class _DeletionProofRequired(_t.TypedDict):
    confirmed: int
    """Of these, those that said that they did."""
    devices: int
    """Devices that have to forget it too."""
    entry: int
    """The entry of the audit log."""
    hash: Digest
    """Its hash, over this entry and all before it."""
    left: int
    """Captures and truths that the hub has of what was deleted: 0."""
    too_old: int
    """Of these, those whose agent is too old to be told."""
    whole: bool
    """Whether the entry is of this receipt, and it and all entries after it are as they were written."""


class DeletionProof(_DeletionProofRequired, total=False):
    """Whether what a receipt says holds."""

    broken: str | None
    """What is wrong, if anything is."""


class _DeletionReceiptRequired(_t.TypedDict):
    at: WallTime
    """When."""
    by: str
    """Who, as in the audit log."""
    captures: int
    """Captures that the hub had."""
    digest: Digest
    """SHA-256 over a line each, in order: of a capture its device, prediction and the SHA-256 of its input as it
    was stored, of a truth its device, prediction and class, or number.
    """
    id: int
    """Its number."""
    labels: int
    """Truths that the hub had."""
    reason: str
    """Why."""


class DeletionReceipt(_DeletionReceiptRequired, total=False):
    """What was deleted. Its JSON is what the audit log holds the digest of."""

    datasets: list[str]
    """Versions of datasets that held some of it, and were withdrawn."""
    device: DeviceId | None
    """Of which device."""
    predictions: list[PredictionId]
    """Only these predictions; all of the device if empty."""
    subject: Digest | None
    """Of which subject."""


class _DeletionViewRequired(_t.TypedDict):
    receipt: DeletionReceipt
    """What was deleted."""


class DeletionView(_DeletionViewRequired, total=False):
    """A deletion, and whether it holds."""

    proof: DeletionProof | None
    """Whether that holds; absent in lists."""


class _DeliveryLimitsRequired(_t.TypedDict):
    downloads: int
    """Downloads by HTTPS at a time."""


class DeliveryLimits(_DeliveryLimitsRequired, total=False):
    """Bytes a second that may leave, and downloads; absent: no limit."""

    blob_per_s: int | None
    """Of each blob."""
    hub_per_s: int | None
    """In all, by MQTT and HTTPS."""
    site_per_s: int | None
    """For the devices of each site."""


class DeliveryView(_t.TypedDict):
    """`GET /delivery`: what leaves the hub for devices, now and before."""

    broker_inside: bool
    """Whether the broker that fans chunks out to devices is part of this hub: then each device's copy still
    leaves by the hub's own network.
    """
    limits: DeliveryLimits
    """What it may not exceed."""
    metadata: Moving
    """Signed metadata, which devices fetch in the same way."""
    now: list[BlobDelivery]
    """Blobs that devices wait for, or that moved within the last seconds; the busiest first."""
    totals: Moving
    """All of the workspace, since the hub keeps count."""
    versions: list[VersionDelivery]
    """Versions by the time at which something of them last moved, newest first."""


DeltaState: _t.TypeAlias = _t.Literal["pending", "ready", "not-worth-it", "skipped", "evicted", "failed"]
"""What became of a delta."""


class _DeltaViewRequired(_t.TypedDict):
    base: ModelVersion
    """The version that it starts from."""
    full_bytes: int
    """The length of the file that travels without it."""
    state: DeltaState
    """What became of it."""


class DeltaView(_DeltaViewRequired, total=False):
    """A delta: what makes the ONNX file of a version from that of another."""

    bytes: int | None
    """Its length in bytes, once it was computed."""
    ratio: float | None
    """Its length over that, once it was computed."""
    reason: str
    """Why it is not there; empty if it is."""
    took_ms: int | None
    """How long it took to compute, in milliseconds."""


class Deltas(_t.TypedDict):
    """What came of deltas, since the agent started."""

    applied: int
    """Files that were made by one."""
    bytes_saved: int
    """Bytes that did not travel for it: the length of those files less that of their deltas."""
    failed: int
    """Deltas that were of no use; the whole file was fetched."""


Detector: _t.TypeAlias = _t.Literal["drift", "departure"]
"""How something was found."""


_DeviceGroupOptional = _t.TypedDict("_DeviceGroupOptional", {
    "bytes-per-s": "int",
    "errors": "Rate",
    "inferences": "int",
    "labels": "float",
    "online": "Online",
    "other": "Rate",
    "over-memory": "Rate",
    "platform": "str",
    "refuses": "Share",
    "restarts": "float",
    "site": "SiteName",
    "slow": "Rate",
    "window": "Span",
    "wrong": "Rate",
}, total=False)


class DeviceGroup(_DeviceGroupOptional):
    """Devices that have something in common."""

    count: int
    """How many."""


DeviceId: _t.TypeAlias = str


class _DeviceViewRequired(_t.TypedDict):
    agent: str
    """Version of its agent."""
    desired_revision: Revision
    """The revision that the hub wants."""
    first_seen: WallTime
    """When it was first heard of."""
    health: Health
    """One word for a person."""
    health_reason: str
    """Why it is not healthy; empty if it is."""
    id: DeviceId
    """Its id."""
    inferences: int
    """Inferences that the hub has counted from its windows, ever."""
    labels: dict[str, str]
    """What it is."""
    last_seen: WallTime
    """When it was last heard of."""
    malformed: int
    """MQTT messages that it could not read, since its boot."""
    online: bool
    """Connected."""
    outbox: OutboxReport
    """Its outbox."""
    platform: Platform
    """What it runs on."""
    reported_revision: Revision
    """The revision that the device acted on."""
    resources: Resources
    """What it has left."""
    site: SiteName
    """Where it is."""
    slots: list[SlotView]
    """Its slots."""
    windows: int
    """Windows stored from it, ever."""


class DeviceView(_DeviceViewRequired, total=False):
    """A device."""

    deltas: Deltas | None
    """What came of deltas since its agent started; none if there were none."""
    trust: Trust | None
    """Which signed metadata it goes by; none if it has not said."""


Digest: _t.TypeAlias = str


Direction: _t.TypeAlias = _t.Literal["max", "min"]
"""Which end of a metric is good."""


_DistancesViewRequired = _t.TypedDict("_DistancesViewRequired", {
    "baseline": "Baseline",
    "from": "WallTime",
    "model": "ModelName",
    "places": "list[PlaceDistances]",
    "to": "WallTime",
    "version": "ModelVersion",
})


class DistancesView(_DistancesViewRequired):
    """Distances of a version's inputs and answers over a time."""


Doubt: _t.TypeAlias = _t.Literal["no-clock", "future", "impossible"]
"""Why the time of a window is not believed."""


class Draft(_t.TypedDict):
    """A document that waits for signatures."""

    document: str
    """The document with its signatures so far, as JSON text."""
    signed_by: list[str]
    """Names of the keys that signed it."""


class Drift(_t.TypedDict, total=False):
    """What comes and goes for all devices alike, once a day: nothing at midnight UTC, all of it at noon."""

    errors: Share
    """More inferences that end in an error."""
    slow: Share
    """More inferences over the latency budget."""
    wrong: Share
    """More predictions that are wrong."""


Dtype: _t.TypeAlias = _t.Literal["f32", "f64", "i32", "i64", "u8"]
"""Element types that models take and give."""


_EffectOptional = _t.TypedDict("_EffectOptional", {
    "after": "Span",
    "devices": "Share",
    "errors": "Share",
    "over-memory": "Share",
    "platform": "str | None",
    "refuses": "bool",
    "restarts": "Span | None",
    "silent": "bool",
    "slower": "float",
    "wrong": "Share",
}, total=False)


class Effect(_EffectOptional):
    """What a version does to devices that have it. Without anything it does no harm."""


EncodeMethod: _t.TypeAlias = _t.Literal["one-hot", "ordinal"]
"""How categories become numbers."""


EstimateBasis: _t.TypeAlias = _t.Literal["reference", "labels"]
"""What an estimate without labels stands on."""


class _EstimateViewRequired(_t.TypedDict):
    agreed: int
    """Those on which both agree: their intervals overlap."""
    compared: int
    """Days on which there was an estimate and a truth."""
    days: list[EstimatedDay]
    """Days with predictions, the oldest first."""
    quantity: EstimatedQuantity
    """What is estimated."""


class EstimateView(_EstimateViewRequired, total=False):
    """Estimates without labels, and how far off they were each time truth arrived."""

    lacks: str | None
    """Why nothing is, if so."""
    mean_bias: float | None
    """By how much they were larger than the truth in the mean."""
    mean_error: float | None
    """How far the estimates were off in the mean, whichever way."""


class Estimated(_t.TypedDict):
    """A quantity with its 95 % interval."""

    high: float
    """Upper end."""
    low: float
    """Lower end."""
    n: int
    """Samples that it stands on."""
    value: float
    """As estimated."""


_EstimatedDayRequired = _t.TypedDict("_EstimatedDayRequired", {
    "from": "WallTime",
    "predictions": "int",
})


class EstimatedDay(_EstimatedDayRequired, total=False):
    """One day."""

    basis: EstimateBasis | None
    """On what."""
    estimate: Estimated | None
    """What is estimated; absent where there is nothing to stand on."""
    off: float | None
    """Estimate less truth."""
    truth: Estimated | None
    """What labels say of the same day, once there are some."""


EstimatedQuantity: _t.TypeAlias = _t.Literal["accuracy", "mean-absolute-error"]
"""What is estimated."""


class _EventViewRequired(_t.TypedDict):
    at: WallTime
    """When, repaired by the hub's clock."""
    device: DeviceId
    """On which device."""
    kind: str
    """What: `started`, `fetching`, `verified`, `vetted`, `serving`, `rejected`, `swapped-back` …"""
    text: str
    """Details."""


class EventView(_EventViewRequired, total=False):
    """Something that happened on a device."""

    slot: SlotName | None
    """In which slot."""
    version: VersionRef | None
    """With which version."""


class _EvidenceViewRequired(_t.TypedDict):
    decisions: list[Decision]
    """What was decided, the oldest first."""
    devices: DecidedOn
    """Devices by where they are."""
    gates: list[GateVerdict]
    """What each gate says now."""
    waiting: int
    """Devices whose turn it is, and which pace, calendar or budget let wait."""


class EvidenceView(_EvidenceViewRequired, total=False):
    """What a rollout knows and decided."""

    lacking: str | None
    """What the stage as a whole still lacks, in words."""
    looks: list[Look]
    """How evidence grew, the oldest first."""
    since: WallTime | None
    """When its stage began; absent before the first."""


class _ExperimentViewRequired(_t.TypedDict):
    created: WallTime
    """When it was made."""
    id: int
    """Its number; 0 is `Default`."""
    name: str
    """Its name."""
    running: int
    """Of these, how many run now."""
    runs: int
    """Runs that are there."""


class ExperimentView(_ExperimentViewRequired, total=False):
    """An experiment."""

    last_run: WallTime | None
    """When the last one began."""
    tags: dict[str, str]
    """What is said of it."""


Expression: _t.TypeAlias = str


class FillConstant(_t.TypedDict):
    """This number."""

    constant: float
    """This number."""


class FillCategory(_t.TypedDict):
    """This category."""

    category: str
    """This category."""


Fill: _t.TypeAlias = "_t.Literal[\"drop\"] | _t.Literal[\"mean\"] | _t.Literal[\"median\"] | FillConstant | FillCategory"
"""What becomes of values that are missing."""


class Finding(_t.TypedDict):
    """One thing that is wrong with a model."""

    check: str
    """Which check found it: `parse`, `operator`, `shape`, `dtype`, `optimise`, `golden`, `reference`,
    `manifest`.
    """
    message: str
    """What is wrong."""
    remedy: str
    """What to do."""
    subject: str
    """Operator, input, output or sample that it is about."""


_FindingConditionOptional = _t.TypedDict("_FindingConditionOptional", {
    "attributions": "list[Attribution]",
    "kinds": "list[FindingKind]",
    "min-share": "Share | None",
    "model": "ModelName | None",
}, total=False)


class FindingCondition(_FindingConditionOptional):
    """Which findings."""


FindingEnd: _t.TypeAlias = _t.Literal["recovered", "accepted", "explained", "silent"]
"""How a finding ended."""


FindingKind: _t.TypeAlias = _t.Literal["input", "quality", "prediction", "confidence", "errors"]
"""What moved."""


class FindingPlaceVersion(_t.TypedDict):
    """Devices since they have this version."""

    version: ModelVersion
    """Devices since they have this version."""


class FindingPlaceSite(_t.TypedDict):
    """A site."""

    site: SiteName
    """A site."""


class FindingPlaceDevice(_t.TypedDict):
    """A device."""

    device: DeviceId
    """A device."""


FindingPlace: _t.TypeAlias = "_t.Literal[\"fleet\"] | FindingPlaceVersion | FindingPlaceSite | FindingPlaceDevice"
"""Where something moved."""


class _FindingViewRequired(_t.TypedDict):
    advice: str
    """Why, as far as can be told, and what to do."""
    attribution: Attribution
    """Why, as far as can be told."""
    detector: Detector
    """How it was found."""
    devices: int
    """Devices of its places that were heard of late."""
    id: int
    """Its number in the workspace."""
    kind: FindingKind
    """What moved."""
    model: ModelName
    """The model."""
    moved: list[MovedView]
    """What moved by how much, the largest first."""
    of_devices: int
    """Devices that were heard of late in all, of this slot and model."""
    opened: WallTime
    """When it was found."""
    places: list[FindingPlace]
    """Where: one place, or several of one sort."""
    samples: int
    """About how many inferences it stands on."""
    since: WallTime
    """About when it began."""
    slot: SlotName
    """The slot whose model it is about."""
    text: str
    """What was found, in a sentence."""


class FindingView(_FindingViewRequired, total=False):
    """Something that moved."""

    accepted_by: str | None
    """Who said that this is usual from now on."""
    closed: WallTime | None
    """When it ended; absent while it goes on."""
    end: FindingEnd | None
    """How it ended."""
    explained_by: int | None
    """The finding that says more, if it ended for that."""
    version: ModelVersion | None
    """The version it is attributed to, if it is to one."""
    years: float | None
    """Once in how many years chance alone would make an alarm like this, anywhere in what is watched of this
    model; absent of departures, which are no matter of chance.
    """


class Freeze(_t.TypedDict):
    """Nothing is moved in a workspace until a person thaws it."""

    by: str
    """By whom."""
    reason: str
    """Why; empty if nobody said."""
    since: WallTime
    """Since when."""


_GateServeFailureRequired = _t.TypedDict("_GateServeFailureRequired", {
    "serve-failure": "Bound",
})


class GateServeFailure(_GateServeFailureRequired):
    """Devices that refuse the version, fall back from it, or are lost. Has a limit only, since the control is
    not asked to change; also judged for each platform by itself.
    """


class GateErrors(_t.TypedDict):
    """Unit that got an error instead of an answer."""

    errors: Bound
    """Unit that got an error instead of an answer."""


class GateLatency(_t.TypedDict):
    """Inferences that took longer than the budget."""

    latency: BudgetedSpan
    """Inferences that took longer than the budget."""


class GateAccuracy(_t.TypedDict):
    """Predictions that turned out wrong, where the truth comes."""

    accuracy: Bound
    """Predictions that turned out wrong, where the truth comes."""


class GateConfidence(_t.TypedDict):
    """Certainty that the version lacks: 1 minus the mean confidence of its predictions."""

    confidence: Bound
    """Certainty that the version lacks: 1 minus the mean confidence of its predictions."""


class GateMix(_t.TypedDict):
    """How far the mix of predicted classes is from what the fleet predicted before the rollout, as total
    variation distance.
    """

    mix: Bound
    """How far the mix of predicted classes is from what the fleet predicted before the rollout, as total
    variation distance.
    """


class GateSilence(_t.TypedDict):
    """Devices that are not heard of for a while, after they were heard of once since they have the version."""

    silence: Unheard
    """Devices that are not heard of for a while, after they were heard of once since they have the version."""


class GateRestarts(_t.TypedDict):
    """Devices that start again."""

    restarts: Unheard
    """Devices that start again."""


class GateMemory(_t.TypedDict):
    """Windows in which the agent used more memory than the budget."""

    memory: BudgetedBytes
    """Windows in which the agent used more memory than the budget."""


class GateCpu(_t.TypedDict):
    """Windows in which the agent used a larger share of one core than the budget."""

    cpu: BudgetedShare
    """Windows in which the agent used a larger share of one core than the budget."""


class GateDisagreement(_t.TypedDict):
    """Inputs on which a shadow answers otherwise than what serves. In shadow stages only; has a limit only."""

    disagreement: Bound
    """Inputs on which a shadow answers otherwise than what serves. In shadow stages only; has a limit only."""


class GateMetric(_t.TypedDict):
    """The mean of a metric that the bundles declare."""

    metric: MetricGate
    """The mean of a metric that the bundles declare."""


class GateWebhook(_t.TypedDict):
    """Asks somebody else's program before a stage can pass."""

    webhook: WebhookGate
    """Asks somebody else's program before a stage can pass."""


Gate: _t.TypeAlias = "GateServeFailure | GateErrors | GateLatency | GateAccuracy | GateConfidence | GateMix | GateSilence | GateRestarts | GateMemory | GateCpu | GateDisagreement | GateMetric | GateWebhook"
"""A rule on evidence. Each device that has the version is compared with the control, or with a fixed limit, by
what it did since it has it.
"""


_GateVerdictOptional = _t.TypedDict("_GateVerdictOptional", {
    "between": "Between | None",
    "control-mean": "float | None",
    "treated-mean": "float | None",
}, total=False)


class GateVerdict(_GateVerdictOptional):
    """What a gate says of the version, with its numbers. All shares are from 0 to 1."""

    against: Against
    """What it is compared with."""
    allowed: float
    """How much is allowed: at all, or more than the control."""
    control: int
    """Devices of the control that they are compared with."""
    gate: str
    """The gate."""
    harm: float
    """Evidence for harm, corrected for the number of claims: the natural logarithm of an e-value."""
    p: float
    """The chance that there would ever be as much evidence for harm were there none, at most; corrected
    likewise.
    """
    safe: float
    """Evidence against harm, as natural logarithm."""
    sentence: str
    """It and its reason as a sentence."""
    treated: int
    """Devices with the version of which something is known."""
    verdict: Verdict
    """The verdict."""


class Growth(_t.TypedDict):
    """A pace that is multiplied by `factor` whenever `every` more devices serve the version for good."""

    every: int
    """Devices."""
    factor: float
    """By how much, more than 1 and at most 10."""
    max: int
    """Devices a minute at most."""


Health: _t.TypeAlias = _t.Literal["healthy", "updating", "failing", "offline"]
"""Health of a device."""


class HealthCount(_t.TypedDict):
    """Devices of one health."""

    devices: int
    """How many."""
    health: Health
    """The health."""


IdentityId: _t.TypeAlias = int


IdentityState: _t.TypeAlias = _t.Literal["pending", "active", "superseded", "rejected", "revoked"]
"""State of an identity."""


class _IdentityViewRequired(_t.TypedDict):
    device: DeviceId
    """The device."""
    id: IdentityId
    """Its id."""
    invitation: InvitationId
    """The invitation that it joined with."""
    joined_at: WallTime
    """When it joined."""
    joined_from: str
    """From where it joined."""
    key: Digest
    """SHA-256 of its public key (DER of the SubjectPublicKeyInfo)."""
    labels: dict[str, str]
    """The labels that it is bound to."""
    reason: str
    """Why it waits, or why it ended; empty if there is nothing to say."""
    state: IdentityState
    """How it stands."""


class IdentityView(_IdentityViewRequired, total=False):
    """A key that speaks, or wants to speak, for a device, with its newest certificate."""

    certificate: CertificateView | None
    """Its newest certificate; none while it is pending."""
    hardware_id: str | None
    """What the hardware says it is, if it says so."""
    replaces: IdentityId | None
    """The active identity of the same device, if this one waits beside it: accepting this one takes its place.
    """
    site: SiteName | None
    """The site that it is bound to."""


_ImportFileRequired = _t.TypedDict("_ImportFileRequired", {
    "from": "ImportSource",
})


class ImportFile(_ImportFileRequired, total=False):
    """A file to import."""

    split: Split | None
    """What its rows are for."""


class ImportSourceDatastoreDatastore(_t.TypedDict):
    """In a datastore."""

    name: DatastoreName
    """Which."""
    path: str
    """Where in it."""


class ImportSourceBlob(_t.TypedDict):
    """It was uploaded with `PUT /blobs/{digest}`."""

    blob: Digest
    """It was uploaded with `PUT /blobs/{digest}`."""


class ImportSourceDatastore(_t.TypedDict):
    """In a datastore."""

    datastore: ImportSourceDatastoreDatastore
    """In a datastore."""


ImportSource: _t.TypeAlias = "ImportSourceBlob | ImportSourceDatastore"
"""Where a file to import is."""


class InputSteps(_t.TypedDict):
    """The steps of one input, in order."""

    input: str
    """Name of the input."""
    steps: list[PreStep]
    """Its steps."""


class InputViewImage(_t.TypedDict):
    """As a picture."""

    channels: int
    """Values of a pixel: 1 is grey, 3 are red, green and blue."""
    height: int
    """Rows."""
    kind: _t.Literal["image"]
    order: Channels
    """Where the channels are."""
    width: int
    """Columns."""


class InputViewSeries(_t.TypedDict):
    """As lines over time."""

    channels: int
    """Lines."""
    kind: _t.Literal["series"]
    length: int
    """Values of each."""
    order: Channels
    """Where the lines are: `last` if each moment has its values together."""


class InputViewTable(_t.TypedDict):
    """As names and values."""

    kind: _t.Literal["table"]
    rows: list[TableRow]
    """The values, in their order; of very many the first."""
    values: int
    """How many there are."""


class InputViewSummary(_t.TypedDict):
    """The input was not kept: what there is of it."""

    kind: _t.Literal["summary"]
    rows: list[SummaryRow]
    """Between what its features lie, and its signals; of very many the first."""
    values: int
    """How many there are."""


InputView: _t.TypeAlias = "InputViewImage | InputViewSeries | InputViewTable | InputViewSummary"
"""How an input is shown to a person."""


class _IntervalRequired(_t.TypedDict):
    value: float
    """As measured."""


class Interval(_IntervalRequired, total=False):
    """A distance with its 95 % interval, in which the hour, or the day, is the unit: those are left out one at a
    time. None of fewer than three.
    """

    high: float | None
    """Upper end."""
    low: float | None
    """Lower end."""


InvitationId: _t.TypeAlias = int


class _InvitationViewRequired(_t.TypedDict):
    approval: bool
    """Whether devices wait until somebody accepts them."""
    created_at: WallTime
    """When it was made."""
    created_by: str
    """Who made it."""
    expires_at: WallTime
    """Until when it is good."""
    id: InvitationId
    """Its id, which is no secret."""
    labels: dict[str, str]
    """Labels of devices that join with it."""
    used: int
    """Devices that have joined with it."""
    uses: int
    """Devices that may join with it."""


class InvitationView(_InvitationViewRequired, total=False):
    """A token with which devices join, as everybody may see it."""

    device: DeviceId | None
    """The only device that may join with it."""
    hardware_id: str | None
    """The only hardware that may join with it."""
    revoked_at: WallTime | None
    """When it was revoked."""
    site: SiteName | None
    """Site of devices that join with it."""


class Invited(InvitationView):
    """A fresh invitation. Its token is shown this once."""

    token: str
    """The one string to paste after `tern-agent join`. Never stored."""


class _ItemRequired(_t.TypedDict):
    capture: CaptureView
    """The capture."""
    chosen: Chosen
    """Why it is asked about."""
    classes: list[Choice]
    """The classes to choose from, each with its key; none of a model that answers numbers, and of one that does
    not name its classes.
    """
    view: InputView
    """How it is shown."""


class Item(_ItemRequired, total=False):
    """One capture to label."""

    said: list[SaidBy]
    """What people have said about it; only of a disagreement."""


class Items(_t.TypedDict):
    """Captures to label. Each is nobody else's for ten minutes."""

    items: list[Item]
    """The captures, the most valuable first."""


class JobArtifact(_t.TypedDict):
    """A file that an attempt made."""

    attempt: int
    """Which attempt."""
    bytes: int
    """Its length."""
    digest: str
    """SHA-256 of its bytes."""
    path: str
    """Where it was below the working directory."""


class JobAsked(_t.TypedDict, total=False):
    """`POST /jobs`: a command, what it needs, and how patient to be with it."""

    artifacts: list[str]
    """Which files below its working directory are kept, as patterns: `models/*.onnx`, `plots/**`."""
    command: list[str]
    """The program and its arguments. No shell reads it; who wants one writes `["sh", "-c", "…"]`. Left out with
    `entry`.
    """
    compute: str | None
    """Where it runs; on the hub's machine unless given."""
    dataset: str | None
    """A dataset as `digits@3`, its number, or an absolute path on the machine where it runs."""
    entry: JobEntry | None
    """An entry point of the project's `MLproject`, in place of a command."""
    environment: JobEnvironment
    """The Python environment in which it runs."""
    experiment: str | None
    """The experiment of its MLflow run, which is made if there is none; `jobs` unless given."""
    name: str | None
    """What it is called; its command unless given."""
    priority: int
    """0 to 9; the higher ones of a workspace go first."""
    project: JobProject | None
    """The directory with its files."""
    resources: JobResources
    """What it takes of a compute while it runs."""
    retries: JobRetries
    """What to do when it ends badly."""
    time_limit: int
    """How long the command may run, in seconds. What the environment takes is not in it."""
    tracking: bool
    """Whether it gets an MLflow run."""
    variables: dict[str, JobVariable]
    """Environment variables."""


class _JobAttemptViewRequired(_t.TypedDict):
    artifacts_left_out: bool
    """Whether it made more artifacts than were kept."""
    compute: ComputeName
    """Where it runs or ran."""
    core_millis: int
    """Processor time that it took, in thousandths of a core-second."""
    given: WallTime
    """When it was begun."""
    log_bytes: int
    """Bytes that it wrote into its log, kept or not, once it has ended."""
    number: int
    """1, 2, 3 …"""
    peak_memory: int
    """Most bytes of memory that were seen in use; 0 if nobody looked."""
    phase: str
    """`given`, `preparing` or `running`: how far it came."""


class JobAttemptView(_JobAttemptViewRequired, total=False):
    """One attempt of a job."""

    ended: JobEnd | None
    """How it ended."""
    finished: WallTime | None
    """When it ended."""
    run: JobRun | None
    """Its run, if it is tracked."""
    trouble: str
    """What keeps it from going on, or what was wrong beside how it ended."""


class _JobViewRequired(_t.TypedDict):
    attempts: int
    """How many attempts were begun."""
    by: str
    """Whose it is."""
    cancelled: bool
    """Whether somebody wants it to end."""
    compute: ComputeName
    """Where it runs, ran last, or has to run."""
    core_millis: int
    """Processor time that all of them took, in thousandths of a core-second. What runs now counts when it has
    ended.
    """
    created: WallTime
    """When it came."""
    id: JobId
    """Its number."""
    name: str
    """What it is called."""
    priority: int
    """0 to 9."""
    state: JobState
    """What it is in one word."""


class JobView(_JobViewRequired, total=False):
    """A job in a list."""

    again_of: JobId | None
    """The job that this one does again."""
    ended: JobEnd | None
    """How it ended, or its last attempt did, once one has."""
    finished: WallTime | None
    """When it was over."""
    key: str | None
    """By what whoever asked for it knows it again."""
    run: JobRun | None
    """The run of its last attempt, if it is tracked."""
    started: WallTime | None
    """When its last attempt was begun."""
    waits: str | None
    """Why it waits, or what keeps it from going on."""


class JobDetail(JobView):
    """All that is known of a job."""

    all_attempts: list[JobAttemptView]
    """Its attempts, the first one first."""
    artifacts: list[JobArtifact]
    """What they made, by attempt and path."""
    asked: JobAsked
    """What was asked for, without secrets."""
    command: list[str]
    """The command as it is run."""


class _JobEndRequired(_t.TypedDict):
    kind: str
    """For programs: `success`, `exit-code`, `signal`, `out-of-memory`, `time-limit`, `cancelled`, `interrupted`,
    `environment`, `not-started`, `lost`.
    """
    may_go_better: bool
    """Whether the same once more may end otherwise."""
    text: str
    """For people."""


class JobEnd(_JobEndRequired, total=False):
    """How a job or one of its attempts ended."""

    code: int | None
    """The exit code, or the number of the signal."""


class _JobEntryRequired(_t.TypedDict):
    point: str
    """Its name; `main` is usual."""


class JobEntry(_JobEntryRequired, total=False):
    """An entry point of an `MLproject` file."""

    parameters: dict[str, str]
    """Values of its parameters."""


class _JobEnvironmentRequirementsRequirementsRequired(_t.TypedDict):
    text: str
    """The text of a `requirements.txt`."""


class JobEnvironmentRequirementsRequirements(_JobEnvironmentRequirementsRequirementsRequired, total=False):
    """One that is made for it, once for the same requirements."""

    python: str | None
    """Which Python, as `3.11`. Without it the machine's own."""


class JobEnvironmentRequirements(_t.TypedDict):
    """One that is made for it, once for the same requirements."""

    requirements: JobEnvironmentRequirementsRequirements
    """One that is made for it, once for the same requirements."""


class JobEnvironmentVenv(_t.TypedDict):
    """One that is there: the absolute path of a virtual environment."""

    venv: str
    """One that is there: the absolute path of a virtual environment."""


JobEnvironment: _t.TypeAlias = "_t.Literal[\"none\"] | JobEnvironmentRequirements | JobEnvironmentVenv"
"""The Python environment of a job."""


JobId: _t.TypeAlias = int


_JobLogRequired = _t.TypedDict("_JobLogRequired", {
    "attempt": "int",
    "from": "int",
    "left_out": "int",
    "next": "int",
    "over": "bool",
    "text": "str",
    "total": "int",
})


class JobLog(_JobLogRequired):
    """A part of a job's log."""


class JobProjectArchive(_t.TypedDict):
    """A `tar.gz` that was uploaded with `PUT /blobs/{digest}`."""

    archive: str
    """SHA-256 of its bytes."""


JobProject: _t.TypeAlias = "JobProjectArchive | str"
"""Where the files of a job are."""


class JobResources(_t.TypedDict, total=False):
    """What a job takes of a compute while it runs, and what one unit of a compute has."""

    cpu_millis: int
    """Thousandths of a processor core."""
    gpus: int
    """Whole graphics processors."""
    memory: int
    """Bytes of memory: of a job a limit. 0: none."""


class JobRetries(_t.TypedDict, total=False):
    """What to do when an attempt ends badly."""

    most: int
    """How many attempts after the first."""
    wait: int
    """Seconds before the second attempt. They double from attempt to attempt, up to an hour."""


class JobRetry(_t.TypedDict, total=False):
    """`POST /jobs/{id}/retry`: secrets are forgotten when a job is over and have to be given again."""

    secrets: dict[str, str]
    """By the name of the variable."""


class JobRun(_t.TypedDict):
    """The MLflow run of a job."""

    experiment: int
    """Number of its experiment."""
    run: str
    """Its id."""


JobState: _t.TypeAlias = _t.Literal["queued", "preparing", "running", "succeeded", "failed", "cancelled"]
"""What a job is in one word."""


class JobVariableSecret(_t.TypedDict):
    """Never shown, hidden in the log, and forgotten when the job is over."""

    secret: str
    """The value."""


JobVariable: _t.TypeAlias = "str | JobVariableSecret"
"""The value of an environment variable."""


class _JoinRequired(_t.TypedDict):
    csr: str
    """Certificate signing request (PKCS #10, PEM), signed by the key that was made on the device."""
    device: DeviceId
    """The device that it wants to be."""
    secret: str
    """The secret part of the join token."""


class Join(_JoinRequired, total=False):
    """A device asks to join, or asks again how its request stands: the same key is never counted twice."""

    hardware_id: str | None
    """What its hardware says it is, if it says so; at most 256 bytes."""


class JoinedPending(_t.TypedDict):
    """Somebody has to accept it; ask again later."""

    again_in_s: int
    """Ask again after so many seconds."""
    identity: IdentityId
    """The identity that waits."""
    reason: str
    """Why it waits."""
    state: _t.Literal["pending"]


class JoinedActive(Credentials):
    """It is in."""

    state: _t.Literal["active"]


Joined: _t.TypeAlias = "JoinedPending | JoinedActive"
"""What becomes of a request to join or to renew."""


Judged: _t.TypeAlias = _t.Literal["estimate", "interval"]
"""What has to be beyond a level."""


class KeptCount(_t.TypedDict):
    """How many captures, and how much of the database they take."""

    bytes: int
    """Bytes of inputs and summaries, as they are stored."""
    captures: int
    """Captures."""
    labelled: int
    """Those with a truth."""
    without_input: int
    """Those of which only a summary is kept."""


_KeptDayRequired = _t.TypedDict("_KeptDayRequired", {
    "from": "WallTime",
    "kept": "KeptCount",
})


class KeptDay(_KeptDayRequired):
    """Captures of one day."""


class _KeptDeviceRequired(_t.TypedDict):
    device: DeviceId
    """The device."""
    kept: KeptCount
    """How many came."""


class KeptDevice(_KeptDeviceRequired, total=False):
    """Captures of one device in the last 24 hours, beside what it may spend."""

    limits: CaptureLimits | None
    """Its budget; absent if it has none, or does not say."""


class KeptOf(_t.TypedDict):
    """Captures that have something in common."""

    kept: KeptCount
    """How many."""
    name: str
    """What: `digit-reader v2`, a site, a reason."""


class _KubernetesSettingsRequired(_t.TypedDict):
    image: str
    """The image that every job runs in."""
    namespace: str
    """The namespace."""


class KubernetesSettings(_KubernetesSettingsRequired, total=False):
    """A Kubernetes cluster, as jobs are made in it."""

    gpu: str | None
    """What a graphics processor is called; `nvidia.com/gpu` unless given."""
    service_account: str | None
    """The account that jobs have in the cluster, unless it is the usual one."""


class _LabelImportRequired(_t.TypedDict):
    labels: list[NewLabel]
    """The labels."""


class LabelImport(_LabelImportRequired, total=False):
    """`POST /labels`: truths about captures, at most 10,000 at once."""

    dry_run: bool
    """Only say what would become of them: nothing is stored."""


class LabelImportResult(_t.TypedDict):
    """What became of the labels."""

    added: int
    """New ones."""
    changed: int
    """Those that replaced another truth."""
    refused: list[LabelRefused]
    """Those that were refused, as (index in the request, why). Nothing else is held up by them."""
    unchanged: int
    """Those that said what was known."""


class _LabelRefusedRequired(_t.TypedDict):
    index: int
    """Its index in the request, from 0."""
    reason: str
    """Why, and what to do."""


class LabelRefused(_LabelRefusedRequired, total=False):
    """A label that was refused."""

    line: int | None
    """Its line, of CSV."""


LabelSource: _t.TypeAlias = _t.Literal["device", "import", "person", "unknown"]
"""Where a truth came from."""


class LabellingSettings(_t.TypedDict):
    """`PUT /labelling/{model}`: how a model is labelled."""

    labellers: int
    """How many people have to say the same: 1 or 2."""


class _LabellingViewRequired(_t.TypedDict):
    disagreed: int
    """Captures about which two people said different things."""
    half: int
    """Captures that one person has labelled and that wait for a second one."""
    labelled: int
    """Truths that people said."""
    labellers: int
    """How many people have to say the same before it is the truth: 1 or 2."""
    mine: int
    """What whoever asks has said so far."""
    model: ModelName
    """The model."""
    waiting: int
    """Captures without a truth that nobody has said anything about, up to 10,000; those without their input are
    not among them.
    """


class LabellingView(_LabellingViewRequired, total=False):
    """How labelling of one model stands."""

    agreement: AgreementView | None
    """How far two people agree who labelled the same captures; absent while nobody has."""
    without_input: int
    """The same of captures of which only a summary was kept."""


Late: _t.TypeAlias = _t.Literal["join", "last", "ignore"]
"""What becomes of devices that match only after the rollout was started."""


class _LessonViewRequired(_t.TypedDict):
    champion: ModelVersion
    """What served when it began."""
    ended: WallTime
    """When it ended."""
    evidence: list[str]
    """What called for it."""
    model: ModelName
    """The model."""
    opened: WallTime
    """When it was opened."""
    outcome: RoundOutcome
    """How."""
    round: int
    """The round."""
    text: str
    """How, in a sentence."""


class LessonView(_LessonViewRequired, total=False):
    """What a round taught."""

    challenger: str | None
    """What came of the training, by the digest of its ONNX file."""
    comparison: list[str]
    """What the comparison said, with its numbers."""
    core_seconds: int | None
    """Core-seconds of the training that succeeded."""
    dataset: int | None
    """Its dataset."""
    run: str | None
    """The run that tracked its training."""
    training_ms: int | None
    """Milliseconds that it took."""
    version: ModelVersion | None
    """The version that it became."""


Level: _t.TypeAlias = "str | float"
"""A share such as `5%`, a time such as `80ms`, or a number a second."""


_LineageEdgeRequired = _t.TypedDict("_LineageEdgeRequired", {
    "from": "str",
    "how": "str",
    "to": "str",
})


class LineageEdge(_LineageEdgeRequired):
    """That one thing led to another."""


class _LineageNodeRequired(_t.TypedDict):
    of: str
    """Which."""
    step: int
    """How many steps it is from what was asked about: less than 0 for what that comes from."""


class LineageNode(_LineageNodeRequired, total=False):
    """One thing of a lineage."""

    at: WallTime | None
    """When it was made, if that is known."""
    facts: list[str]
    """What is known of it, in a few words each."""
    more: int
    """How many more things it comes from or led to than are listed."""
    more_back: int
    """Of these, how many it comes from."""


class LineageView(_t.TypedDict):
    """Where something comes from, and what became of it."""

    cut: bool
    """Whether there is more than one answer holds."""
    edges: list[LineageEdge]
    """What led to what."""
    nodes: list[LineageNode]
    """All that was found, the nearest first."""
    of: str
    """What was asked about; the first of `nodes`."""


class _LoginRequired(_t.TypedDict):
    password: str
    """Its password."""
    user: str
    """Name of the account."""


class Login(_LoginRequired, total=False):
    """A person shows who they are."""

    code: str | None
    """The second factor, if the account has one: six digits, or a recovery code."""


class _LoginForTokenRequired(_t.TypedDict):
    password: str
    """Its password."""
    token: NewToken
    """The token that is wanted."""
    user: str
    """Name of the account."""
    workspace: WorkspaceId
    """The workspace that it is for."""


class LoginForToken(_LoginForTokenRequired, total=False):
    """A person shows who they are and wants an API token for a program."""

    code: str | None
    """The second factor, if the account has one."""


LoginKind: _t.TypeAlias = _t.Literal["invited", "password", "oidc"]
"""How an account shows who it is."""


class Look(_t.TypedDict):
    """What the gates said at one time."""

    at: WallTime
    """When."""
    gates: list[GateVerdict]
    """What."""
    stage: int
    """In which stage, from 1."""


class _MadeFromRequired(_t.TypedDict):
    base_rows: int
    """Rows of the version that it began with."""
    captures: int
    """Labelled captures."""
    order: DatasetOrder
    """What was asked for."""


class MadeFrom(_MadeFromRequired, total=False):
    """What a version was made from."""

    as_called: list[str]
    """Columns of files that were taken as what they are called (`weight`, `site`, …), and are no features."""
    left_out: dict[str, int]
    """What is not in it, and how many of it, by why."""
    moved: int
    """Rows that an earlier version of this name has in another split, and that are in that one here."""


Matcher: _t.TypeAlias = str


class _MeRequired(_t.TypedDict):
    hub_admin: bool
    """Whether the account runs the hub: accounts, workspaces, all audit."""
    memberships: list[Membership]
    """What it may do where."""
    second_factor: bool
    """Whether the account has a second factor."""


class Me(_MeRequired, total=False):
    """Who is asking."""

    token: TokenId | None
    """The API token that is used, if one is."""
    user: UserName | None
    """The account; none for a hub that was started with `--insecure-loopback`."""


class _MeasuredRequired(_t.TypedDict):
    level: float
    """What it is compared with."""
    n: int
    """Requests, labels or devices that it stands on."""
    unit: str
    """Its unit, as that of charts: `ratio`, `us`, `1/s`."""
    value: float
    """The value."""


class Measured(_MeasuredRequired, total=False):
    """What was measured."""

    high: float | None
    """Upper end of the 95 % interval, where there is one."""
    low: float | None
    """Lower end of the 95 % interval, where there is one."""


class MeasuredSignal(_t.TypedDict):
    """One signal of one input."""

    name: str
    """Its name in the reference profile."""
    value: float
    """What was measured."""


class MemberView(_t.TypedDict):
    """A member of a workspace."""

    hub_admin: bool
    """Whether the account runs the hub, and so is an admin everywhere."""
    role: Role
    """As what."""
    user: UserName
    """Who."""


class Membership(_t.TypedDict):
    """A role in a workspace."""

    role: Role
    """As what."""
    workspace: WorkspaceId
    """Where."""


Method: _t.TypeAlias = _t.Literal["nearest", "bilinear"]
"""How values of a resized image are found."""


Metric: _t.TypeAlias = _t.Literal["traffic", "errors", "latency", "prediction", "confidence", "accuracy", "custom"]
"""A quantity over time."""


_MetricConditionOptional = _t.TypedDict("_MetricConditionOptional", {
    "above": "Level | None",
    "below": "Level | None",
    "by": "Judged",
    "clear": "Level | None",
    "group-by": "AlertGroup",
    "minimum": "int",
    "model": "ModelName | None",
    "name": "MetricName | None",
    "part": "str | None",
    "site": "SiteName | None",
    "version": "ModelVersion | None",
    "window": "Span",
}, total=False)


class MetricCondition(_MetricConditionOptional):
    """What is measured, and what it is compared with."""

    of: Metric
    """The quantity."""


class MetricCurve(_t.TypedDict):
    """The values of a metric of a run."""

    metric: str
    """Which metric."""
    points: list[MetricPoint]
    """By step; of many values the extremes of each stretch."""


class _MetricGateRequired(_t.TypedDict):
    best: float
    """The value that is as good as can be."""
    name: MetricName
    """Which metric."""
    worst: float
    """The value that is as bad as can be; above `best` if less is better, below it if more is."""


class MetricGate(_MetricGateRequired, total=False):
    """What is allowed of a metric that the bundles declare: of a counter what an inference adds to it, of others
    the mean of their values. What a window says of it is taken for 0 at `best` and for 100 % at `worst`, and
    for no less and no more beside them; shares are of the way from the one to the other.
    """

    certainty: Certainty
    """How sure one must be that it is not more."""
    limit: Share | None
    """So much at all."""
    margin: Share | None
    """So much more than the control."""


MetricKind: _t.TypeAlias = _t.Literal["counter", "gauge", "histogram"]
"""How the values of a metric add up."""


MetricName: _t.TypeAlias = str


class MetricPoint(_t.TypedDict):
    """One value of a metric."""

    at: WallTime
    """When."""
    step: int
    """At which step."""
    value: float
    """The value."""


_MetricSpecOptional = _t.TypedDict("_MetricSpecOptional", {
    "bins": "list[float]",
    "from": "TensorSource | None",
    "help": "str",
    "unit": "str",
}, total=False)


class MetricSpec(_MetricSpecOptional):
    """A metric, as a bundle declares it."""

    kind: MetricKind
    """How its values add up."""
    name: MetricName
    """Its name."""


class Minimum(_t.TypedDict, total=False):
    """The least that must be known of the devices that a stage added. What is not given is half of those
    devices, and one closed window of each of them.
    """

    devices: int | None
    """Devices that serve the version for good."""
    inferences: int | None
    """Inferences in those windows."""
    windows: int | None
    """Windows that they closed. Known of each device is how often it doubled: 1, 2, 4 … of them."""


class _TokenViewRequired(_t.TypedDict):
    created_at: WallTime
    """When it was made."""
    expires_at: WallTime
    """Until when it is good."""
    id: TokenId
    """Its id, which is no secret."""
    name: str
    """What it is for."""
    role: Role
    """What it may do."""
    user: UserName
    """Whose it is."""
    workspace: WorkspaceId
    """The workspace that it works in."""


class TokenView(_TokenViewRequired, total=False):
    """An API token, as it may be seen."""

    hub: bool
    """Whether it may run the hub too, as far as its account may."""
    last_used_at: WallTime | None
    """When it was last used, to the minute."""
    revoked_at: WallTime | None
    """When it was revoked."""


class Minted(TokenView):
    """A fresh API token. Its text is shown this once."""

    token: str
    """What goes after `Authorization: Bearer`. Never stored."""


ModelName: _t.TypeAlias = str


ModelVersion: _t.TypeAlias = int


class ModelView(_t.TypedDict):
    """A model."""

    created: WallTime
    """When its first version was published."""
    name: ModelName
    """Its name."""
    versions: list[VersionView]
    """Its versions, newest first."""


Moved: _t.TypeAlias = _t.Literal["back", "stay"]
"""What an abort does with devices that were moved."""


MovedAspect: _t.TypeAlias = _t.Literal["location", "spread", "unusable", "class", "confidence", "errors"]
"""Of what it is that something moved."""


class _MovedViewRequired(_t.TypedDict):
    aspect: MovedAspect
    """What of it."""
    effect: Interval
    """By how much, as a difference of two shares from 0 to 1, with a 95 % interval."""


class MovedView(_MovedViewRequired, total=False):
    """Something that moved, and by how much."""

    name: str
    """Name of the feature, signal or class; empty else."""


class Moving(_t.TypedDict, total=False):
    """What moved, in bytes of blobs."""

    chunks: int
    """Chunks published."""
    chunks_repeated: int
    """Of these, sent again."""
    downloaded_bytes: int
    """Downloaded by HTTPS."""
    published_bytes: int
    """Published by MQTT, each chunk once however many devices listened."""
    repeated_bytes: int
    """Of these, sent again because a device lost them."""
    saved_bytes: int
    """What devices took beyond what left: bytes saved by sending to many at once."""
    spared_bytes: int
    """What devices did not have to take because they made a file of a delta."""
    taken_bytes: int
    """What devices took in all, by both ways."""


class NewCaptureDeletion(_t.TypedDict, total=False):
    """`POST /capture-deletions`: deletes captures and truths, everywhere. Exactly one of `device` (with or
    without `predictions`) and `subject`.
    """

    device: DeviceId | None
    """All that this device has told until now, or only `predictions` of it."""
    predictions: list[PredictionId]
    """Only these, at most 100."""
    reason: str
    """Why, for the audit log: at most 200 bytes, and nothing that names a person."""
    subject: Digest | None
    """All of this subject, and nothing more of it from now on: the hash that `tern capture delete --subject`
    makes of a name.
    """


class _NewCaptureRequestRequired(_t.TypedDict):
    count: int
    """How many of each device, 1 to 10,000."""
    within_s: int
    """For how long they are asked, in seconds: a minute to 30 days."""


class NewCaptureRequest(_NewCaptureRequestRequired, total=False):
    """`POST /capture-requests`: asks devices for some of their next inputs."""

    device: DeviceId | None
    """Only this device."""
    model: ModelName | None
    """Only inputs of this model."""
    site: SiteName | None
    """Only devices at this site."""
    slot: SlotName | None
    """Only inputs of this slot."""


class _NewDatasetRequired(_t.TypedDict):
    name: DatasetName
    """Of which dataset; its first version makes it."""
    order: DatasetOrder
    """Of what."""


class NewDataset(_NewDatasetRequired, total=False):
    """`POST /datasets`: a version is to be made. It is made in the background."""

    key: str | None
    """Asked again with the same key, the version that was begun with it is the answer."""


class _NewDatastoreRequired(_t.TypedDict):
    name: DatastoreName
    """Its name."""
    place: DatastorePlace
    """Where it is."""


class NewDatastore(_NewDatastoreRequired, total=False):
    """`POST /datastores`."""

    token: str | None
    """Sent to an address as `Authorization: Bearer`; for S3 the secret of the key, which is never sent. Kept by
    the hub, and never shown.
    """


class NewFreeze(_t.TypedDict, total=False):
    """`POST /freeze`."""

    reason: str
    """Why."""


class NewInputSteps(_t.TypedDict):
    """Steps of an input, as they are declared."""

    input: str
    """Name of the input."""
    steps: list[NewPreStep]
    """Its steps, in order."""


class NewInvitation(_t.TypedDict, total=False):
    """Asks for a token with which devices join."""

    approval: bool
    """Whether devices wait, once joined, until somebody accepts them."""
    device: DeviceId | None
    """Only this device may join with it."""
    expires_in_s: int
    """How long it is good for, in seconds; a day by default, at most a year."""
    hardware_id: str | None
    """Only hardware with this id may join with it; the text is what the agent's `hardware_id` says."""
    labels: dict[str, str]
    """Devices that join with it have these labels, whatever they say."""
    site: SiteName | None
    """Devices that join with it are at this site, whatever they say; unset, they say it."""
    uses: int
    """Devices that may join with it, 1 to 100,000."""


class NewLabel(_t.TypedDict):
    """The truth about one captured prediction."""

    device: DeviceId
    """The device that predicted."""
    prediction: PredictionId
    """Which prediction."""
    truth: str
    """The right class, by its name in the manifest; of a model that answers numbers the right number."""


class NewOutputSteps(_t.TypedDict):
    """Steps of an output, as they are declared."""

    output: str
    """Name of the output."""
    steps: list[NewPostStep]
    """Its steps, in order."""


NewPostStep: _t.TypeAlias = "PostStep | UnknownStep"
"""A step after the graph."""


NewPreStep: _t.TypeAlias = "PreStep | UnknownStep"
"""A step before the graph. What is not one is taken too, so that the hub can say what is wrong with it together
with all else that is.
"""


class _NewRolloutRequired(_t.TypedDict):
    model: ModelName
    """With which model."""
    slot: SlotName
    """The slot to fill."""
    version: ModelVersion
    """With which version of it."""


class NewRollout(_NewRolloutRequired, total=False):
    """`POST /rollouts`: start."""

    percent: int
    """Share of the selected devices to move, 1 to 100; the same devices stay in as it grows."""
    selector: Selector
    """Which devices; all of the workspace by default."""


class NewRound(_t.TypedDict, total=False):
    """Asks for a round now."""

    note: str
    """Why."""


_NewSilenceOptional = _t.TypedDict("_NewSilenceOptional", {
    "comment": "str",
    "from": "WallTime | None",
}, total=False)


class NewSilence(_NewSilenceOptional):
    """Nobody is told of what matches, for a while."""

    lasting: Span
    """For how long, at most a year: `2h`."""
    matchers: list[Matcher]
    """What an alert has to match, all of it: `rule=errors`, `site=harbour`, `model!=digits`."""


class _NewSubscriptionWebhookRequired(_t.TypedDict):
    kind: _t.Literal["webhook"]
    url: str
    """Where to, `https://…`. What stands behind its host is a secret and never shown again. Plain `http://` is
    for this machine only, unless `plain` says otherwise.
    """


class NewSubscriptionWebhook(_NewSubscriptionWebhookRequired, total=False):
    """By webhook."""

    name: str
    """What it is for, in a person's words."""
    notices: list[NoticeKind]
    """Which notices; what needs a person and what is complete if unset."""
    plain: bool
    """Whether the address may be plain HTTP on another machine. Whoever is on the way then reads what is sent;
    nobody can forge it.
    """
    secret: str | None
    """What signs it, 16 to 128 printable characters without spaces; without it the hub makes one and shows it
    once.
    """


class _NewSubscriptionEmailRequired(_t.TypedDict):
    addresses: list[str]
    """To whom: one mail for all of them."""
    kind: _t.Literal["email"]


class NewSubscriptionEmail(_NewSubscriptionEmailRequired, total=False):
    """By mail."""

    name: str
    """What it is for, in a person's words."""
    notices: list[NoticeKind]
    """Which notices; what needs a person and what is complete if unset."""


class _NewSubscriptionAlertmanagerRequired(_t.TypedDict):
    kind: _t.Literal["alertmanager"]
    url: str
    """Where it is, as `https://alertmanager.example`; `/api/v2/alerts` is added. Plain `http://` as for
    webhooks.
    """


class NewSubscriptionAlertmanager(_NewSubscriptionAlertmanagerRequired, total=False):
    """To a Prometheus Alertmanager: every alert that fires, again and again, and when it is over."""

    name: str
    """What it is for, in a person's words."""
    plain: bool
    """Whether the address may be plain HTTP on another machine."""
    token: str | None
    """What it lets in by, as `Authorization: Bearer`; nothing if absent."""


NewSubscription: _t.TypeAlias = "NewSubscriptionWebhook | NewSubscriptionEmail | NewSubscriptionAlertmanager"
"""Asks for notices from now on."""


class _NewTokenRequired(_t.TypedDict):
    name: str
    """What it is for, in a person's words."""


class NewToken(_NewTokenRequired, total=False):
    """Asks for an API token."""

    expires_in_s: int
    """How long it is good for, in seconds; 90 days by default, at most a year."""
    hub: bool
    """Whether it may run the hub too, as far as its maker may: for the command line of an admin."""
    role: Role | None
    """What it may do; never more than who made it. The maker's own role if unset."""


class _NewUserRequired(_t.TypedDict):
    name: UserName
    """Its name."""


class NewUser(_NewUserRequired, total=False):
    """Makes an account."""

    hub_admin: bool
    """Whether it runs the hub."""


class _NewVersionRequired(_t.TypedDict):
    golden: Digest
    """Golden samples (CBOR, `protocol::manifest::Golden`)."""
    inputs: list[TensorSpec]
    """Its inputs, as requests carry them: before their steps."""
    onnx: Digest
    """The ONNX file."""
    outputs: list[TensorSpec]
    """Its outputs, as answers hold them: after their steps."""


class NewVersion(_NewVersionRequired, total=False):
    """`POST /models/{model}/versions`: publish. Its blobs were uploaded before with `PUT /blobs/{digest}`."""

    classes: list[str]
    """Names of the classes, if it is a classifier."""
    dataset: DatasetPick | None
    """The dataset that it was trained on: `NAME@NUMBER`, or an id."""
    metrics: list[MetricSpec]
    """Metrics of its own, beside those of every model."""
    min_agent: AgentVersion | None
    """The oldest agent that may run it."""
    note: str
    """What is new, for people."""
    post: list[NewOutputSteps]
    """Steps between the graph and an answer."""
    pre: list[NewInputSteps]
    """Steps between a request and the graph."""
    reference: Digest | None
    """Reference profile (CBOR, `protocol::profile::Reference`)."""
    validation_accuracy: float | None
    """Accuracy on the trainer's validation part, 0 to 1."""


class NewWorkspace(_t.TypedDict):
    """Makes a workspace."""

    id: WorkspaceId
    """Its id."""


class NextItems(_t.TypedDict, total=False):
    """`POST /labelling/{model}/next`: give me some to label."""

    holding: list[Predicted]
    """Those that whoever asks has on the screen already."""
    queue: Queue
    """Of which queue."""
    take: int
    """How many, at most 16."""
    without_input: bool
    """Whether captures of which only a summary was kept are among them: few people can label those."""


NoInput: _t.TypeAlias = _t.Literal["not-kept", "encrypted", "damaged"]
"""Why a capture has no input to show."""


NoticeKind: _t.TypeAlias = _t.Literal["rollout-stopped", "rollout-waits", "rollout-advanced", "rollout-complete", "fleet-frozen", "attention", "alert", "proposal", "retrained", "test"]
"""What a notice is about."""


NotificationState: _t.TypeAlias = _t.Literal["waiting", "sent", "failed"]
"""How a notice to one receiver stands."""


class _NotificationViewRequired(_t.TypedDict):
    at: WallTime
    """When it happened."""
    attempts: int
    """How often it was tried."""
    id: str
    """Its id, by which a receiver knows it again."""
    kind: NoticeKind
    """What it is about."""
    link: str
    """Where to look; without a host if the hub has no public address."""
    state: NotificationState
    """How it stands."""
    subject: str
    """In a line."""
    subscription: SubscriptionId
    """To whom."""
    target: str
    """Where that is, as [`SubscriptionView::target`]."""
    text: str
    """What happened."""


class NotificationView(_NotificationViewRequired, total=False):
    """A notice to one receiver."""

    due_at: WallTime | None
    """When it is tried next, while it waits."""
    error: str | None
    """What went wrong last."""
    finished_at: WallTime | None
    """When it arrived, or was given up."""


class NumberStatistics(_t.TypedDict):
    """What numbers are like."""

    bins: list[float]
    """Shares of the values between least and greatest, in bins of the same width; of the same sample."""
    max: float
    """The greatest."""
    mean: float
    """The mean."""
    min: float
    """The least."""
    quantiles: list[float]
    """At 5, 25, 50, 75 and 95 in a hundred; of a sample where there are more than a thousand values."""
    std: float
    """Standard deviation."""


class NumberTruth(_t.TypedDict, total=False):
    """How far numbers are from what was true, in their own unit."""

    bias: Estimated | None
    """Mean error: above 0 where predictions are too large."""
    coverage: Coverage | None
    """Of a model that predicts an interval."""
    mae: Estimated | None
    """Mean absolute error; absent with fewer than two labels, as all of these."""
    rmse: Estimated | None
    """Root of the mean squared error."""


OnFail: _t.TypeAlias = _t.Literal["roll-back", "hold"]
"""What follows when a gate fails."""


OnInconclusive: _t.TypeAlias = _t.Literal["ask", "roll-back"]
"""What follows when a stage's cap is reached without proof."""


OnPass: _t.TypeAlias = _t.Literal["advance", "ask"]
"""What follows when all gates of a stage pass."""


_OnlineOptional = _t.TypedDict("_OnlineOptional", {
    "from": "Clock | None",
    "share": "Share",
    "spell": "Span",
    "to": "Clock | None",
}, total=False)


class Online(_OnlineOptional):
    """When devices are online. Spells on and off follow one another, of lengths that are exponentially
    distributed.
    """


_OpenHoursRequired = _t.TypedDict("_OpenHoursRequired", {
    "from": "Clock",
    "to": "Clock",
})


class OpenHours(_OpenHoursRequired, total=False):
    """Hours of some days of the week."""

    days: list[Day]
    """The days on which they begin; every day by default."""


class OutboxReport(_t.TypedDict):
    """State of the outbox."""

    bytes: int
    """Their bytes."""
    dropped: int
    """Captures that were dropped under pressure, ever."""
    entries: int
    """Entries waiting for the hub."""
    merged: int
    """Windows that were merged into others under pressure, ever."""


OutlierAct: _t.TypeAlias = _t.Literal["clip", "drop"]
"""What becomes of outliers."""


class OutlierBoundsQuantiles(_t.TypedDict):
    """Those outside of these two quantiles, from 0 to 1."""

    quantiles: list[float]
    """Those outside of these two quantiles, from 0 to 1."""


class OutlierBoundsIqr(_t.TypedDict):
    """Those so many times the distance of the quartiles outside of these."""

    iqr: float
    """Those so many times the distance of the quartiles outside of these."""


OutlierBounds: _t.TypeAlias = "OutlierBoundsQuantiles | OutlierBoundsIqr"
"""Which values are outliers."""


class OutputSteps(_t.TypedDict):
    """The steps of one output, in order."""

    output: str
    """Name of the output."""
    steps: list[PostStep]
    """Its steps."""


class _OverviewRequired(_t.TypedDict):
    devices: int
    """Devices in all."""
    events: list[EventView]
    """Newest events of the fleet, newest first."""
    health: list[HealthCount]
    """Devices by health."""
    rollouts: list[RolloutView]
    """Rollouts that are not over, newest first."""
    serving: list[ServingCount]
    """Devices by what they serve."""
    sites: list[SiteView]
    """Sites."""
    totals: Totals
    """Totals since the hub was made."""


class Overview(_OverviewRequired, total=False):
    """`GET /overview`: what a person sees first."""

    attention: list[Attention]
    """What needs a person, the worst first; empty: nothing does."""
    stages: Stages
    """How far what is wanted got, over all slots of all devices."""


_PaceOptional = _t.TypedDict("_PaceOptional", {
    "bytes-per-day": "Bytes | None",
    "growth": "Growth | None",
    "per-minute": "int | None",
}, total=False)


class Pace(_PaceOptional):
    """How fast devices are moved."""


Part: _t.TypeAlias = _t.Literal["treatment", "control", "last", "ignored"]
"""What part a device has in a rollout with a plan."""


class PartDelivery(_t.TypedDict):
    """How a part of a version got to its devices. A part that several versions share counts for the one that was
    wanted when it moved.
    """

    blob: BlobRef
    """Its digest and length."""
    devices_asked: int
    """Devices that asked for it."""
    devices_done: int
    """Of these, those that have all of the version."""
    moved: Moving
    """What moved."""
    part: BlobPart
    """What it is."""


Phase: _t.TypeAlias = _t.Literal["fetching", "verified", "vetted", "unsigned", "waiting"]
"""Steps of a bundle on its way into a slot."""


_PlaceDistancesRequired = _t.TypedDict("_PlaceDistancesRequired", {
    "distances": "list[CountedDistance]",
    "from": "WallTime",
    "inferences": "int",
    "to": "WallTime",
})


class PlaceDistances(_PlaceDistancesRequired, total=False):
    """Distances at one place."""

    site: SiteName | None
    """The site; all of them if absent."""


_PlanOptional = _t.TypedDict("_PlanOptional", {
    "calendar": "Calendar | None",
    "control": "Size",
    "deadline": "Span",
    "false-stops": "Share",
    "gates": "list[Gate]",
    "late": "Late",
    "on": "Consequences",
    "pace": "Pace",
    "precedence": "int",
    "retry": "Retry",
    "selector": "Selector",
    "version": "ModelVersion | None",
}, total=False)


class Plan(_PlanOptional):
    """A plan."""

    model: ModelName
    """With which model."""
    slot: SlotName
    """The slot to fill."""
    stages: list[StagePlan]
    """The stages, in order; each is larger than the one before. Those of the control are in none."""


class PlanCheck(_t.TypedDict):
    """`POST /plans/check`: what would come of a plan."""

    control: int
    """Devices that would be kept as control."""
    problems: list[PlanProblem]
    """What is wrong with it; a rollout can be started only of a plan with none."""
    selected: int
    """Devices that match the selector and have the slot now."""
    stages: list[int]
    """Devices that would have the version from each stage on."""
    warnings: list[str]
    """What may not be as it was meant."""


class PlanProblem(_t.TypedDict):
    """Something that is wrong with a plan."""

    at: str
    """Where, as a path: `stages[1].to`."""
    text: str
    """What, and what to write instead."""


class PlanTemplate(_t.TypedDict):
    """A plan that is kept for a model, to start rollouts of its versions."""

    by: str
    """By whom."""
    name: str
    """Its name."""
    plan: Plan
    """The plan, without a version."""
    updated: WallTime
    """When it was last written."""


class Platform(_t.TypedDict):
    """Hardware and system."""

    arch: str
    """Architecture, as Rust names it: `x86_64`, `aarch64`."""
    cpus: int
    """Processors that the agent may use."""
    os: str
    """Operating system, as Rust names it: `linux`."""


class _PointRequired(_t.TypedDict):
    n: int
    """Inferences or labels it stands on. Traffic and errors divide a window that reaches over the end of an
    interval by time; quantiles, mixes and means stand on all of it on both sides.
    """


class Point(_PointRequired, total=False):
    """One point of a series."""

    high: float | None
    """Upper end of the 95 % interval, where there is one."""
    low: float | None
    """Lower end of the 95 % interval, where there is one."""
    value: float | None
    """The value; absent where nothing was seen."""


class PostStepSoftmax(_t.TypedDict):
    """Softmax over the last dimension; floats only."""

    step: _t.Literal["softmax"]


class PostStepArgmax(_t.TypedDict):
    """The place of the largest element of the last dimension, the first if several are; that dimension goes, the
    type becomes `i64`.
    """

    step: _t.Literal["argmax"]


class PostStepThreshold(_t.TypedDict):
    """1 where the element is at least this, 0 elsewhere; floats only, the type becomes `u8`."""

    at: float
    """The threshold."""
    step: _t.Literal["threshold"]


class PostStepLabels(_t.TypedDict):
    """Answers also name the class of each element, from the names of the classes. The last step, after `argmax`
    or `threshold`; type and shape stay as they are.
    """

    step: _t.Literal["labels"]


PostStep: _t.TypeAlias = "PostStepSoftmax | PostStepArgmax | PostStepThreshold | PostStepLabels"
"""One step between the graph's output and the answer."""


class _PreStepScaleRequired(_t.TypedDict):
    factor: float
    """The factor."""
    step: _t.Literal["scale"]


class PreStepScale(_PreStepScaleRequired, total=False):
    """`x × factor + offset` of each element; floats only."""

    offset: float
    """What is added after."""


class _PreStepNormaliseRequired(_t.TypedDict):
    mean: list[float]
    """Means."""
    std: list[float]
    """Standard deviations, all above 0."""
    step: _t.Literal["normalise"]


class PreStepNormalise(_PreStepNormaliseRequired, total=False):
    """`(x − mean) ÷ std`; floats only. Both lists are as long as there are channels or elements in a sample, or
    hold one number for all.
    """

    channels: Channels
    """Where the channels are."""


class _PreStepResizeRequired(_t.TypedDict):
    height: int
    """Rows after."""
    method: Method
    """How values are found."""
    step: _t.Literal["resize"]
    width: int
    """Columns after."""


class PreStepResize(_PreStepResizeRequired, total=False):
    """An image of another size, as ONNX `Resize` has it with `half_pixel` coordinates and no antialiasing. A
    sample is [height, width], or with channels last [height, width, channels], first [channels, height,
    width].
    """

    channels: Channels
    """Where the channels are."""


class PreStepCast(_t.TypedDict):
    """Another element type. Floats become integers towards zero and stop at the type's ends."""

    step: _t.Literal["cast"]
    to: Dtype
    """The type after."""


class PreStepReshape(_t.TypedDict):
    """The same elements in the same order under other dimensions, without the batch."""

    shape: list[int]
    """The dimensions of a sample after."""
    step: _t.Literal["reshape"]


class PreStepTranspose(_t.TypedDict):
    """Dimensions in another order: [2, 0, 1] makes channels first of channels last."""

    axes: list[int]
    """Which dimension of a sample comes first, second, …, counted from 0 without the batch."""
    step: _t.Literal["transpose"]


class PreStepImpute(_t.TypedDict):
    """Elements that are missing (NaN) become these; those without one stay missing. `f32` only. The list is as
    long as there are elements in a sample, or holds one number for all.
    """

    step: _t.Literal["impute"]
    values: list[float | None]
    """What each element becomes."""


class PreStepOnehot(_t.TypedDict):
    """Elements that are places in lists of categories become an element a category: 1 at that place, 0
    elsewhere, and 0 everywhere of one that is missing or no place. `f32` only; a sample has one dimension.
    """

    sizes: list[int]
    """How many categories each element has; 0: it is a number, and stays what it is."""
    step: _t.Literal["onehot"]


PreStep: _t.TypeAlias = "PreStepScale | PreStepNormalise | PreStepResize | PreStepCast | PreStepReshape | PreStepTranspose | PreStepImpute | PreStepOnehot"
"""One step between a request's input and the graph's."""


class Predicted(_t.TypedDict):
    """A prediction of a device."""

    device: DeviceId
    """The device."""
    prediction: PredictionId
    """Its prediction."""


class _PredictedNumberRequired(_t.TypedDict):
    value: float
    """It."""


class PredictedNumber(_PredictedNumberRequired, total=False):
    """What a model predicted that is no classifier: the first element of its first output."""

    high: float | None
    """Its upper end."""
    low: float | None
    """Lower end of the interval that was predicted with it, of a model that has one ([`crate::quantile`])."""


PredictionId: _t.TypeAlias = str


class Preparation(_t.TypedDict):
    """Steps, in order. What they find (means, quantiles) they find in the rows to train on alone."""

    steps: list[PrepareStep]
    """The steps."""


_PrepareStepMissingRequired = _t.TypedDict("_PrepareStepMissingRequired", {
    "step": "_t.Literal[\"missing\"]",
    "with": "Fill",
})


class PrepareStepMissing(_PrepareStepMissingRequired, total=False):
    """Values that are missing. Devices fill in the same, unless rows are dropped."""

    columns: list[str]
    """Of these columns."""


class _PrepareStepOutliersRequired(_t.TypedDict):
    bounds: OutlierBounds
    """Which are."""
    do: OutlierAct
    """What becomes of them."""
    step: _t.Literal["outliers"]


class PrepareStepOutliers(_PrepareStepOutliersRequired, total=False):
    """Values far from all others, in the rows to train on alone."""

    columns: list[str]
    """Of these columns."""


class PrepareStepDedupe(_t.TypedDict):
    """Rows to train on whose values and truth are those of another go."""

    step: _t.Literal["dedupe"]


class _PrepareStepScaleRequired(_t.TypedDict):
    method: ScaleMethod
    """How."""
    step: _t.Literal["scale"]


class PrepareStepScale(_PrepareStepScaleRequired, total=False):
    """Numbers on one scale. Devices do the same."""

    columns: list[str]
    """Of these columns."""


class _PrepareStepEncodeRequired(_t.TypedDict):
    method: EncodeMethod
    """How."""
    step: _t.Literal["encode"]


class PrepareStepEncode(_PrepareStepEncodeRequired, total=False):
    """Categories as numbers. Devices do the same."""

    columns: list[str]
    """Of these columns."""


class _PrepareStepWindowRequired(_t.TypedDict):
    columns: list[str]
    """Of these columns."""
    step: _t.Literal["window"]


class PrepareStepWindow(_PrepareStepWindowRequired, total=False):
    """Values before, of the same device, in the order of time. A device's engine remembers no inputs, so a
    request has to carry them: `sent` says that it does. It comes first.
    """

    lags: list[int]
    """Values so many rows before."""
    means: list[int]
    """Means over so many rows, with this one."""
    sent: bool
    """Whether requests carry what this makes."""


class _PrepareStepBalanceRequired(_t.TypedDict):
    method: BalanceMethod
    """How."""
    step: _t.Literal["balance"]


class PrepareStepBalance(_PrepareStepBalanceRequired, total=False):
    """As many rows to train on of each class."""

    seed: int
    """Which rows are chosen follows from it."""


PrepareStep: _t.TypeAlias = "PrepareStepMissing | PrepareStepOutliers | PrepareStepDedupe | PrepareStepScale | PrepareStepEncode | PrepareStepWindow | PrepareStepBalance"
"""One step. No `columns`: all that it can be done to."""


class Prepared(_t.TypedDict):
    """How a version was prepared."""

    done: list[PreparedStep]
    """What each step found in the rows to train on, and did."""
    pre: list[PreStep]
    """What a device has to do to its inputs, for `pre` of the bundle."""
    preparation: Preparation
    """What was declared."""
    request: list[DatasetColumn]
    """What a request carries then: the columns before those steps."""


class _PreparedStepRequired(_t.TypedDict):
    on_device: bool
    """Whether devices do it as well, with these numbers; else it is about training alone."""
    rows_after: int
    """Rows to train on after."""
    rows_before: int
    """Rows to train on before."""
    step: str
    """Its name."""
    text: str
    """In words."""


class PreparedStep(_PreparedStepRequired, total=False):
    """A step that was done."""

    fitted: dict[str, list[float]]
    """What it found, by column."""


class _ProblemRequired(_t.TypedDict):
    detail: str
    """What happened this time and what to do next."""
    status: int
    """HTTP status."""
    title: str
    """The kind, for people."""
    type: str
    """Names the kind of problem, for programs: `urn:tern:problem:not-vetted`."""


class Problem(_ProblemRequired, total=False):
    """An error, `application/problem+json` (RFC 9457)."""

    findings: list[Finding]
    """Single findings, where there are several."""


_ProgressAtRequired = _t.TypedDict("_ProgressAtRequired", {
    "after-ms": "int",
    "done": "Spread",
})


class ProgressAt(_ProgressAtRequired):
    """How far rollouts are at a moment."""


class ProgressView(_t.TypedDict):
    """A bundle on its way into a slot."""

    bytes: int
    """Bytes on the device."""
    bytes_total: int
    """Bytes in all; 0 before the manifest is there."""
    model: ModelName
    """The model."""
    phase: Phase
    """How far."""
    version: ModelVersion
    """Its version."""


class _ProposalAnswerRequired(_t.TypedDict):
    say: ProposalWord
    """What."""


class ProposalAnswer(_ProposalAnswerRequired, total=False):
    """What somebody says to a question."""

    note: str
    """Why, or anything else worth keeping."""


class _ProposalFactsRequired(_t.TypedDict):
    champion: ModelVersion
    """What serves."""
    evidence: list[str]
    """What called for it, each in a sentence."""
    labels: int
    """Labels that may be trained on."""
    new_labels: int
    """Of those, newer than the last dataset."""
    since: WallTime
    """About when what called for it began."""


class ProposalFacts(_ProposalFactsRequired, total=False):
    """The numbers of a proposal to train."""

    core_seconds: int | None
    """Core-seconds that a training took in the mean, if there was one."""
    core_seconds_left: int | None
    """Core-seconds that the budget leaves, if it is limited."""
    lessons: list[str]
    """What the last rounds taught, the latest first."""
    share_of_devices: float | None
    """Share of the devices that it is about, from 0 to 1."""
    sites: list[SiteName]
    """Sites that moved; none if it is the whole fleet, or no place."""


ProposalId: _t.TypeAlias = int


ProposalKind: _t.TypeAlias = _t.Literal["training", "unclear", "registration", "rollout"]
"""What a question is about."""


ProposalState: _t.TypeAlias = _t.Literal["open", "told", "agreed", "declined", "over"]
"""How a question stands."""


class _ProposalViewRequired(_t.TypedDict):
    at: WallTime
    """When it was put."""
    choices: list[ProposalWord]
    """What may be said; nothing if it is not open."""
    id: ProposalId
    """Its number."""
    kind: ProposalKind
    """What it is about."""
    model: ModelName
    """The model."""
    needs: str
    """Who has to agree, in words."""
    round: int
    """The round."""
    sentences: list[str]
    """All of it, to be read."""
    state: ProposalState
    """How it stands."""
    subject: str
    """In a line."""
    words: list[SaidWord]
    """What people said, the first first."""


class ProposalView(_ProposalViewRequired, total=False):
    """A question that a round puts to people, with what they said."""

    facts: ProposalFacts | None
    """What called for the round; of a proposal to train."""
    of: list[UserName]
    """People who may answer; anyone who may decide at all if none is named."""


ProposalWord: _t.TypeAlias = _t.Literal["agree", "decline", "again", "cancel"]
"""What a person may say."""


class QuarantineView(_t.TypedDict):
    """Windows of one device whose time is not believed: they count in totals, and no chart draws them."""

    device: DeviceId
    """The device."""
    doubt: Doubt
    """Why."""
    earliest: WallTime
    """The earliest that they can have been."""
    inferences: int
    """Inferences in them."""
    latest: WallTime
    """The latest that they can have been."""
    windows: int
    """Windows."""


Queue: _t.TypeAlias = _t.Literal["open", "disagreed"]
"""Which captures are asked about."""


class Rate(_t.TypedDict, total=False):
    """A share that differs from device to device, and stays what it is: most devices are good, some are bad."""

    bad: Share
    """The share of devices that are bad."""
    usual: Share
    """What a good device has."""
    worst: Share
    """What a bad device has at most: each has something between nothing and this."""


class Readiness(_t.TypedDict):
    """What is up."""

    broker: bool
    """The broker accepts connections."""
    database: bool
    """The database answers."""
    inbound: bool
    """The hub hears devices."""
    outbound: bool
    """The hub can speak to devices."""


class RecoveryCodes(_t.TypedDict):
    """Codes that each stand in for the second factor once. They are shown this once."""

    codes: list[str]
    """The codes."""


Reduce: _t.TypeAlias = _t.Literal["mean", "max", "min", "sum", "last"]
"""How elements become one value."""


_RehearsalRequired = _t.TypedDict("_RehearsalRequired", {
    "asked": "Chance",
    "devices": "int",
    "false-stops": "Chance",
    "finished": "Chance",
    "harms": "list[RehearsedHarm]",
    "progress": "list[ProgressAt]",
    "runs": "int",
})


_RehearsalOptional = _t.TypedDict("_RehearsalOptional", {
    "bytes": "Spread | None",
    "took-ms": "Spread | None",
}, total=False)


class Rehearsal(_RehearsalRequired, _RehearsalOptional):
    """What came of a rehearsal."""


class _RehearsalRequestRequired(_t.TypedDict):
    plan: Plan
    """The plan."""


class RehearsalRequest(_RehearsalRequestRequired, total=False):
    """`POST /plans/rehearse`: what is to be rehearsed."""

    fleet: SimulatedFleet | None
    """The fleet; the one that the plan selects, as it was recorded, if absent."""
    runs: int
    """Runs with a version that does no harm, and as many with each kind of harm."""


class _RehearsedRequired(_t.TypedDict):
    fleet: SimulatedFleet
    """The fleet."""
    recorded: bool
    """Whether it is the fleet as it was recorded."""
    rehearsal: Rehearsal
    """What came of it."""


class Rehearsed(_RehearsedRequired, total=False):
    """A rehearsal and the fleet that it was made with."""

    unknown: list[str]
    """What nothing was recorded of, in words."""


_RehearsedHarmOptional = _t.TypedDict("_RehearsedHarmOptional", {
    "hurt": "Spread | None",
    "hurt-hours": "Spread | None",
    "took-ms": "Spread | None",
    "touched": "Spread | None",
}, total=False)


class RehearsedHarm(_RehearsedHarmOptional):
    """A version that does harm, rehearsed."""

    asked: Chance
    """How many asked a person at least once."""
    effect: Effect
    """What it does."""
    finished: Chance
    """How many reached the end with it."""
    name: str
    """What it does, in words."""
    stopped: Chance
    """How many runs were stopped."""


RejectReason: _t.TypeAlias = _t.Literal["digest-mismatch", "bad-manifest", "no-space", "not-loadable", "golden-mismatch", "failed-serving", "agent-too-old", "unsigned", "revoked", "exhausting"]
"""Why a bundle was refused."""


class RejectedView(_t.TypedDict):
    """A refused bundle."""

    model: ModelName
    """The model."""
    reason: RejectReason
    """Why, for programs."""
    text: str
    """Why, for people."""
    version: ModelVersion
    """Its version."""


class ReliabilityPoint(_t.TypedDict):
    """One point of the reliability curve."""

    right: Estimated
    """Share that was right."""
    said: float
    """Mean confidence."""


class Renew(_t.TypedDict):
    """A device asks for a new certificate for its key, which its signing request proves that it has."""

    csr: str
    """Certificate signing request (PKCS #10, PEM) of the key that it joined with."""


class _ReplayRequired(_t.TypedDict):
    batches: int
    """Batches of evidence that were read."""
    decisions: list[Decision]
    """The decisions as they came out."""
    events: int
    """Events in them."""
    same: bool
    """Whether every decision came out again, byte for byte."""


class Replay(_ReplayRequired, total=False):
    """`POST /rollouts/{id}/replay`: whether what was decided follows from what is stored."""

    difference: ReplayDifference | None
    """The first decision that did not, as it is stored and as it came out."""


class ReplayDifference(_t.TypedDict, total=False):
    """A decision that came out otherwise."""

    computed: Decision | None
    """As it came out; absent if none did."""
    stored: Decision | None
    """As it is stored; absent if none is."""


class Resources(_t.TypedDict, total=False):
    """Memory and disk, in bytes. `None` where the system does not say."""

    agent_rss: int | None
    """Resident memory of the agent."""
    disk_free: int | None
    """Free space where the agent keeps its data."""
    memory: int | None
    """Memory of the device."""


class RetrainCheck(_t.TypedDict):
    """What is wrong with a policy, and what is worth knowing of one that can be carried out."""

    problems: list[RuleProblem]
    """All that is wrong with it; nothing if it can be carried out."""
    warnings: list[str]
    """What may be meant otherwise, or does not exist yet."""


class RetrainPolicyView(_t.TypedDict):
    """The policy by which a model is trained anew."""

    by: str
    """By whom."""
    mode: str
    """`propose` or `automatic`."""
    model: ModelName
    """The model."""
    rollout: str
    """By which plan template they are rolled out."""
    text: str
    """As it was written."""
    training: TrainingName
    """How challengers are trained."""
    updated: WallTime
    """When it was written."""


class RetrainText(_t.TypedDict):
    """A document as a person wrote it: YAML, or JSON."""

    text: str
    """All of it."""


class _RetrainViewRequired(_t.TypedDict):
    core_seconds_day: int
    """Core-seconds of the last 24 hours, with what is set aside."""
    core_seconds_month: int
    """Core-seconds of the last 30 days, with what is set aside."""
    model: ModelName
    """The model."""
    rounds: int
    """Rounds so far, with the open one."""


class RetrainView(_RetrainViewRequired, total=False):
    """How the retraining of a model stands."""

    cooling_until: WallTime | None
    """Before this no round begins."""
    ended: WallTime | None
    """When the last round ended."""
    policy: RetrainPolicyView | None
    """Its policy; none if it was taken away."""
    round: RoundView | None
    """The round that is open."""
    waits: str
    """What is waited for, as of the last look."""


class Retry(_t.TypedDict, total=False):
    """How often a device is asked again."""

    after: Span
    """How long after a refusal. Until then the device is wanted to be what it was."""
    times: dict[str, int]
    """Times, by the reason of the refusal; not at all for those that are not named."""


Revision: _t.TypeAlias = int


class _RevokeRequired(_t.TypedDict):
    reason: str
    """Why, for people."""


class Revoke(_RevokeRequired, total=False):
    """`POST /models/{model}/versions/{version}/revoke`."""

    replacement: ModelVersion | None
    """The version that devices get instead; by default the newest before it that is signed and not revoked, or
    else after it.
    """


class _RevokedRequired(_t.TypedDict):
    at: WallTime
    """When that was decided."""
    reason: str
    """Why, for people."""


class Revoked(_RevokedRequired, total=False):
    """A version that must not be loaded any more."""

    replacement: ModelVersion | None
    """What devices get instead; none if there is nothing to give them."""


Role: _t.TypeAlias = _t.Literal["viewer", "labeler", "scientist", "operator", "admin"]
"""What a member may do in a workspace. What each role permits is a table of the hub's, shown in the
documentation.
"""


class RoleKeys(_t.TypedDict):
    """Keys of a role."""

    keys: list[str]
    """Public keys, 64 hex digits each."""
    threshold: int
    """How many of them have to sign."""


class _RolloutCountsRequired(_t.TypedDict):
    assigned: int
    """Assigned, and not heard of since."""
    failed: int
    """Refused it."""
    in_progress: int
    """Fetching, verifying, vetting."""
    selected: int
    """Selected by the selector."""
    serving: int
    """Proven to serve the version."""
    targeted: int
    """In the share now."""


class RolloutCounts(_RolloutCountsRequired, total=False):
    """Devices of a rollout by where they are. Each device counts once."""

    stages: Stages
    """The same devices by how far its version got on them."""


class _RolloutDeviceRequired(_t.TypedDict):
    device: DeviceId
    """The device."""
    reason: str
    """Why it failed; empty if it did not."""
    site: SiteName
    """Its site."""
    state: RolloutDeviceState
    """Where it is."""


class RolloutDevice(_RolloutDeviceRequired, total=False):
    """A device in a rollout."""

    admitted: int | None
    """The stage, from 1, that admitted it, or in which it waits to be."""
    before: ModelVersion | None
    """The version that it had before."""
    part: Part | None
    """Its part in a rollout with a plan."""
    progress: float | None
    """Share of the bytes that it has, 0 to 1, while in progress."""
    stage: Stage | None
    """How far the version got on it; absent before it is assigned."""


RolloutDeviceState: _t.TypeAlias = _t.Literal["waiting", "assigned", "in-progress", "serving", "failed"]
"""Where a device of a rollout is."""


RolloutId: _t.TypeAlias = int


RolloutState: _t.TypeAlias = _t.Literal["running", "paused", "waiting", "complete", "aborted", "stopped", "superseded"]
"""How a rollout stands."""


class _RolloutViewRequired(_t.TypedDict):
    counts: RolloutCounts
    """Devices by where they are."""
    created: WallTime
    """When it was started."""
    id: RolloutId
    """Its id."""
    model: ModelName
    """The model."""
    percent: int
    """Share of them; of a rollout with a plan, always 100."""
    reason: str
    """One sentence for a person."""
    selector: Selector
    """Which devices."""
    slot: SlotName
    """The slot it fills."""
    state: RolloutState
    """How it stands."""
    updated: WallTime
    """When it last changed."""
    version: ModelVersion
    """The version."""


class RolloutView(_RolloutViewRequired, total=False):
    """A rollout."""

    actor: str | None
    """Who started it, as in the audit log; absent if it is older than that was noted."""
    devices: list[RolloutDevice]
    """Each device; left out in lists."""
    evidence: EvidenceView | None
    """What is known and was decided; absent without a plan, left out in lists."""
    plan: Plan | None
    """Its plan, if it decides by evidence; left out in lists."""
    precedence: int
    """Which of two rollouts has a device that both select: the one with the larger number, else the newer."""
    stage: StageOf | None
    """Its stage, from 1, and how many there are; absent without a plan, and before it begins."""
    warnings: list[str]
    """What stands in the way on some of its devices, for people; left out in lists."""


RoundOutcome: _t.TypeAlias = _t.Literal["recovered", "not-recovered", "declined", "expired", "superseded", "failed", "rejected", "rollout-stopped", "cancelled"]
"""How a round ended."""


RoundStage: _t.TypeAlias = _t.Literal["labels", "proposed", "dataset", "training", "comparison", "unclear", "asked-registration", "registration", "asked-rollout", "rollout", "watching"]
"""Where a round is."""


class _RoundViewRequired(_t.TypedDict):
    attempt: int
    """The attempt of its stage, from 1."""
    champion: ModelVersion
    """What serves."""
    evidence: list[CauseView]
    """What called for it."""
    number: int
    """Its number, from 1."""
    opened: WallTime
    """When it was opened."""
    since: WallTime
    """Since when it is in its stage."""
    stage: RoundStage
    """Where it is."""


class RoundView(_RoundViewRequired, total=False):
    """A round that is open."""

    agreed: list[str]
    """Who agreed, to what."""
    asks: ProposalId | None
    """The question that waits for an answer."""
    comparison: list[str]
    """What the comparison said; nothing before it."""
    dataset: int | None
    """Its dataset."""
    run: str | None
    """The run that tracked its training."""
    version: ModelVersion | None
    """The version that the challenger became."""
    work: list[RoundWork]
    """What was ordered so far, in order."""


class _RoundWorkRequired(_t.TypedDict):
    at: WallTime
    """When it was ordered."""
    attempt: int
    """The attempt, from 1."""
    state: str
    """`ordered`, `running`, `done`, `failed` or `stopped`."""
    step: str
    """`build`, `train`, `compare`, `register`, `roll-out`."""


class RoundWork(_RoundWorkRequired, total=False):
    """A piece of work that a round ordered."""

    number: int | None
    """What it is: number of a dataset, job, version or rollout."""
    reason: str
    """Why it failed."""


class RuleCheck(_t.TypedDict):
    """What is wrong with a file of rules, and what it would say now."""

    now: list[WouldAlert]
    """Each rule with what it would say now; empty if something is wrong."""
    problems: list[RuleProblem]
    """All that is wrong; nothing if it can be applied."""


RuleName: _t.TypeAlias = str


RuleOrigin: _t.TypeAlias = _t.Literal["default", "changed", "own"]
"""Where a rule comes from."""


class _RuleProblemRequired(_t.TypedDict):
    at: str
    """Where, as a path: `rules[0].when.metric.above`; empty if the file cannot be read at all."""
    text: str
    """What, and what to write instead."""


class RuleProblem(_RuleProblemRequired, total=False):
    """Something that is wrong with rules."""

    line: int | None
    """The line of the file, from 1; absent where there is no file."""


class _RuleTextRequired(_t.TypedDict):
    text: str
    """The file."""


class RuleText(_RuleTextRequired, total=False):
    """A file of rules as text, YAML or JSON."""

    prune: bool
    """Whether rules of the workspace that are not in it go, so that the file says all; those that every
    workspace has are as they come then.
    """


class RulesApplied(_t.TypedDict):
    """What a file of rules changed."""

    removed: list[RuleName]
    """Rules that went."""
    unchanged: list[RuleName]
    """Rules that were so before."""
    written: list[RuleName]
    """Rules that are as the file says now."""


class _RunCandidateRequired(_t.TypedDict):
    name: str
    """Its name."""
    run: str
    """Which run."""
    started: WallTime
    """When it began."""
    value: float
    """Its value of the metric."""


class RunCandidate(_RunCandidateRequired, total=False):
    """A run, as it is compared with others."""

    measured: CandidateCost | None
    """What was measured of its model, if it has one that devices can get."""


class _RunModelRequired(_t.TypedDict):
    message: str
    """What became of it, for people."""
    name: str
    """Under which name."""
    version: int
    """As which version of that."""


class RunModel(_RunModelRequired, total=False):
    """A model of a run that was registered."""

    deployable: VersionRef | None
    """What devices get, if it can be deployed."""


class _RunViewRequired(_t.TypedDict):
    artifact_uri: str
    """Where its files lie."""
    experiment: int
    """Its experiment."""
    metrics: dict[str, float | None]
    """The latest value of each metric; nothing for one that is no number."""
    name: str
    """Its name."""
    params: dict[str, str]
    """What it was given."""
    run: str
    """Its id: 32 hex digits."""
    started: WallTime
    """When it began."""
    status: str
    """`RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`."""
    tags: dict[str, str]
    """What is said of it."""
    user: str
    """Whose it is."""


class RunView(_RunViewRequired, total=False):
    """A run."""

    ended: WallTime | None
    """When it ended."""
    models: list[RunModel]
    """Models of it that were registered."""
    parent: str | None
    """The run that it is a part of."""


class _SaidRequired(_t.TypedDict):
    standing: Standing
    """How the capture stands now."""


class Said(_SaidRequired, total=False):
    """The answer to [`Say`] and to an undo."""

    item: Item | None
    """The capture, of an undo: to be labelled again."""


class SaidBy(_t.TypedDict):
    """What one person said."""

    labeller: str
    """Who."""
    truth: str
    """Which class or number."""


class _SaidWordRequired(_t.TypedDict):
    at: WallTime
    """When."""
    by: UserName
    """Who."""
    say: ProposalWord
    """What."""


class SaidWord(_SaidWordRequired, total=False):
    """What somebody said."""

    note: str
    """Why."""


class _SayRequired(_t.TypedDict):
    device: DeviceId
    """The device."""
    prediction: PredictionId
    """Its prediction."""


class Say(_SayRequired, total=False):
    """`POST /labelling/{model}/say`: the truth about a capture, or that whoever asks cannot say."""

    queue: Queue
    """From which queue it came: what is said of a disagreement decides it."""
    truth: str | None
    """The class, or the number; absent to skip: it is not asked again of the same person."""


ScaleMethod: _t.TypeAlias = _t.Literal["standard", "min-max", "robust"]
"""How numbers are scaled."""


class SecondFactor(_t.TypedDict):
    """A second factor that is being set up. It counts once a code was confirmed."""

    address: str
    """The same as an `otpauth://` address, to scan."""
    qr: str
    """The address as a QR code: SVG."""
    secret: str
    """The secret in Base32, to type."""


class Selector(_t.TypedDict, total=False):
    """Which devices: all that match every part."""

    devices: list[DeviceId]
    """One of these; empty: any."""
    expression: Expression | None
    """Of which this holds: `site in (harbour, hill) and not label.fragile`."""
    labels: dict[str, str]
    """With all these labels."""
    sites: list[SiteName]
    """At one of these sites; empty: at any."""


class Series(_t.TypedDict):
    """One line of a chart."""

    name: str
    """Its name: a quantile, a class, a version, a site."""
    points: list[Point]
    """One point an interval."""


class _ServingCountRequired(_t.TypedDict):
    devices: int
    """How many."""


class ServingCount(_ServingCountRequired, total=False):
    """Devices that serve one version."""

    version: VersionRef | None
    """The version; absent: nothing."""


class _ServingViewRequired(_t.TypedDict):
    confirmed: bool
    """Whether its trial is over."""
    errors: int
    """Requests that got an error, since then."""
    golden_difference: float
    """Largest absolute difference from the golden outputs when it was loaded."""
    inferences: int
    """Inferences answered since then."""
    model: ModelName
    """The model."""
    proven: bool
    """Whether that is the digest that was published for this version."""
    version: ModelVersion
    """Its version."""
    weights: Digest
    """Digest of the ONNX bytes that were loaded."""


class ServingView(_ServingViewRequired, total=False):
    """Proof of serving."""

    revoked: str | None
    """Why the version is revoked, if it is."""
    since: WallTime | None
    """When it was loaded, as far as the hub can tell."""


class SetRole(_t.TypedDict):
    """Sets the role of a member."""

    role: Role
    """The role from now on."""


class _SetupRequired(_t.TypedDict):
    code: str
    """The code of the link that the hub printed at its first start, or of a link that an admin handed out."""
    password: str
    """Its password, at least 12 characters."""


class Setup(_SetupRequired, total=False):
    """The first admin sets up the hub."""

    user: UserName | None
    """Name of the account; a link for an existing account has it already."""


class SetupLink(_t.TypedDict):
    """A link with which somebody sets a password, once. It is shown this once."""

    expires_at: WallTime
    """Until when it is good."""
    link: str
    """The link. Its secret stands behind `#`, which browsers send to nobody."""
    user: UserName
    """The account."""


ShadowPhase: _t.TypeAlias = _t.Literal["fetching", "verified", "vetted", "running", "rejected", "unsigned"]
"""Steps of a version that is to run beside what serves."""


class _ShadowViewRequired(_t.TypedDict):
    model: ModelName
    """The model."""
    version: ModelVersion
    """Its version."""


class ShadowView(_ShadowViewRequired, total=False):
    """A version that runs beside what serves, on some of the same inputs; nobody gets its answers."""

    cpu_permille: int | None
    """Share of one processor that it may take, in thousandths; absent if the hub does not want it any more and
    the device has not let it go yet.
    """
    phase: ShadowPhase | None
    """How far the device got with it; absent until it has said so."""
    reason: RejectReason | None
    """Why it was refused, for programs; absent unless it was."""
    text: str
    """What happened, for people; empty unless it was refused."""


Share: _t.TypeAlias = str


class Signatures(_t.TypedDict, total=False):
    """`POST /trust/signatures`: drafts that somebody signed."""

    root: str | None
    """The root, as JSON text."""
    targets: str | None
    """The targets, as JSON text."""


class _SignedVersionRequired(_t.TypedDict):
    bundle: BlobRef
    """Its bundle."""
    model: ModelName
    """The model."""
    revocation_signed: bool
    """Whether the revocation is signed; otherwise it waits for it."""
    signed: bool
    """Whether that is signed; otherwise it waits for it."""
    version: ModelVersion
    """Its version."""


class SignedVersion(_SignedVersionRequired, total=False):
    """A version as the targets list it."""

    revoked: str | None
    """Why it is revoked."""


_SilenceConditionOptional = _t.TypedDict("_SilenceConditionOptional", {
    "above": "Share",
    "after": "Span",
    "group-by": "AlertGroup",
    "minimum": "int",
    "site": "SiteName | None",
}, total=False)


class SilenceCondition(_SilenceConditionOptional):
    """Whose silence."""


SilenceId: _t.TypeAlias = int


_SilenceViewRequired = _t.TypedDict("_SilenceViewRequired", {
    "alerts": "int",
    "by": "str",
    "from": "WallTime",
    "id": "SilenceId",
    "matchers": "list[Matcher]",
    "until": "WallTime",
})


class SilenceView(_SilenceViewRequired, total=False):
    """A silence."""

    comment: str
    """Why."""


class _SimulatedFleetRequired(_t.TypedDict):
    groups: list[DeviceGroup]
    """Its devices, by what they have in common."""


class SimulatedFleet(_SimulatedFleetRequired, total=False):
    """A fleet as it is simulated."""

    bytes: Bytes
    """Bytes that a device fetches."""
    drift: Drift
    """What comes and goes for all devices alike."""
    horizon: Span
    """A run ends here, however far it is."""
    looks: Span
    """How often somebody looks at the evidence. The hub looks every second; rarer looks take less time to
    simulate.
    """


SiteName: _t.TypeAlias = str


class _SiteViewRequired(_t.TypedDict):
    devices: int
    """Devices there."""
    inferences_per_s: float
    """Inferences a second over the last minute."""
    labels: int
    """Labels that it stands on."""
    online: int
    """Of those, connected."""
    site: SiteName
    """Its name."""


class SiteView(_SiteViewRequired, total=False):
    """One site."""

    accuracy: float | None
    """Accuracy from labels of the last 100 predictions that have one; absent without labels."""


Size: _t.TypeAlias = "str | int"
"""A number of devices, or a share such as `10%`."""


SlotName: _t.TypeAlias = str


class _SlotViewRequired(_t.TypedDict):
    slot: SlotName
    """Its name."""


class SlotView(_SlotViewRequired, total=False):
    """A slot of a device: what was assigned, stored, loaded and proven, apart."""

    assigned: VersionRef | None
    """What the hub wants there."""
    previous: VersionRef | None
    """What would answer after a swap back."""
    progress: ProgressView | None
    """What is on its way."""
    rejected: RejectedView | None
    """What it refused, and why."""
    serving: ServingView | None
    """What answers requests, as the device proves it."""
    shadow: ShadowView | None
    """What runs beside what serves, or is to; absent if there is nothing of the kind."""
    stage: Stage | None
    """How far that got; absent if nothing is wanted."""


class SourceCount(_t.TypedDict):
    """Labels of one source."""

    labels: int
    """Labels."""
    source: LabelSource
    """The source."""


Span: _t.TypeAlias = str


Split: _t.TypeAlias = _t.Literal["train", "held-out", "kept-out"]
"""What rows of a dataset are for. What was in one of them in any version of a name is in no other in any later
one.
"""


_SplitCountsRequired = _t.TypedDict("_SplitCountsRequired", {
    "held-out": "int",
    "kept-out": "int",
    "train": "int",
})


class SplitCounts(_SplitCountsRequired):
    """Rows of each split."""


class Spread(_t.TypedDict):
    """Where values lie: nine in ten between `low` and `high`."""

    high: float
    """One in twenty is above it."""
    low: float
    """One in twenty is below it."""
    median: float
    """The middle."""


Stage: _t.TypeAlias = _t.Literal["assigned", "fetching", "stored", "loaded", "serving", "confirmed"]
"""How far a version got on a device. Each step proves more than the one before."""


class StageOf(_t.TypedDict):
    """A stage among all."""

    number: int
    """Which, from 1."""
    of: int
    """Of how many."""


_StagePlanOptional = _t.TypedDict("_StagePlanOptional", {
    "approval": "bool",
    "cap": "Span",
    "minimum": "Minimum",
    "shadow": "bool",
    "shadow-cpu": "Share",
    "soak": "Span",
}, total=False)


class StagePlan(_StagePlanOptional):
    """One stage."""

    to: Size
    """Devices that have the version from this stage on: a share of those selected that are not control, or a
    number.
    """


class Stages(_t.TypedDict, total=False):
    """Slots by how far a version got in them. Who is further counts for the stages before too, so the numbers
    fall from the first to the last.
    """

    assigned: int
    """The hub wants it, or it is there although nobody wants it any more."""
    confirmed: int
    """It served through its trial."""
    loaded: int
    """It was vetted and is in memory."""
    serving: int
    """It answers requests, proven by the digest of its weights."""
    stored: int
    """All of its bytes are there."""


Standing: _t.TypeAlias = _t.Literal["open", "half", "disagreed", "truth"]
"""What became of what was said."""


class _SubscriptionViewRequired(_t.TypedDict):
    created_at: WallTime
    """When."""
    created_by: str
    """Who made it."""
    dropped: int
    """Notices that were dropped since too many waited."""
    failed: int
    """Notices of the last 30 days that were given up."""
    id: SubscriptionId
    """Its id."""
    kind: Channel
    """By which way."""
    notices: list[NoticeKind]
    """Which notices."""
    target: str
    """Where to: addresses, or a webhook's host without what stands behind it."""
    waiting: int
    """Notices that wait to be delivered."""


class SubscriptionView(_SubscriptionViewRequired, total=False):
    """A receiver of notices."""

    error: str | None
    """What went wrong last, if nothing arrived since."""
    name: str
    """What it is for."""
    sent_at: WallTime | None
    """When one last arrived."""


class Subscribed(SubscriptionView, total=False):
    """A fresh subscription."""

    secret: str | None
    """What signs its webhooks, if the hub made it. It is shown this once."""


SubscriptionId: _t.TypeAlias = int


_SummaryRowOptional = _t.TypedDict("_SummaryRowOptional", {
    "from": "float | None",
    "share": "float | None",
    "to": "float | None",
}, total=False)


class SummaryRow(_SummaryRowOptional):
    """One thing that is known of an input that was not kept."""

    name: str
    """Its name in the reference profile, or its place."""


class _TableRowRequired(_t.TypedDict):
    name: str
    """Its name in the reference profile, or its place."""


class TableRow(_TableRowRequired, total=False):
    """One value of a table."""

    percentile: float | None
    """Share of the training values under it, 0 to 1; absent without a reference profile."""
    value: float | None
    """The value; absent if it is missing."""


class TappedMessage(_t.TypedDict):
    """A message."""

    at: WallTime
    """When the hub heard or said it."""
    payload: str
    """Its bytes, as Base64."""
    retained: bool
    """Whether the broker keeps it, or had kept it."""
    tapped: _t.Literal["message"]
    topic: str
    """Its MQTT topic."""


class TappedMissed(_t.TypedDict):
    """Messages that went by too fast to be told."""

    messages: int
    """How many."""
    tapped: _t.Literal["missed"]


Tapped: _t.TypeAlias = "TappedMessage | TappedMissed"
"""`GET /tap`, server-sent events: what devices and hub say to each other, as it is said. The SSE event's name is
the variant's, its data this as JSON.
"""


class _TensorSourceRequired(_t.TypedDict):
    output: str
    """A declared output, as it is after its steps; or the output of any node of the graph."""


class TensorSource(_TensorSourceRequired, total=False):
    """A tensor of the graph that gives one value an inference."""

    reduce: Reduce
    """How its elements become one value."""


class TensorSpec(_t.TypedDict):
    """Name, element type and shape of one input or output of a model."""

    dtype: Dtype
    """Its element type."""
    name: str
    """Its name in the ONNX graph."""
    shape: list[int]
    """Its dimensions; -1 stands for the batch and is allowed in the first place only."""


class TestOutcome(_t.TypedDict):
    """What came of a test."""

    arrived: bool
    """Whether the receiver took it."""
    id: str
    """Its id, as the receiver got it."""
    text: str
    """What came of it, in words."""


class _TimelineEntryRequired(_t.TypedDict):
    at: WallTime
    """When, by the hub's clock."""
    id: int
    """Its number; newer entries have higher ones, but a device that was away tells of earlier times."""
    kind: str
    """What: `assigned`, `fetching`, `fetched`, `verified`, `vetted`, `waiting`, `serving`, `proven`,
    `confirmed`, `rejected`, `swapped-back`, `revoked`, `started`, `away` …
    """
    says: str
    """What happened in a few words, the version left out."""
    text: str
    """Why, or what was measured; may be empty."""


class TimelineEntry(_TimelineEntryRequired, total=False):
    """An entry of a device's timeline: what happened, told by the device or seen by the hub."""

    actor: str | None
    """Who is behind it, as in the audit log."""
    rollout: RolloutId | None
    """On behalf of which rollout."""
    since: WallTime | None
    """When it began, if it lasted."""
    slot: SlotName | None
    """In which slot; absent: it is about the device."""
    version: VersionRef | None
    """With which version."""


Together: _t.TypeAlias = _t.Literal["rule", "site", "none"]
"""What is told in one notice."""


TokenId: _t.TypeAlias = int


class Totals(_t.TypedDict):
    """What was counted since the hub was made."""

    captures: int
    """Captures stored."""
    egress_bytes: int
    """Bytes of chunks that the hub published, each counted once however many devices listened."""
    inferences: int
    """Inferences in stored windows."""
    labels: int
    """Labels stored."""
    malformed: int
    """MQTT messages that the hub could not read."""
    windows: int
    """Windows stored."""


class TrainedOn(_t.TypedDict):
    """What a version of a model was trained on."""

    id: DatasetId
    """Its number in the hub."""
    name: DatasetName
    """The dataset."""
    number: int
    """Which version of it."""


TrainingName: _t.TypeAlias = str


class TrainingView(_t.TypedDict):
    """How challengers are trained: a job that is kept under a name."""

    by: str
    """By whom."""
    models: list[ModelName]
    """Models whose policies name it."""
    name: TrainingName
    """Its name."""
    text: str
    """As it was written; what is secret in it is not shown."""
    updated: WallTime
    """When it was written."""


class Transcode(_t.TypedDict):
    """`POST /models/{model}/versions/{version}/transcodings`: publish it with weights stored otherwise."""

    to: Transcoding
    """How."""


_TranscodedRequired = _t.TypedDict("_TranscodedRequired", {
    "from": "ModelVersion",
    "golden_samples": "int",
    "labelled": "int",
    "largest_difference": "float",
    "mean_difference": "float",
    "onnx_bytes_before": "int",
    "tensors": "int",
    "to": "Transcoding",
})


class Transcoded(_TranscodedRequired, total=False):
    """What a version is another form of, and what the hub measured of both."""

    right_after: float | None
    """Share of these that this version gets right; none without any."""
    right_before: float | None
    """Share of these that the version before gets right; none without any."""
    same_class: int | None
    """Of these, how many have the same class as before; none unless a classifier."""


Transcoding: _t.TypeAlias = _t.Literal["fp16", "int8"]
"""How weights are stored."""


class _TrustRequired(_t.TypedDict):
    root: int
    """Version of the root; 0: it has none yet."""
    targets: int
    """Version of the targets; 0: it has none yet."""


class Trust(_TrustRequired, total=False):
    """The signed metadata that a device goes by."""

    expires: WallTime | None
    """When the first of the metadata expires. Expired ones count until newer ones come."""
    problem: str | None
    """Why the newest that it was offered are refused."""


class TrustKey(_t.TypedDict):
    """A key of a role."""

    held_by_hub: bool
    """Whether the hub holds it."""
    id: str
    """Its name: SHA-256 of its canonical form, 64 hex digits."""


class TrustPlan(_t.TypedDict, total=False):
    """`POST /trust/plan`: which keys are to sign from now on. Roles that are left out stay as they are."""

    online: bool
    """Whether the hub makes itself a new key for snapshot and timestamp."""
    release: RoleKeys | None
    """Keys for targets."""
    root: RoleKeys | None
    """Keys for roots."""


class TrustRole(_t.TypedDict):
    """A role of the signed metadata."""

    expires: WallTime
    """When it expires."""
    keys: list[TrustKey]
    """Its keys."""
    role: str
    """`root`, `targets`, `snapshot` or `timestamp`."""
    threshold: int
    """How many of them have to sign."""
    version: int
    """Version in effect."""


class _TrustViewRequired(_t.TypedDict):
    development: bool
    """Whether the hub itself holds a key for roots or for targets: whoever takes it over can then sign models.
    """
    roles: list[TrustRole]
    """The roles: root, targets, snapshot, timestamp."""
    root: str
    """The root in effect, as JSON text."""
    targets: str
    """The targets in effect, as JSON text."""
    versions: list[SignedVersion]
    """The versions of models that are signed or wait for it, by model and version."""


class TrustView(_TrustViewRequired, total=False):
    """Who signs what, and what waits for signatures."""

    draft_root: Draft | None
    """A root that waits for signatures."""
    draft_targets: Draft | None
    """Targets that wait for signatures."""


_TruthViewOptional = _t.TypedDict("_TruthViewOptional", {
    "arm": "Part | None",
    "classes": "ClassTruth | None",
    "delay_ms": "int | None",
    "from": "WallTime | None",
    "numbers": "NumberTruth | None",
    "site": "SiteName | None",
    "to": "WallTime | None",
}, total=False)


class TruthView(_TruthViewOptional):
    """What labels say of one version."""

    estimate: EstimateView
    """What is to be expected without labels, day by day."""
    labels: int
    """Labels that the figures stand on."""
    left_out: int
    """Labels that are left out of them, since they were chosen by what the model said and not by a known chance:
    those that the labelling page asked for first.
    """
    model: ModelName
    """The model."""
    more: bool
    """Whether there are older labels that were not read."""
    sources: list[SourceCount]
    """How many of the labels came from where."""
    version: ModelVersion
    """Its version."""


class Unheard(_t.TypedDict, total=False):
    """What is allowed of something that happens in time."""

    after: Span
    """Of silence: how long without a word counts. Of restarts: the time that is looked at. Each device is looked
    at after once, twice, four times … this long.
    """
    certainty: Certainty
    """How sure one must be that it is not more."""
    limit: Share | None
    """So much at all."""
    margin: Share | None
    """So much more than the control."""


class UnknownStep(_t.TypedDict):
    """The name of what is no step."""

    step: str
    """As it was declared."""


UserName: _t.TypeAlias = str


class _UserViewRequired(_t.TypedDict):
    created_at: WallTime
    """When it was made."""
    enabled: bool
    """Whether it may log in."""
    hub_admin: bool
    """Whether it runs the hub."""
    login: LoginKind
    """How it shows who it is."""
    memberships: list[Membership]
    """What it may do where."""
    name: UserName
    """Its name."""
    second_factor: bool
    """Whether it has a second factor."""


class UserView(_UserViewRequired, total=False):
    """An account."""

    last_login_at: WallTime | None
    """When it last logged in."""


Verdict: _t.TypeAlias = _t.Literal["pass", "inconclusive", "fail"]
"""What is known of one claim."""


class VersionDelivery(_t.TypedDict):
    """How a version got to its devices."""

    began: WallTime
    """When a device first asked for something of it."""
    latest: WallTime
    """When something of it last moved."""
    moved: Moving
    """What moved."""
    parts: list[PartDelivery]
    """The same by part."""
    stages: Stages
    """How far it got on devices."""
    version: VersionRef
    """The version."""


class VersionRef(_t.TypedDict):
    """A model's version."""

    model: ModelName
    """The model."""
    version: ModelVersion
    """Its version."""


class _VersionViewRequired(_t.TypedDict):
    bundle: BlobRef
    """The bundle: digest and length of its manifest."""
    classes: list[str]
    """Names of the classes."""
    created: WallTime
    """When it was published."""
    devices_serving: int
    """Devices that serve it now."""
    inputs: list[TensorSpec]
    """Its inputs."""
    model: ModelName
    """The model."""
    note: str
    """What is new."""
    onnx: BlobRef
    """The ONNX file."""
    outputs: list[TensorSpec]
    """Its outputs."""
    signed: bool
    """Whether its bundle is signed, so that devices take it."""
    total_bytes: int
    """Bytes that a device fetches for it: manifest and parts."""
    version: ModelVersion
    """Its number."""
    vetting: Vetting
    """What vetting measured."""


class VersionView(_VersionViewRequired, total=False):
    """A version of a model."""

    bases: list[Base]
    """Versions that a delta may start from, newest first."""
    dataset: TrainedOn | None
    """The dataset that it was trained on, if somebody said."""
    deltas: list[DeltaView]
    """What became of the deltas from these, newest base first."""
    lacks: list[BlobPart]
    """Its files that the hub lacks, since they were damaged on its disk or are gone: until they are published
    again it does not ship.
    """
    measured: list[Measured]
    """What vetting measured, one entry a class of target."""
    metrics: list[MetricSpec]
    """Metrics of its own."""
    min_agent: AgentVersion | None
    """The oldest agent that may run it."""
    post: list[OutputSteps]
    """Steps between the graph and an answer."""
    pre: list[InputSteps]
    """Steps between a request and the graph."""
    revoked: Revoked | None
    """Why it is revoked, if it is."""
    stages: Stages
    """How far it got, over all slots of all devices."""
    transcoded: Transcoded | None
    """Of which version it is another form, and what that cost, if it was made by transcoding."""
    validation_accuracy: float | None
    """Accuracy on the trainer's validation part."""


class Vetting(_t.TypedDict):
    """What the hub measured when it vetted a model with the agents' own engine."""

    golden_difference: float
    """Largest absolute difference from a golden output."""
    golden_samples: int
    """Golden samples reproduced."""
    latency_us: float
    """Median latency of one sample on the hub, in microseconds."""
    load_ms: float
    """Time to load and optimise, in milliseconds."""
    operators: list[str]
    """Operators of the graph, sorted."""


WallTime: _t.TypeAlias = int


class _WebhookGateRequired(_t.TypedDict):
    url: str
    """Where; `https`, or `http` to the hub's own machine."""


class WebhookGate(_WebhookGateRequired, total=False):
    """A question to somebody else's program: `POST` of the rollout's stage, its gates' verdicts and numbers as
    JSON. It answers with `{"verdict": "pass" | "fail" | "inconclusive", "reason": "…"}`.
    """

    every: Span
    """How long after an answer that is not a pass it is asked again."""


class Widen(_t.TypedDict):
    """`POST /rollouts/{id}/widen`."""

    percent: int
    """New share, 1 to 100, not under the old one."""


class Withdrawn(_t.TypedDict):
    """A version whose data had to go."""

    at: WallTime
    """Since when."""
    reason: str
    """Why."""


WorkspaceId: _t.TypeAlias = str


class WorkspaceView(_t.TypedDict):
    """A workspace."""

    id: WorkspaceId
    """Its id."""
    role: Role
    """What whoever asks may do there."""


class WouldAlert(_t.TypedDict):
    """What would be an alert now."""

    rule: RuleName
    """By which rule."""
    summaries: list[str]
    """What it would say; nothing if all is well."""
