"""The calls of the hub's REST API, one method each.

Written by `generate.py` from the hub's OpenAPI document: change that, not this.
"""

from __future__ import annotations

import typing as _t

from .._caller import Caller as _Caller
from .._http import Content as _Content
from ..streams import Download as _Download, Events as _Events, Pages as _Pages
from . import types as t


class Calls(_Caller):
    """Every call of the hub, as its OpenAPI document has it. Those of a workspace speak about
    `self.workspace`. `timeout` is in seconds.
    """

    def abort_rollout(
        self,
        id: int,
        body: t.Abort,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /rollouts/{id}/abort`: End a rollout; moved devices go back to what they had, unless told to
        stay.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}/abort",
                body=body,
                timeout=timeout,
            ),
        )

    def accept_finding(
        self,
        finding: int,
        *,
        timeout: float | None = None,
    ) -> t.FindingView:
        """`POST /findings/{finding}/accept`: Say that what was found is usual from now on. The finding ends
        within seconds, and the same is not told again.

        - finding: Its number.
        """
        return _t.cast(
            "t.FindingView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/findings/{self._segment(finding)}/accept",
                timeout=timeout,
            ),
        )

    def accept_identity(
        self,
        id: int,
        body: t.Because,
        *,
        timeout: float | None = None,
    ) -> t.IdentityView:
        """`POST /identities/{id}/accept`: Let a pending identity speak for its device, in place of the one that
        does.

        - id: Id of the identity.
        """
        return _t.cast(
            "t.IdentityView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/identities/{self._segment(id)}/accept",
                body=body,
                timeout=timeout,
            ),
        )

    def acknowledge_alert(
        self,
        id: int,
        body: t.Acknowledge,
        *,
        timeout: float | None = None,
    ) -> t.AlertView:
        """`POST /alerts/{id}/acknowledge`: Say that you know of an alert: it is not told again until it is over.

        - id: Its number.
        """
        return _t.cast(
            "t.AlertView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/alerts/{self._segment(id)}/acknowledge",
                body=body,
                timeout=timeout,
            ),
        )

    def add_datastore(
        self,
        body: t.NewDatastore,
        *,
        timeout: float | None = None,
    ) -> t.DatastoreView:
        """`POST /datastores`: Add a datastore, or change the one of this name."""
        return _t.cast(
            "t.DatastoreView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/datastores",
                body=body,
                timeout=timeout,
            ),
        )

    def answer_proposal(
        self,
        id: int,
        body: t.ProposalAnswer,
        *,
        timeout: float | None = None,
    ) -> t.ProposalView:
        """`POST /proposals/{id}/say`: Answer a question: `publish` is needed for what becomes of models,
        `operate` for what becomes of devices, and to be named where the policy names people.

        - id: Its number.
        """
        return _t.cast(
            "t.ProposalView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/proposals/{self._segment(id)}/say",
                body=body,
                timeout=timeout,
            ),
        )

    def apply_rules(
        self,
        body: t.RuleText,
        *,
        timeout: float | None = None,
    ) -> t.RulesApplied:
        """`POST /alerts/rules/apply`: Write the rules of a file, all or none."""
        return _t.cast(
            "t.RulesApplied",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/alerts/rules/apply",
                body=body,
                timeout=timeout,
            ),
        )

    def approve_rollout(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /rollouts/{id}/approve`: Let the next stage begin, although a person was to be asked or nothing
        is proven.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}/approve",
                timeout=timeout,
            ),
        )

    def best_run(
        self,
        experiment: str,
        *,
        metric: str,
        direction: _t.Literal["max", "min"] | None = None,
        filter: str | None = None,
        where: str | None = None,
        timeout: float | None = None,
    ) -> t.BestRun:
        """`GET /experiments/{experiment}/best`: Find the best run of an experiment: by a metric, among those
        whose model devices can afford, and with all between which there is to choose.

        - experiment: Its number or its name.
        - metric: By which metric.
        - direction: Which end of it is good; the highest by default.
        - filter: Only of those that this filter takes.
        - where: What its model may cost, as `size < 200 kB and p95_ms < 5`: `size`, `latency_ms`, `p95_ms`
          and `memory` as vetting measured them.
        """
        return _t.cast(
            "t.BestRun",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/experiments/{self._segment(experiment)}/best",
                query={"metric": metric, "direction": direction, "filter": filter, "where": where},
                timeout=timeout,
            ),
        )

    def bundle(
        self,
        *,
        timeout: float | None = None,
    ) -> str:
        """`GET /api/v1/ca`: Get the certificates that vouch for the hub."""
        return self._text(
            "GET",
            "/api/v1/ca",
            timeout=timeout,
        )

    def cancel_capture_request(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.CaptureRequestView:
        """`POST /capture-requests/{id}/cancel`: Take a request for captures back.

        - id: Its number.
        """
        return _t.cast(
            "t.CaptureRequestView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/capture-requests/{self._segment(id)}/cancel",
                timeout=timeout,
            ),
        )

    def cancel_job(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.JobDetail:
        """`POST /jobs/{id}/cancel`: End a job.

        One that runs is asked to end, and ended with all of its processes if it does not.

        - id: Its number.
        """
        return _t.cast(
            "t.JobDetail",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}/cancel",
                timeout=timeout,
            ),
        )

    def captures_kept(
        self,
        *,
        model: str | None = None,
        site: str | None = None,
        timeout: float | None = None,
    ) -> t.CapturesKept:
        """`GET /captures/kept`: Count captures: by version, site, reason and day, and what devices spent of
        their budgets.

        Of the newest 200,000.

        - model: Only those of this model.
        - site: Only those from this site.
        """
        return _t.cast(
            "t.CapturesKept",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/captures/kept",
                query={"model": model, "site": site},
                timeout=timeout,
            ),
        )

    def change_password(
        self,
        body: t.ChangePassword,
        *,
        timeout: float | None = None,
    ) -> None:
        """`POST /api/v1/me/password`: Change the password; all sessions of the account end."""
        self._tell(
            "POST",
            "/api/v1/me/password",
            body=body,
            timeout=timeout,
        )

    def chart(
        self,
        metric: t.Metric,
        *,
        name: str | None = None,
        model: str | None = None,
        version: int | None = None,
        site: str | None = None,
        device: str | None = None,
        arm: _t.Literal["treatment", "control", "last", "ignored"] | None = None,
        group: _t.Literal["none", "version", "site", "arm"] | None = None,
        from_: int | None = None,
        to: int | None = None,
        step_ms: int | None = None,
        timeout: float | None = None,
    ) -> t.Chart:
        """`GET /charts/{metric}`: Draw a quantity over time.

        - metric: The quantity.
        - name: Of `custom`: the name of a metric that the model declares.
        - model: Only of this model.
        - version: Only of this version.
        - site: Only of devices at this site.
        - device: Only of this device.
        - arm: Only of devices that had this part in a rollout, `treatment` or `control`; not together with
          `device`.
        - group: What makes one series each; `none` by default.
        - from_: Start in milliseconds since 1970; 15 minutes before the end by default.
        - to: End in milliseconds since 1970; now by default.
        - step_ms: Length of an interval in milliseconds; so that there are 60 by default.
        """
        return _t.cast(
            "t.Chart",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/charts/{self._segment(metric)}",
                query={"name": name, "model": model, "version": version, "site": site, "device": device, "arm": arm, "group": group, "from": from_, "to": to, "step_ms": step_ms},
                timeout=timeout,
            ),
        )

    def chart_csv(
        self,
        metric: t.Metric,
        *,
        name: str | None = None,
        model: str | None = None,
        version: int | None = None,
        site: str | None = None,
        device: str | None = None,
        arm: _t.Literal["treatment", "control", "last", "ignored"] | None = None,
        group: _t.Literal["none", "version", "site", "arm"] | None = None,
        from_: int | None = None,
        to: int | None = None,
        step_ms: int | None = None,
        timeout: float | None = None,
    ) -> str:
        """`GET /charts/{metric}`: Draw a quantity over time.

        - metric: The quantity.
        - name: Of `custom`: the name of a metric that the model declares.
        - model: Only of this model.
        - version: Only of this version.
        - site: Only of devices at this site.
        - device: Only of this device.
        - arm: Only of devices that had this part in a rollout, `treatment` or `control`; not together with
          `device`.
        - group: What makes one series each; `none` by default.
        - from_: Start in milliseconds since 1970; 15 minutes before the end by default.
        - to: End in milliseconds since 1970; now by default.
        - step_ms: Length of an interval in milliseconds; so that there are 60 by default.
        """
        return self._text(
            "GET",
            f"/api/v1/w/{self._workspace}/charts/{self._segment(metric)}",
            query={"name": name, "model": model, "version": version, "site": site, "device": device, "arm": arm, "group": group, "from": from_, "to": to, "step_ms": step_ms, "format": "csv"},
            timeout=timeout,
        )

    def check_plan(
        self,
        body: t.Plan,
        *,
        timeout: float | None = None,
    ) -> t.PlanCheck:
        """`POST /plans/check`: Say what is wrong with a plan, and what would come of it; nothing is changed."""
        return _t.cast(
            "t.PlanCheck",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/plans/check",
                body=body,
                timeout=timeout,
            ),
        )

    def check_policy(
        self,
        body: t.RetrainText,
        *,
        timeout: float | None = None,
    ) -> t.RetrainCheck:
        """`POST /retraining/check`: Say what is wrong with a policy, line by line, and what it names that is not
        there; nothing is changed.
        """
        return _t.cast(
            "t.RetrainCheck",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/retraining/check",
                body=body,
                timeout=timeout,
            ),
        )

    def check_rules(
        self,
        body: t.RuleText,
        *,
        timeout: float | None = None,
    ) -> t.RuleCheck:
        """`POST /alerts/rules/check`: Say what is wrong with a file of rules, line by line, and what it would
        say now; nothing is changed.
        """
        return _t.cast(
            "t.RuleCheck",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/alerts/rules/check",
                body=body,
                timeout=timeout,
            ),
        )

    def confirm_factor(
        self,
        body: t.Code,
        *,
        timeout: float | None = None,
    ) -> t.RecoveryCodes:
        """`POST /api/v1/me/second-factor/confirm`: Confirm the second factor by a code of it."""
        return _t.cast(
            "t.RecoveryCodes",
            self._json(
                "POST",
                "/api/v1/me/second-factor/confirm",
                body=body,
                timeout=timeout,
            ),
        )

    def create_token(
        self,
        body: t.NewToken,
        *,
        timeout: float | None = None,
    ) -> t.Minted:
        """`POST /tokens`: Make an API token for oneself."""
        return _t.cast(
            "t.Minted",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/tokens",
                body=body,
                timeout=timeout,
            ),
        )

    def create_user(
        self,
        body: t.NewUser,
        *,
        timeout: float | None = None,
    ) -> t.SetupLink:
        """`POST /api/v1/users`: Make an account, and a link with which its owner sets a password."""
        return _t.cast(
            "t.SetupLink",
            self._json(
                "POST",
                "/api/v1/users",
                body=body,
                timeout=timeout,
            ),
        )

    def create_workspace(
        self,
        body: t.NewWorkspace,
        *,
        timeout: float | None = None,
    ) -> t.NewWorkspace:
        """`POST /api/v1/workspaces`: Make a workspace."""
        return _t.cast(
            "t.NewWorkspace",
            self._json(
                "POST",
                "/api/v1/workspaces",
                body=body,
                timeout=timeout,
            ),
        )

    def delete_captures(
        self,
        body: t.NewCaptureDeletion,
        *,
        timeout: float | None = None,
    ) -> t.DeletionView:
        """`POST /capture-deletions`: Delete captures and truths.

        Of a device, of single predictions, or of a subject. Devices are told to forget what they still hold,
        and what comes from them all the same is not taken. The answer is a receipt whose digest stands in the
        audit log.
        """
        return _t.cast(
            "t.DeletionView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/capture-deletions",
                body=body,
                timeout=timeout,
            ),
        )

    def device_events(
        self,
        device: str,
        *,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.EventView]:
        """`GET /devices/{device}/events`: List what happened on a device.

        - device: Id of the device.
        - limit: Events, at most 1,000; 100 by default.
        """
        return _t.cast(
            "_Pages[t.EventView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/devices/{self._segment(device)}/events",
                query={"limit": limit},
                timeout=timeout,
            ),
        )

    def device_timeline(
        self,
        device: str,
        *,
        slot: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.TimelineEntry]:
        """`GET /devices/{device}/timeline`: Tell the story of a device: what it told and what the hub saw and
        did, newest first.

        Of one device, the last 500 entries are kept.

        - device: Id of the device.
        - slot: Only this slot, with what concerns the whole device.
        - limit: Entries on the page, at most 500; 50 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.TimelineEntry]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/devices/{self._segment(device)}/timeline",
                query={"slot": slot, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def diff_datasets(
        self,
        dataset: str,
        other: str,
        *,
        timeout: float | None = None,
    ) -> t.DatasetDiff:
        """`GET /datasets/{dataset}/diff/{other}`: Compare two versions, row by row.

        - dataset: One version.
        - other: The other.
        """
        return _t.cast(
            "t.DatasetDiff",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/datasets/{self._segment(dataset)}/diff/{self._segment(other)}",
                timeout=timeout,
            ),
        )

    def disable_user(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`POST /api/v1/users/{user}/disable`: Disable an account: its sessions end, its tokens work no longer.

        - user: Name of the account.
        """
        self._tell(
            "POST",
            f"/api/v1/users/{self._segment(user)}/disable",
            timeout=timeout,
        )

    def distances(
        self,
        model: str,
        version: int,
        *,
        site: str | None = None,
        from_: int | None = None,
        to: int | None = None,
        baseline: _t.Literal["training", "week-before"] | None = None,
        timeout: float | None = None,
    ) -> t.DistancesView:
        """`GET /models/{model}/versions/{version}/distances`: How far a version's inputs and answers are from
        training, or from the week before, at each site.

        - model: The model.
        - version: Its version.
        - site: Only at this site.
        - from_: Start in milliseconds since 1970; a day before the end by default.
        - to: End in milliseconds since 1970; now by default.
        - baseline: What the time is compared with: `training` by default.
        """
        return _t.cast(
            "t.DistancesView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}/distances",
                query={"site": site, "from": from_, "to": to, "baseline": baseline},
                timeout=timeout,
            ),
        )

    def distances_csv(
        self,
        model: str,
        version: int,
        *,
        site: str | None = None,
        from_: int | None = None,
        to: int | None = None,
        baseline: _t.Literal["training", "week-before"] | None = None,
        timeout: float | None = None,
    ) -> str:
        """`GET /models/{model}/versions/{version}/distances`: How far a version's inputs and answers are from
        training, or from the week before, at each site.

        - model: The model.
        - version: Its version.
        - site: Only at this site.
        - from_: Start in milliseconds since 1970; a day before the end by default.
        - to: End in milliseconds since 1970; now by default.
        - baseline: What the time is compared with: `training` by default.
        """
        return self._text(
            "GET",
            f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}/distances",
            query={"site": site, "from": from_, "to": to, "baseline": baseline, "format": "csv"},
            timeout=timeout,
        )

    def download(
        self,
        digest: str,
        *,
        timeout: float | None = None,
    ) -> _Download:
        """`GET /delivery/blobs/{digest}`: Download a blob that a version of the workspace names, or a range of
        it (`Range: bytes=0-65535`).

        - digest: SHA-256 of the bytes, 64 lower-case hex digits.
        """
        return self._bytes(
            "GET",
            f"/api/v1/w/{self._workspace}/delivery/blobs/{self._segment(digest)}",
            timeout=timeout,
        )

    def enable_user(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`POST /api/v1/users/{user}/enable`: Enable an account again.

        - user: Name of the account.
        """
        self._tell(
            "POST",
            f"/api/v1/users/{self._segment(user)}/enable",
            timeout=timeout,
        )

    def end_silence(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /alerts/silences/{id}`: End a silence before its time.

        - id: Its number.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/alerts/silences/{self._segment(id)}",
            timeout=timeout,
        )

    def freeze_workspace(
        self,
        body: t.NewFreeze,
        *,
        timeout: float | None = None,
    ) -> t.Freeze:
        """`POST /freeze`: Freeze the workspace: no device is moved until somebody thaws it."""
        return _t.cast(
            "t.Freeze",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/freeze",
                body=body,
                timeout=timeout,
            ),
        )

    def get_blob(
        self,
        digest: str,
        *,
        timeout: float | None = None,
    ) -> _Download:
        """`GET /blobs/{digest}`: Download a blob.

        - digest: SHA-256 of the bytes, 64 lower-case hex digits.
        """
        return self._bytes(
            "GET",
            f"/api/v1/w/{self._workspace}/blobs/{self._segment(digest)}",
            timeout=timeout,
        )

    def get_dataset_file(
        self,
        dataset: str,
        file: str,
        *,
        timeout: float | None = None,
    ) -> _Download:
        """`GET /datasets/{dataset}/files/{file}`: Download a file of a version.

        - dataset: `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
        - file: Name of the file: `dataset.json`, `train.parquet`, `held-out.parquet`, `kept-out.parquet`.
        """
        return self._bytes(
            "GET",
            f"/api/v1/w/{self._workspace}/datasets/{self._segment(dataset)}/files/{self._segment(file)}",
            timeout=timeout,
        )

    def hand_in_signatures(
        self,
        body: t.Signatures,
        *,
        timeout: float | None = None,
    ) -> t.TrustView:
        """`POST /trust/signatures`: Hand in documents that were signed.

        A signature counts if it is by a key of the role. What has enough of them takes effect at once.
        """
        return _t.cast(
            "t.TrustView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/trust/signatures",
                body=body,
                timeout=timeout,
            ),
        )

    def head_blob(
        self,
        digest: str,
        *,
        timeout: float | None = None,
    ) -> bool:
        """`HEAD /blobs/{digest}`: Ask whether a blob is there.

        One that is stays for a while, also if nothing refers to it yet: whoever asks is about to publish.

        - digest: SHA-256 of the bytes, 64 lower-case hex digits.
        """
        return self._exists(
            "HEAD",
            f"/api/v1/w/{self._workspace}/blobs/{self._segment(digest)}",
            timeout=timeout,
        )

    def healthz(
        self,
        *,
        timeout: float | None = None,
    ) -> str:
        """`GET /healthz`: The process is alive."""
        return self._text(
            "GET",
            "/healthz",
            timeout=timeout,
        )

    def import_labels(
        self,
        body: t.LabelImport,
        *,
        dry_run: bool | None = None,
        timeout: float | None = None,
    ) -> t.LabelImportResult:
        """`POST /labels`: Bring truths about captured predictions.

        As JSON, or as CSV with the columns `device`, `prediction` and `truth` among others. Each stands
        alone: refused ones come back with the reason and hold nothing up. A table that cannot be read is
        refused whole, with the line.

        - dry_run: Only say what would become of them: nothing is stored.
        """
        return _t.cast(
            "t.LabelImportResult",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/labels",
                query={"dry_run": dry_run},
                body=body,
                twice=True,
                timeout=timeout,
            ),
        )

    def import_labels_csv(
        self,
        body: str | _Content,
        *,
        dry_run: bool | None = None,
        timeout: float | None = None,
    ) -> t.LabelImportResult:
        """`POST /labels`: Bring truths about captured predictions.

        As JSON, or as CSV with the columns `device`, `prediction` and `truth` among others. Each stands
        alone: refused ones come back with the reason and hold nothing up. A table that cannot be read is
        refused whole, with the line.

        - dry_run: Only say what would become of them: nothing is stored.
        """
        return _t.cast(
            "t.LabelImportResult",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/labels",
                query={"dry_run": dry_run},
                content=body, kind="text/csv",
                twice=True,
                timeout=timeout,
            ),
        )

    def invite(
        self,
        body: t.NewInvitation,
        *,
        timeout: float | None = None,
    ) -> t.Invited:
        """`POST /invitations`: Invite devices; the token is shown this once."""
        return _t.cast(
            "t.Invited",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/invitations",
                body=body,
                timeout=timeout,
            ),
        )

    def job_artifact(
        self,
        id: int,
        *,
        path: str,
        attempt: int | None = None,
        timeout: float | None = None,
    ) -> _Download:
        """`GET /jobs/{id}/artifact`: Download an artifact of a job.

        - id: Its number.
        - path: Where it was below the working directory.
        - attempt: Of this attempt; of the last that has it by default.
        """
        return self._bytes(
            "GET",
            f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}/artifact",
            query={"path": path, "attempt": attempt},
            timeout=timeout,
        )

    def job_artifacts_done(
        self,
        id: int,
        *,
        attempt: int,
        left_out: bool,
        timeout: float | None = None,
    ) -> None:
        """`POST /jobs/{id}/artifacts`: Say that all artifacts were handed over.

        Asked by the job itself. Of an attempt that ends without it, it is said that artifacts are missing.

        - id: Its number.
        - attempt: Of this attempt, which runs.
        - left_out: Whether something could not be handed over.
        """
        self._tell(
            "POST",
            f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}/artifacts",
            query={"attempt": attempt, "left_out": left_out},
            timeout=timeout,
        )

    def job_log(
        self,
        id: int,
        *,
        attempt: int | None = None,
        offset: int | None = None,
        most: int | None = None,
        wait_s: int | None = None,
        timeout: float | None = None,
    ) -> t.JobLog:
        """`GET /jobs/{id}/log`: Read the log of a job, also while it runs.

        - id: Its number.
        - attempt: Of this attempt; of the last by default.
        - offset: From this place on: the `next` of the answer before.
        - most: At most so many bytes, up to 262,144.
        - wait_s: How long to wait for more if there is nothing yet, in seconds, up to 25.
        """
        return _t.cast(
            "t.JobLog",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}/log",
                query={"attempt": attempt, "offset": offset, "most": most, "wait_s": wait_s},
                timeout=timeout,
            ),
        )

    def join(
        self,
        body: t.Join,
        *,
        timeout: float | None = None,
    ) -> t.Joined:
        """`POST /api/v1/join`: Join with a token, or ask again how it stands."""
        return _t.cast(
            "t.Joined",
            self._json(
                "POST",
                "/api/v1/join",
                body=body,
                timeout=timeout,
            ),
        )

    def link_user(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> t.SetupLink:
        """`POST /api/v1/users/{user}/link`: Make a new link for an account: its password, second factor and
        sessions are gone.

        - user: Name of the account.
        """
        return _t.cast(
            "t.SetupLink",
            self._json(
                "POST",
                f"/api/v1/users/{self._segment(user)}/link",
                timeout=timeout,
            ),
        )

    def list_accuracy(
        self,
        *,
        model: str | None = None,
        last: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.AccuracyView]:
        """`GET /accuracy`: Accuracy per version and site, and per version over all sites.

        - model: Only of this model.
        - last: Only the newest so many labels of each row, by the time of the prediction.
        """
        return _t.cast(
            "_Pages[t.AccuracyView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/accuracy",
                query={"model": model, "last": last},
                timeout=timeout,
            ),
        )

    def list_alerts(
        self,
        *,
        state: _t.Literal["firing", "pending", "resolved"] | None = None,
        over: bool | None = None,
        rule: str | None = None,
        severity: _t.Literal["page", "ticket", "info"] | None = None,
        model: str | None = None,
        site: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.AlertView]:
        """`GET /alerts`: List alerts; those that are not over unless asked otherwise.

        - state: Only in this state.
        - over: `true`: those that are over too, where no state is asked for.
        - rule: Only by this rule.
        - severity: Only of this severity.
        - model: Only of this model.
        - site: Only at this site.
        - limit: How many at most; 100 by default, 1,000 at most.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.AlertView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/alerts",
                query={"state": state, "over": over, "rule": rule, "severity": severity, "model": model, "site": site, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_all_audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        from_: int | None = None,
        to: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.AuditEntry]:
        """`GET /api/v1/audit/all`: List what was done anywhere in the hub.

        - actor: Only those whose actor has this text in it.
        - action: Only those whose action starts so, as `rollout.`.
        - subject: Only those whose subject has this text in it.
        - from_: Only those from this moment on.
        - to: Only those before this moment.
        - limit: Entries on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.AuditEntry]",
            self._pages(
                "GET",
                "/api/v1/audit/all",
                query={"actor": actor, "action": action, "subject": subject, "from": from_, "to": to, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        from_: int | None = None,
        to: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.AuditEntry]:
        """`GET /audit`: List what was done in the workspace.

        - actor: Only those whose actor has this text in it.
        - action: Only those whose action starts so, as `rollout.`.
        - subject: Only those whose subject has this text in it.
        - from_: Only those from this moment on.
        - to: Only those before this moment.
        - limit: Entries on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.AuditEntry]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/audit",
                query={"actor": actor, "action": action, "subject": subject, "from": from_, "to": to, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_authorities(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.AuthorityView]:
        """`GET /api/v1/authorities`: List authorities."""
        return _t.cast(
            "_Pages[t.AuthorityView]",
            self._list(
                "GET",
                "/api/v1/authorities",
                timeout=timeout,
            ),
        )

    def list_capture_deletions(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.DeletionView]:
        """`GET /capture-deletions`: List deletions."""
        return _t.cast(
            "_Pages[t.DeletionView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/capture-deletions",
                timeout=timeout,
            ),
        )

    def list_capture_requests(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.CaptureRequestView]:
        """`GET /capture-requests`: List requests for captures."""
        return _t.cast(
            "_Pages[t.CaptureRequestView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/capture-requests",
                timeout=timeout,
            ),
        )

    def list_captures(
        self,
        *,
        model: str | None = None,
        site: str | None = None,
        labelled: bool | None = None,
        request: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.CaptureView]:
        """`GET /captures`: List captured inputs.

        - model: Only those of this model.
        - site: Only those from this site.
        - labelled: Only those with a truth, or only those without.
        - request: Only those that came for this request.
        - limit: Captures on the page, at most 1,000; 100 by default. Large inputs make shorter pages.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.CaptureView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/captures",
                query={"model": model, "site": site, "labelled": labelled, "request": request, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_computes(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.ComputeView]:
        """`GET /computes`: List computes."""
        return _t.cast(
            "_Pages[t.ComputeView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/computes",
                timeout=timeout,
            ),
        )

    def list_datasets(
        self,
        *,
        name: str | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.DatasetView]:
        """`GET /datasets`: List datasets: of each the newest version, or all versions of one.

        - name: All versions of this dataset; without, the newest of each.
        """
        return _t.cast(
            "_Pages[t.DatasetView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/datasets",
                query={"name": name},
                timeout=timeout,
            ),
        )

    def list_datastores(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.DatastoreView]:
        """`GET /datastores`: List datastores: where files to import are."""
        return _t.cast(
            "_Pages[t.DatastoreView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/datastores",
                timeout=timeout,
            ),
        )

    def list_devices(
        self,
        *,
        site: str | None = None,
        health: t.Health | None = None,
        label: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.DeviceView]:
        """`GET /devices`: List devices.

        - site: Only those at this site.
        - health: Only those of this health.
        - label: Only those with this label, as `key=value`.
        - limit: Devices on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.DeviceView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/devices",
                query={"site": site, "health": health, "label": label, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_events(
        self,
        *,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.EventView]:
        """`GET /events`: List what happened in the fleet.

        - limit: Events, at most 1,000; 100 by default.
        """
        return _t.cast(
            "_Pages[t.EventView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/events",
                query={"limit": limit},
                timeout=timeout,
            ),
        )

    def list_experiments(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.ExperimentView]:
        """`GET /experiments`: List experiments."""
        return _t.cast(
            "_Pages[t.ExperimentView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/experiments",
                timeout=timeout,
            ),
        )

    def list_findings(
        self,
        *,
        model: str | None = None,
        open: bool | None = None,
        from_: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.FindingView]:
        """`GET /findings`: List what moved: which inputs, predictions or errors, where, since when, how sure
        that is, and why.

        - model: Only of this model.
        - open: Only those that go on, or only those that ended.
        - from_: Only those that went on at this moment or later, in milliseconds since 1970.
        - limit: Findings on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.FindingView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/findings",
                query={"model": model, "open": open, "from": from_, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_identities(
        self,
        *,
        state: t.IdentityState | None = None,
        device: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.IdentityView]:
        """`GET /identities`: List identities.

        - state: Only those in this state.
        - device: Only those of this device.
        - limit: Identities on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.IdentityView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/identities",
                query={"state": state, "device": device, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_invitations(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.InvitationView]:
        """`GET /invitations`: List invitations.

        - limit: Invitations on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.InvitationView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/invitations",
                query={"after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_jobs(
        self,
        *,
        state: _t.Literal["queued", "preparing", "running", "succeeded", "failed", "cancelled"] | None = None,
        open: bool | None = None,
        by: str | None = None,
        compute: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.JobView]:
        """`GET /jobs`: List jobs, the newest first.

        - state: Only those in this state.
        - open: `true`: only those that are not over.
        - by: Only those of this account.
        - compute: Only those on this compute.
        - limit: Jobs on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.JobView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/jobs",
                query={"state": state, "open": open, "by": by, "compute": compute, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_lessons(
        self,
        *,
        model: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.LessonView]:
        """`GET /retraining/lessons`: List what rounds taught: also, and above all, challengers that were
        rejected, and why.

        - model: Only of this model.
        - limit: How many at most; 100 by default, 1,000 at most.
        """
        return _t.cast(
            "_Pages[t.LessonView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/retraining/lessons",
                query={"model": model, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_members(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.MemberView]:
        """`GET /members`: List the members of the workspace."""
        return _t.cast(
            "_Pages[t.MemberView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/members",
                timeout=timeout,
            ),
        )

    def list_models(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.ModelView]:
        """`GET /models`: List models with their versions."""
        return _t.cast(
            "_Pages[t.ModelView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/models",
                timeout=timeout,
            ),
        )

    def list_notifications(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.NotificationView]:
        """`GET /notifications`: List the notices of the last 30 days, one for each receiver.

        - limit: Notices on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.NotificationView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/notifications",
                query={"after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_proposals(
        self,
        *,
        model: str | None = None,
        all: bool | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.ProposalView]:
        """`GET /proposals`: List what rounds of retraining ask people: what waits for an answer, unless asked
        otherwise.

        - model: Only of this model.
        - all: `true`: those that wait for nobody any more, too.
        - limit: How many at most; 100 by default, 1,000 at most.
        """
        return _t.cast(
            "_Pages[t.ProposalView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/proposals",
                query={"model": model, "all": all, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_quarantine(
        self,
        *,
        device: str | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.QuarantineView]:
        """`GET /quarantine`: List windows whose time cannot be right, by device and reason. They count in every
        total, and no chart draws them.

        - device: Only of this device.
        """
        return _t.cast(
            "_Pages[t.QuarantineView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/quarantine",
                query={"device": device},
                timeout=timeout,
            ),
        )

    def list_retraining(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.RetrainView]:
        """`GET /retraining`: List the models that are trained anew, and how that stands."""
        return _t.cast(
            "_Pages[t.RetrainView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/retraining",
                timeout=timeout,
            ),
        )

    def list_rollouts(
        self,
        *,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.RolloutView]:
        """`GET /rollouts`: List rollouts.

        - limit: Rollouts, at most 1,000; 100 by default.
        """
        return _t.cast(
            "_Pages[t.RolloutView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/rollouts",
                query={"limit": limit},
                timeout=timeout,
            ),
        )

    def list_rules(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.AlertRuleView]:
        """`GET /alerts/rules`: List the rules: those that every workspace has, and those of this one."""
        return _t.cast(
            "_Pages[t.AlertRuleView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/alerts/rules",
                timeout=timeout,
            ),
        )

    def list_runs(
        self,
        experiment: str,
        *,
        filter: str | None = None,
        order_by: str | None = None,
        deleted: bool | None = None,
        after: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.RunView]:
        """`GET /experiments/{experiment}/runs`: List runs of an experiment.

        - experiment: Its number or its name.
        - filter: MLflow's filter, as `metrics.acc > 0.9 and params.depth = '3'`.
        - order_by: One of MLflow's orders, as `metrics.acc DESC`; the newest first by default.
        - deleted: `true`: those that were deleted.
        - limit: Runs on the page, at most 1,000; 100 by default.

        Further pages are fetched as the items are asked for; `after` begins behind an item, and `limit` is
        the size of a page.
        """
        return _t.cast(
            "_Pages[t.RunView]",
            self._pages(
                "GET",
                f"/api/v1/w/{self._workspace}/experiments/{self._segment(experiment)}/runs",
                query={"filter": filter, "order_by": order_by, "deleted": deleted, "after": after, "limit": limit},
                timeout=timeout,
            ),
        )

    def list_silences(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.SilenceView]:
        """`GET /alerts/silences`: List silences that hold, will hold, or were over within a week."""
        return _t.cast(
            "_Pages[t.SilenceView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/alerts/silences",
                timeout=timeout,
            ),
        )

    def list_subscriptions(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.SubscriptionView]:
        """`GET /notifications/subscriptions`: List the receivers of notices; what is secret about them is never
        shown.
        """
        return _t.cast(
            "_Pages[t.SubscriptionView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/notifications/subscriptions",
                timeout=timeout,
            ),
        )

    def list_templates(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.PlanTemplate]:
        """`GET /models/{model}/plans`: List the plans that are kept for a model.

        - model: Name of the model.
        """
        return _t.cast(
            "_Pages[t.PlanTemplate]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/plans",
                timeout=timeout,
            ),
        )

    def list_tokens(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.TokenView]:
        """`GET /tokens`: List API tokens of the workspace: one's own, or everybody's for admins."""
        return _t.cast(
            "_Pages[t.TokenView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/tokens",
                timeout=timeout,
            ),
        )

    def list_trainings(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.TrainingView]:
        """`GET /retraining/trainings`: List the trainings: jobs that are kept to train challengers by."""
        return _t.cast(
            "_Pages[t.TrainingView]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/retraining/trainings",
                timeout=timeout,
            ),
        )

    def list_users(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.UserView]:
        """`GET /api/v1/users`: List accounts."""
        return _t.cast(
            "_Pages[t.UserView]",
            self._list(
                "GET",
                "/api/v1/users",
                timeout=timeout,
            ),
        )

    def list_workspaces(
        self,
        *,
        timeout: float | None = None,
    ) -> _Pages[t.WorkspaceView]:
        """`GET /api/v1/workspaces`: List the workspaces that whoever asks is a member of."""
        return _t.cast(
            "_Pages[t.WorkspaceView]",
            self._list(
                "GET",
                "/api/v1/workspaces",
                timeout=timeout,
            ),
        )

    def log_in(
        self,
        body: t.Login,
        *,
        timeout: float | None = None,
    ) -> t.Me:
        """`POST /api/v1/login`: Log in with name and password."""
        return _t.cast(
            "t.Me",
            self._json(
                "POST",
                "/api/v1/login",
                body=body,
                timeout=timeout,
            ),
        )

    def log_in_for_token(
        self,
        body: t.LoginForToken,
        *,
        timeout: float | None = None,
    ) -> t.Minted:
        """`POST /api/v1/login/token`: Log in and get an API token, for programs that cannot keep a cookie."""
        return _t.cast(
            "t.Minted",
            self._json(
                "POST",
                "/api/v1/login/token",
                body=body,
                timeout=timeout,
            ),
        )

    def log_out(
        self,
        *,
        timeout: float | None = None,
    ) -> None:
        """`POST /api/v1/logout`: Log out: the session ends."""
        self._tell(
            "POST",
            "/api/v1/logout",
            timeout=timeout,
        )

    def make_dataset(
        self,
        body: t.NewDataset,
        *,
        timeout: float | None = None,
    ) -> t.DatasetView:
        """`POST /datasets`: Have a version of a dataset made: of captures and labels, of files, or of another
        version.

        It is made in the background. Files are uploaded before, each with `PUT /blobs/{digest}`, or are in a
        datastore. Asked again with the same `key`, the version that was begun with it is the answer.
        """
        return _t.cast(
            "t.DatasetView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/datasets",
                body=body,
                timeout=timeout,
            ),
        )

    def make_silence(
        self,
        body: t.NewSilence,
        *,
        timeout: float | None = None,
    ) -> t.SilenceView:
        """`POST /alerts/silences`: Tell nobody of what matches, for a while."""
        return _t.cast(
            "t.SilenceView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/alerts/silences",
                body=body,
                timeout=timeout,
            ),
        )

    def metrics(
        self,
        *,
        timeout: float | None = None,
    ) -> str:
        """`GET /metrics`: Numbers for Prometheus."""
        return self._text(
            "GET",
            "/metrics",
            timeout=timeout,
        )

    def next_items(
        self,
        model: str,
        body: t.NextItems,
        *,
        timeout: float | None = None,
    ) -> t.Items:
        """`POST /labelling/{model}/next`: Ask for captures to label, the most valuable first. Each is lent to
        whoever asks for ten minutes.

        - model: The model.
        """
        return _t.cast(
            "t.Items",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/labelling/{self._segment(model)}/next",
                body=body,
                timeout=timeout,
            ),
        )

    def open_round(
        self,
        model: str,
        body: t.NewRound,
        *,
        timeout: float | None = None,
    ) -> t.RetrainView:
        """`POST /models/{model}/retraining/rounds`: Open a round now, although nothing else calls for one. What
        the policy asks of labels, budget and people holds.

        - model: Name of the model.
        """
        return _t.cast(
            "t.RetrainView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/retraining/rounds",
                body=body,
                timeout=timeout,
            ),
        )

    def overview(
        self,
        *,
        timeout: float | None = None,
    ) -> t.Overview:
        """`GET /overview`: The fleet at a glance."""
        return _t.cast(
            "t.Overview",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/overview",
                timeout=timeout,
            ),
        )

    def pause_rollout(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /rollouts/{id}/pause`: Pause a rollout: it assigns nothing more until resumed.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}/pause",
                timeout=timeout,
            ),
        )

    def plan_keys(
        self,
        body: t.TrustPlan,
        *,
        timeout: float | None = None,
    ) -> t.TrustView:
        """`POST /trust/plan`: Plan other keys.

        The hub makes the root that would follow, signs it as far as it holds keys, and keeps it until enough
        others signed it.
        """
        return _t.cast(
            "t.TrustView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/trust/plan",
                body=body,
                timeout=timeout,
            ),
        )

    def propose_factor(
        self,
        body: t.Confirm,
        *,
        timeout: float | None = None,
    ) -> t.SecondFactor:
        """`POST /api/v1/me/second-factor`: Begin to set up a second factor."""
        return _t.cast(
            "t.SecondFactor",
            self._json(
                "POST",
                "/api/v1/me/second-factor",
                body=body,
                timeout=timeout,
            ),
        )

    def publish_version(
        self,
        model: str,
        body: t.NewVersion,
        *,
        timeout: float | None = None,
    ) -> tuple[t.VersionView, bool]:
        """`POST /models/{model}/versions`: Publish a version of a model.

        Its files are uploaded before, each with `PUT /blobs/{digest}`. The hub loads, optimises and runs the
        model with the engine that devices run; a refused model changes nothing, and the problem's findings
        say which check failed, on what, and what to do. The same files again give the version that they were
        published as.

        - model: Name of the model.
        """
        return _t.cast(
            "tuple[t.VersionView, bool]",
            self._made(
                "POST",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions",
                body=body,
                slow=True,
                twice=True,
                timeout=timeout,
            ),
        )

    def put_blob(
        self,
        digest: str,
        body: _Content,
        *,
        timeout: float | None = None,
    ) -> tuple[t.BlobRef, bool]:
        """`PUT /blobs/{digest}`: Upload bytes under their digest.

        The bytes are compared with the digest while they stream in; nothing is stored unless it holds.

        - digest: SHA-256 of the bytes, 64 lower-case hex digits.
        """
        return _t.cast(
            "tuple[t.BlobRef, bool]",
            self._made(
                "PUT",
                f"/api/v1/w/{self._workspace}/blobs/{self._segment(digest)}",
                content=body, kind="application/octet-stream",
                timeout=timeout,
            ),
        )

    def put_job_artifact(
        self,
        id: int,
        body: _Content,
        *,
        path: str,
        attempt: int,
        timeout: float | None = None,
    ) -> t.BlobRef:
        """`PUT /jobs/{id}/artifact`: Hand over an artifact.

        Asked by the job itself, with its own token, while its attempt runs on a cluster. What matches its
        `artifacts` is taken.

        - id: Its number.
        - path: Where it is below the working directory.
        - attempt: Of this attempt, which runs.
        """
        return _t.cast(
            "t.BlobRef",
            self._json(
                "PUT",
                f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}/artifact",
                query={"path": path, "attempt": attempt},
                content=body, kind="application/octet-stream",
                timeout=timeout,
            ),
        )

    def python_package(
        self,
        wheel: str,
        *,
        timeout: float | None = None,
    ) -> _Download:
        """`GET /api/v1/sdk/{wheel}`: Get the Python package, for pip.

        Of this hub's version, so that both have the same API. It is the same for everybody and holds no
        secret, and pip sends no token.

        - wheel: Its file name, as `tern_sdk-0.1.0-py3-none-any.whl`.
        """
        return self._bytes(
            "GET",
            f"/api/v1/sdk/{self._segment(wheel)}",
            timeout=timeout,
        )

    def readyz(
        self,
        *,
        timeout: float | None = None,
    ) -> t.Readiness:
        """`GET /readyz`: The hub can do its work."""
        return _t.cast(
            "t.Readiness",
            self._json(
                "GET",
                "/readyz",
                timeout=timeout,
            ),
        )

    def rehearse_plan(
        self,
        body: t.RehearsalRequest,
        *,
        timeout: float | None = None,
    ) -> t.Rehearsed:
        """`POST /plans/rehearse`: Rehearse a plan: run it again and again on the fleet as it was recorded, or on
        a described one. Takes up to a few minutes; nothing is changed.
        """
        return _t.cast(
            "t.Rehearsed",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/plans/rehearse",
                body=body,
                slow=True,
                timeout=timeout,
            ),
        )

    def reject_identity(
        self,
        id: int,
        body: t.Because,
        *,
        timeout: float | None = None,
    ) -> t.IdentityView:
        """`POST /identities/{id}/reject`: Refuse a pending identity, for good.

        - id: Id of the identity.
        """
        return _t.cast(
            "t.IdentityView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/identities/{self._segment(id)}/reject",
                body=body,
                timeout=timeout,
            ),
        )

    def remove_compute(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /api/v1/computes/{name}`: Remove a compute on which nothing runs.

        - name: Its name.
        """
        self._tell(
            "DELETE",
            f"/api/v1/computes/{self._segment(name)}",
            timeout=timeout,
        )

    def remove_dataset(
        self,
        dataset: str,
        *,
        timeout: float | None = None,
    ) -> t.DatasetView:
        """`DELETE /datasets/{dataset}`: Remove the files of a version.

        That there was one stays known, with what was trained on it, and its number is not given again.

        - dataset: `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
        """
        return _t.cast(
            "t.DatasetView",
            self._json(
                "DELETE",
                f"/api/v1/w/{self._workspace}/datasets/{self._segment(dataset)}",
                timeout=timeout,
            ),
        )

    def remove_datastore(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /datastores/{name}`: Remove a datastore; what was imported from it stays.

        - name: Its name.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/datastores/{self._segment(name)}",
            timeout=timeout,
        )

    def remove_factor(
        self,
        body: t.Confirm,
        *,
        timeout: float | None = None,
    ) -> None:
        """`POST /api/v1/me/second-factor/remove`: Remove the second factor."""
        self._tell(
            "POST",
            "/api/v1/me/second-factor/remove",
            body=body,
            timeout=timeout,
        )

    def remove_member(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /members/{user}`: End a membership.

        - user: Name of the account.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/members/{self._segment(user)}",
            timeout=timeout,
        )

    def remove_policy(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /models/{model}/retraining/policy`: Remove the policy of a model; a round that is open ends.

        - model: Name of the model.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/retraining/policy",
            timeout=timeout,
        )

    def remove_rule(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /alerts/rules/{name}`: Remove a rule of this workspace; one that every workspace has is as it
        comes again.

        - name: Its name.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/alerts/rules/{self._segment(name)}",
            timeout=timeout,
        )

    def remove_template(
        self,
        model: str,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /models/{model}/plans/{name}`: Remove a plan that is kept for a model.

        - model: Name of the model.
        - name: Name of the template.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/plans/{self._segment(name)}",
            timeout=timeout,
        )

    def remove_training(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /retraining/trainings/{name}`: Remove a training that no policy names.

        - name: Its name.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/retraining/trainings/{self._segment(name)}",
            timeout=timeout,
        )

    def renew(
        self,
        body: t.Renew,
        *,
        timeout: float | None = None,
    ) -> t.Joined:
        """`POST /api/v1/renew`: Get a new certificate for a key that has joined."""
        return _t.cast(
            "t.Joined",
            self._json(
                "POST",
                "/api/v1/renew",
                body=body,
                timeout=timeout,
            ),
        )

    def replay_rollout(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.Replay:
        """`GET /rollouts/{id}/replay`: Decide again from the stored evidence, and compare with what was decided.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.Replay",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}/replay",
                timeout=timeout,
            ),
        )

    def request_captures(
        self,
        body: t.NewCaptureRequest,
        *,
        timeout: float | None = None,
    ) -> t.CaptureRequestView:
        """`POST /capture-requests`: Ask devices for some of their next inputs.

        They are kept besides what policies draw, and no estimate of accuracy counts them.
        """
        return _t.cast(
            "t.CaptureRequestView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/capture-requests",
                body=body,
                timeout=timeout,
            ),
        )

    def resume_rollout(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /rollouts/{id}/resume`: Resume a paused rollout.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}/resume",
                timeout=timeout,
            ),
        )

    def retry_job(
        self,
        id: int,
        body: t.JobRetry,
        *,
        timeout: float | None = None,
    ) -> t.JobDetail:
        """`POST /jobs/{id}/retry`: Do a job that is over once more, as a job of its own.

        - id: Its number.
        """
        return _t.cast(
            "t.JobDetail",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}/retry",
                body=body,
                timeout=timeout,
            ),
        )

    def revoke_identity(
        self,
        id: int,
        body: t.Because,
        *,
        timeout: float | None = None,
    ) -> t.IdentityView:
        """`POST /identities/{id}/revoke`: Take an identity's right to speak away, for good; its connection is
        cut.

        - id: Id of the identity.
        """
        return _t.cast(
            "t.IdentityView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/identities/{self._segment(id)}/revoke",
                body=body,
                timeout=timeout,
            ),
        )

    def revoke_invitation(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.InvitationView:
        """`POST /invitations/{id}/revoke`: Revoke an invitation: nobody new joins with it.

        - id: Id of the invitation.
        """
        return _t.cast(
            "t.InvitationView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/invitations/{self._segment(id)}/revoke",
                timeout=timeout,
            ),
        )

    def revoke_token(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.TokenView:
        """`POST /tokens/{id}/revoke`: Revoke an API token: one's own, or anybody's for admins.

        - id: Id of the token.
        """
        return _t.cast(
            "t.TokenView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/tokens/{self._segment(id)}/revoke",
                timeout=timeout,
            ),
        )

    def revoke_version(
        self,
        model: str,
        version: int,
        body: t.Revoke,
        *,
        timeout: float | None = None,
    ) -> t.VersionView:
        """`POST /models/{model}/versions/{version}/revoke`: Revoke a version of a model.

        Devices refuse it from the moment that they hear of it, and get another version instead.

        - model: Name of the model.
        - version: Number of the version.
        """
        return _t.cast(
            "t.VersionView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}/revoke",
                body=body,
                timeout=timeout,
            ),
        )

    def save_policy(
        self,
        body: t.RetrainText,
        *,
        timeout: float | None = None,
    ) -> t.RetrainPolicyView:
        """`POST /retraining/policies`: Write a policy over the one that its model has."""
        return _t.cast(
            "t.RetrainPolicyView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/retraining/policies",
                body=body,
                timeout=timeout,
            ),
        )

    def save_rule(
        self,
        name: str,
        body: t.AlertRule,
        *,
        timeout: float | None = None,
    ) -> t.RulesApplied:
        """`PUT /alerts/rules/{name}`: Write a rule; the one of the same name is replaced, also one that every
        workspace has.

        - name: Its name.
        """
        return _t.cast(
            "t.RulesApplied",
            self._json(
                "PUT",
                f"/api/v1/w/{self._workspace}/alerts/rules/{self._segment(name)}",
                body=body,
                timeout=timeout,
            ),
        )

    def save_template(
        self,
        model: str,
        name: str,
        body: t.Plan,
        *,
        timeout: float | None = None,
    ) -> t.PlanTemplate:
        """`PUT /models/{model}/plans/{name}`: Keep a plan for a model.

        - model: Name of the model.
        - name: Name of the template.
        """
        return _t.cast(
            "t.PlanTemplate",
            self._json(
                "PUT",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/plans/{self._segment(name)}",
                body=body,
                timeout=timeout,
            ),
        )

    def save_training(
        self,
        name: str,
        body: t.RetrainText,
        *,
        timeout: float | None = None,
    ) -> t.TrainingView:
        """`PUT /retraining/trainings/{name}`: Write a training over that of the same name.

        - name: Its name.
        """
        return _t.cast(
            "t.TrainingView",
            self._json(
                "PUT",
                f"/api/v1/w/{self._workspace}/retraining/trainings/{self._segment(name)}",
                body=body,
                timeout=timeout,
            ),
        )

    def say(
        self,
        model: str,
        body: t.Say,
        *,
        timeout: float | None = None,
    ) -> t.Said:
        """`POST /labelling/{model}/say`: Say what is true about a capture, or that whoever asks cannot say.

        - model: The model.
        """
        return _t.cast(
            "t.Said",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/labelling/{self._segment(model)}/say",
                body=body,
                timeout=timeout,
            ),
        )

    def set_compute(
        self,
        name: str,
        body: t.ComputeSettings,
        *,
        timeout: float | None = None,
    ) -> t.ComputeView:
        """`PUT /api/v1/computes/{name}`: Add a compute, or change it.

        - name: Its name.
        """
        return _t.cast(
            "t.ComputeView",
            self._json(
                "PUT",
                f"/api/v1/computes/{self._segment(name)}",
                body=body,
                timeout=timeout,
            ),
        )

    def set_labelling(
        self,
        model: str,
        body: t.LabellingSettings,
        *,
        timeout: float | None = None,
    ) -> None:
        """`PUT /labelling/{model}`: Say how many people have to agree about a capture of a model.

        - model: The model.
        """
        self._tell(
            "PUT",
            f"/api/v1/w/{self._workspace}/labelling/{self._segment(model)}",
            body=body,
            timeout=timeout,
        )

    def set_member(
        self,
        user: str,
        body: t.SetRole,
        *,
        timeout: float | None = None,
    ) -> t.MemberView:
        """`PUT /members/{user}`: Make an account a member, or change its role.

        - user: Name of the account.
        """
        return _t.cast(
            "t.MemberView",
            self._json(
                "PUT",
                f"/api/v1/w/{self._workspace}/members/{self._segment(user)}",
                body=body,
                timeout=timeout,
            ),
        )

    def set_up(
        self,
        body: t.Setup,
        *,
        timeout: float | None = None,
    ) -> t.Me:
        """`POST /api/v1/setup`: Set a password with a link: the first account of a hub, or one that an admin
        made.
        """
        return _t.cast(
            "t.Me",
            self._json(
                "POST",
                "/api/v1/setup",
                body=body,
                timeout=timeout,
            ),
        )

    def show_alert(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.AlertDetail:
        """`GET /alerts/{id}`: Show an alert with its evidence and its history.

        - id: Its number.
        """
        return _t.cast(
            "t.AlertDetail",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/alerts/{self._segment(id)}",
                timeout=timeout,
            ),
        )

    def show_capture_deletion(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.DeletionView:
        """`GET /capture-deletions/{id}`: Show a deletion, and whether it holds.

        - id: Its number.
        """
        return _t.cast(
            "t.DeletionView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/capture-deletions/{self._segment(id)}",
                timeout=timeout,
            ),
        )

    def show_compute(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> t.ComputeView:
        """`GET /computes/{name}`: Show a compute.

        - name: Its name.
        """
        return _t.cast(
            "t.ComputeView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/computes/{self._segment(name)}",
                timeout=timeout,
            ),
        )

    def show_curve(
        self,
        run: str,
        *,
        metric: str,
        timeout: float | None = None,
    ) -> t.MetricCurve:
        """`GET /runs/{run}/curve`: Show the values of a metric of a run, by step.

        - run: Its id.
        - metric: Its name.
        """
        return _t.cast(
            "t.MetricCurve",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/runs/{self._segment(run)}/curve",
                query={"metric": metric},
                timeout=timeout,
            ),
        )

    def show_dataset(
        self,
        dataset: str,
        *,
        timeout: float | None = None,
    ) -> t.DatasetDetail:
        """`GET /datasets/{dataset}`: Show a version: what it is, what it was made from, what was made of it and
        trained on it.

        - dataset: `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
        """
        return _t.cast(
            "t.DatasetDetail",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/datasets/{self._segment(dataset)}",
                timeout=timeout,
            ),
        )

    def show_delivery(
        self,
        *,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> t.DeliveryView:
        """`GET /delivery`: Show what is on its way to devices, and how versions got there.

        - limit: Versions, at most 500; 20 by default.
        """
        return _t.cast(
            "t.DeliveryView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/delivery",
                query={"limit": limit},
                timeout=timeout,
            ),
        )

    def show_device(
        self,
        device: str,
        *,
        timeout: float | None = None,
    ) -> t.DeviceView:
        """`GET /devices/{device}`: Show a device.

        - device: Id of the device.
        """
        return _t.cast(
            "t.DeviceView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/devices/{self._segment(device)}",
                timeout=timeout,
            ),
        )

    def show_finding(
        self,
        finding: int,
        *,
        timeout: float | None = None,
    ) -> t.FindingView:
        """`GET /findings/{finding}`: Show one of them.

        - finding: Its number.
        """
        return _t.cast(
            "t.FindingView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/findings/{self._segment(finding)}",
                timeout=timeout,
            ),
        )

    def show_freeze(
        self,
        *,
        timeout: float | None = None,
    ) -> t.Freeze | None:
        """`GET /freeze`: Whether the workspace is frozen."""
        return _t.cast(
            "t.Freeze | None",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/freeze",
                timeout=timeout,
            ),
        )

    def show_job(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.JobDetail:
        """`GET /jobs/{id}`: Show a job, with its attempts and what they made.

        - id: Its number.
        """
        return _t.cast(
            "t.JobDetail",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/jobs/{self._segment(id)}",
                timeout=timeout,
            ),
        )

    def show_labelling(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> t.LabellingView:
        """`GET /labelling/{model}`: How labelling of a model stands.

        - model: The model.
        """
        return _t.cast(
            "t.LabellingView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/labelling/{self._segment(model)}",
                timeout=timeout,
            ),
        )

    def show_lineage(
        self,
        *,
        of: str,
        way: str | None = None,
        timeout: float | None = None,
    ) -> t.LineageView:
        """`GET /lineage`: Tell where something comes from and what became of it: predictions, versions, runs,
        code, jobs, datasets, captures, labels, people, rounds of retraining, rollouts, devices.

        - of: `version:MODEL/N`, `dataset:NAME@N`, `run:ID`, `job:N`, `rollout:N`, `round:MODEL/N`,
          `device:ID`, `prediction:DEVICE/BOOT-NUMBER`, `code:DIGEST` or `person:NAME`.
        - way: What it comes from, what became of it, or both.
        """
        return _t.cast(
            "t.LineageView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/lineage",
                query={"of": of, "way": way},
                timeout=timeout,
            ),
        )

    def show_me(
        self,
        *,
        timeout: float | None = None,
    ) -> t.Me:
        """`GET /api/v1/me`: Who is asking, and what they may do where."""
        return _t.cast(
            "t.Me",
            self._json(
                "GET",
                "/api/v1/me",
                timeout=timeout,
            ),
        )

    def show_model(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> t.ModelView:
        """`GET /models/{model}`: Show a model.

        - model: Name of the model.
        """
        return _t.cast(
            "t.ModelView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}",
                timeout=timeout,
            ),
        )

    def show_policy(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> t.RetrainPolicyView:
        """`GET /models/{model}/retraining/policy`: Show the policy by which a model is trained anew.

        - model: Name of the model.
        """
        return _t.cast(
            "t.RetrainPolicyView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/retraining/policy",
                timeout=timeout,
            ),
        )

    def show_proposal(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.ProposalView:
        """`GET /proposals/{id}`: Show a question with its evidence, and what people said.

        - id: Its number.
        """
        return _t.cast(
            "t.ProposalView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/proposals/{self._segment(id)}",
                timeout=timeout,
            ),
        )

    def show_retraining(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> t.RetrainView:
        """`GET /models/{model}/retraining`: Show how the retraining of a model stands: its policy, and the round
        that is open.

        - model: Name of the model.
        """
        return _t.cast(
            "t.RetrainView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/retraining",
                timeout=timeout,
            ),
        )

    def show_rollout(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`GET /rollouts/{id}`: Show a rollout with its devices.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.RolloutView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}",
                timeout=timeout,
            ),
        )

    def show_rows(
        self,
        dataset: str,
        *,
        split: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> _Pages[t.DatasetRow]:
        """`GET /datasets/{dataset}/rows`: Look at some rows of a version.

        - dataset: `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
        - split: Of this split; `train` if not said.
        - limit: So many, at most 200; 20 if not said.
        """
        return _t.cast(
            "_Pages[t.DatasetRow]",
            self._list(
                "GET",
                f"/api/v1/w/{self._workspace}/datasets/{self._segment(dataset)}/rows",
                query={"split": split, "limit": limit},
                timeout=timeout,
            ),
        )

    def show_run(
        self,
        run: str,
        *,
        timeout: float | None = None,
    ) -> t.RunView:
        """`GET /runs/{run}`: Show a run.

        - run: Its id.
        """
        return _t.cast(
            "t.RunView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/runs/{self._segment(run)}",
                timeout=timeout,
            ),
        )

    def show_training(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> t.TrainingView:
        """`GET /retraining/trainings/{name}`: Show a training; what is secret in it is not shown.

        - name: Its name.
        """
        return _t.cast(
            "t.TrainingView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/retraining/trainings/{self._segment(name)}",
                timeout=timeout,
            ),
        )

    def show_trust(
        self,
        *,
        timeout: float | None = None,
    ) -> t.TrustView:
        """`GET /trust`: Show who signs what, and what waits for signatures."""
        return _t.cast(
            "t.TrustView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/trust",
                timeout=timeout,
            ),
        )

    def show_truth(
        self,
        model: str,
        version: int,
        *,
        site: str | None = None,
        arm: _t.Literal["treatment", "control", "last", "ignored"] | None = None,
        from_: int | None = None,
        to: int | None = None,
        last: int | None = None,
        timeout: float | None = None,
    ) -> t.TruthView:
        """`GET /models/{model}/versions/{version}/truth`: How right a version is, from labels, and how right it
        probably is where there are none yet.

        Labels weigh as much as the inverse of the probability with which their inputs were captured. What is
        estimated without labels stands in `estimate`, day by day, beside what labels say of the same day once
        there are some.

        - model: The model.
        - version: Its version.
        - site: Only of predictions at this site.
        - arm: Only of devices that had this part in a rollout when they predicted: `treatment` or `control`.
        - from_: Only of predictions from this moment on, in milliseconds since 1970.
        - to: Only of predictions before this moment, in milliseconds since 1970.
        - last: Only the newest so many labels, by the time of the prediction.
        """
        return _t.cast(
            "t.TruthView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}/truth",
                query={"site": site, "arm": arm, "from": from_, "to": to, "last": last},
                timeout=timeout,
            ),
        )

    def show_truth_csv(
        self,
        model: str,
        version: int,
        *,
        site: str | None = None,
        arm: _t.Literal["treatment", "control", "last", "ignored"] | None = None,
        from_: int | None = None,
        to: int | None = None,
        last: int | None = None,
        timeout: float | None = None,
    ) -> str:
        """`GET /models/{model}/versions/{version}/truth`: How right a version is, from labels, and how right it
        probably is where there are none yet.

        Labels weigh as much as the inverse of the probability with which their inputs were captured. What is
        estimated without labels stands in `estimate`, day by day, beside what labels say of the same day once
        there are some.

        - model: The model.
        - version: Its version.
        - site: Only of predictions at this site.
        - arm: Only of devices that had this part in a rollout when they predicted: `treatment` or `control`.
        - from_: Only of predictions from this moment on, in milliseconds since 1970.
        - to: Only of predictions before this moment, in milliseconds since 1970.
        - last: Only the newest so many labels, by the time of the prediction.
        """
        return self._text(
            "GET",
            f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}/truth",
            query={"site": site, "arm": arm, "from": from_, "to": to, "last": last, "format": "csv"},
            timeout=timeout,
        )

    def show_version(
        self,
        model: str,
        version: int,
        *,
        timeout: float | None = None,
    ) -> t.VersionView:
        """`GET /models/{model}/versions/{version}`: Show a version of a model.

        - model: Name of the model.
        - version: Number of the version.
        """
        return _t.cast(
            "t.VersionView",
            self._json(
                "GET",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}",
                timeout=timeout,
            ),
        )

    def start_plan(
        self,
        body: t.Plan,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /plans/start`: Start a rollout that decides by evidence."""
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/plans/start",
                body=body,
                timeout=timeout,
            ),
        )

    def start_rollout(
        self,
        body: t.NewRollout,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /rollouts`: Start a rollout."""
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/rollouts",
                body=body,
                timeout=timeout,
            ),
        )

    def stop_dataset(
        self,
        dataset: str,
        *,
        timeout: float | None = None,
    ) -> t.DatasetView:
        """`POST /datasets/{dataset}/stop`: Stop the making of a version.

        - dataset: `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
        """
        return _t.cast(
            "t.DatasetView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/datasets/{self._segment(dataset)}/stop",
                timeout=timeout,
            ),
        )

    def stream(
        self,
        *,
        timeout: float | None = None,
    ) -> _Events[t.Change]:
        """`GET /stream`: Changes as they happen.

        Server-sent events: the name of an event is the kind of change, its data the change as JSON. At most
        four events a second come about one subject; the last one of a burst always comes.
        """
        return _t.cast(
            "_Events[t.Change]",
            self._events(
                "GET",
                f"/api/v1/w/{self._workspace}/stream",
                timeout=timeout,
            ),
        )

    def submit_job(
        self,
        body: t.JobAsked,
        *,
        key: str | None = None,
        timeout: float | None = None,
    ) -> t.JobDetail:
        """`POST /jobs`: Run a job.

        What is wrong with it is told field by field.

        - key: The same key in the same workspace gives the job that has it already.
        """
        return _t.cast(
            "t.JobDetail",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/jobs",
                query={"key": key},
                body=body,
                timeout=timeout,
            ),
        )

    def subscribe(
        self,
        body: t.NewSubscription,
        *,
        timeout: float | None = None,
    ) -> t.Subscribed:
        """`POST /notifications/subscriptions`: Ask for notices from now on; a secret that the hub makes is shown
        this once.
        """
        return _t.cast(
            "t.Subscribed",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/notifications/subscriptions",
                body=body,
                timeout=timeout,
            ),
        )

    def tap(
        self,
        *,
        device: str | None = None,
        timeout: float | None = None,
    ) -> _Events[t.Tapped]:
        """`GET /tap`: Messages between devices and hub, as they go by.

        Server-sent events: the name of an event is its kind, its data the message as JSON. It ends after five
        minutes; ask again to go on.

        - device: Only those from and to this device.
        """
        return _t.cast(
            "_Events[t.Tapped]",
            self._events(
                "GET",
                f"/api/v1/w/{self._workspace}/tap",
                query={"device": device},
                timeout=timeout,
            ),
        )

    def test_subscription(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> t.TestOutcome:
        """`POST /notifications/subscriptions/{id}/test`: Send a notice to a subscription now, once.

        - id: Id of the subscription.
        """
        return _t.cast(
            "t.TestOutcome",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/notifications/subscriptions/{self._segment(id)}/test",
                timeout=timeout,
            ),
        )

    def thaw_workspace(
        self,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /freeze`: Thaw the workspace: rollouts go on."""
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/freeze",
            timeout=timeout,
        )

    def transcode_version(
        self,
        model: str,
        version: int,
        body: t.Transcode,
        *,
        timeout: float | None = None,
    ) -> tuple[t.VersionView, bool]:
        """`POST /models/{model}/versions/{version}/transcodings`: Publish a version with its weights stored in
        fewer bits.

        The hub makes the file, runs both on the golden samples and on labelled captures of the model, and
        publishes it as the next version, vetted like any other, with what the change cost. Devices get it by
        a rollout.

        - model: Name of the model.
        - version: Number of the version.
        """
        return _t.cast(
            "tuple[t.VersionView, bool]",
            self._made(
                "POST",
                f"/api/v1/w/{self._workspace}/models/{self._segment(model)}/versions/{self._segment(version)}/transcodings",
                body=body,
                slow=True,
                timeout=timeout,
            ),
        )

    def undo(
        self,
        model: str,
        *,
        timeout: float | None = None,
    ) -> t.Said:
        """`POST /labelling/{model}/undo`: Take back what whoever asks said last; it is asked again.

        - model: The model.
        """
        return _t.cast(
            "t.Said",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/labelling/{self._segment(model)}/undo",
                timeout=timeout,
            ),
        )

    def unsubscribe(
        self,
        id: int,
        *,
        timeout: float | None = None,
    ) -> None:
        """`DELETE /notifications/subscriptions/{id}`: Remove a subscription, with what waits for it.

        - id: Id of the subscription.
        """
        self._tell(
            "DELETE",
            f"/api/v1/w/{self._workspace}/notifications/subscriptions/{self._segment(id)}",
            timeout=timeout,
        )

    def verify_audit(
        self,
        *,
        timeout: float | None = None,
    ) -> t.AuditVerdict:
        """`GET /api/v1/audit/verify`: Look at every entry: whether it is there and as it was written."""
        return _t.cast(
            "t.AuditVerdict",
            self._json(
                "GET",
                "/api/v1/audit/verify",
                timeout=timeout,
            ),
        )

    def widen_rollout(
        self,
        id: int,
        body: t.Widen,
        *,
        timeout: float | None = None,
    ) -> t.RolloutView:
        """`POST /rollouts/{id}/widen`: Widen a rollout to a larger share; devices in it stay in it.

        - id: Id of the rollout.
        """
        return _t.cast(
            "t.RolloutView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/rollouts/{self._segment(id)}/widen",
                body=body,
                timeout=timeout,
            ),
        )

    def withdraw_plan(
        self,
        *,
        timeout: float | None = None,
    ) -> t.TrustView:
        """`POST /trust/withdraw`: Take back a change of keys that waits for signatures."""
        return _t.cast(
            "t.TrustView",
            self._json(
                "POST",
                f"/api/v1/w/{self._workspace}/trust/withdraw",
                timeout=timeout,
            ),
        )
