//! `/access/notifications`: who is told what by webhook and mail, and what became of it.

use maud::{Markup, html};
use tern_protocol::rest::{
    Channel, NoticeKind, NotificationState, NotificationView, Page, SubscriptionView,
};

use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Ask, Input, Once, Reason},
        format,
        icon::Icon,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
    },
};

/// Whether the hub can send mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dashboard) enum Mail {
    /// It has a mail server.
    Configured,
    /// It has none.
    None,
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    mail: Mail,
    subscriptions: &Page<SubscriptionView>,
    notices: &Page<NotificationView>,
) -> Markup {
    let receivers = subscriptions.items.len() as u64;
    let below = html! {
        span #count data-live { b { (format::count(receivers)) } (if receivers == 1 { " receiver" } else { " receivers" }) }
    };
    let content = html! {
        @if frame.may(Permission::Operate) {
            (form::once("fresh", "Secret of the new webhook", "It is not shown again.", &[
                Once { key: "secret", label: "What signs it; the receiver checks the signature with it:", fill: "secret", before: "" },
            ]))
            (webhook(frame))
            (email(frame, mail))
            (alertmanager(frame))
        }
        (form::answer("answer"))
        div #subscriptions.card.flush data-live {
            @if subscriptions.items.is_empty() {
                (parts::empty(&html! { "Nobody is told anything yet. A webhook or a mail address hears when a rollout stops or something needs a person." }))
            } @else { (table(frame, &subscriptions.items)) }
        }
        section aria-labelledby="recent-title" {
            h2 #recent-title { "Recent notices" }
            div #notices.card.flush data-live {
                @if notices.items.is_empty() {
                    (parts::empty(&html! { "No notices yet. They stand here for 30 days." }))
                } @else { (recent(&notices.items)) }
            }
        }
        @if frame.may(Permission::Operate) {
            (Ask {
                id: "remove",
                question: "Remove",
                text: "Nothing is sent there any more, and what waits for it is dropped.",
                act: "Remove",
                done: "Removed.",
                reason: Reason::None,
                show: None,
            }.draw())
        }
    };
    access::page(frame, Desk::Notifications, &below, &content)
}

fn webhook(frame: Frame) -> Markup {
    html! {
        details.card {
            summary { "Add a webhook" }
            form.form.columns method="post" data-send=(frame.scope.api("/notifications/subscriptions")) data-show="fresh" data-show-if="secret"
                data-done="Added." data-wrong="url" data-reset {
                input type="hidden" name="kind" value="webhook" hidden;
                (Input {
                    id: "url", name: "url", label: "Address", kind: "url", required: true, placeholder: Some("https://hooks.example/tern"),
                    hint: "What stands behind the host is not shown again.", ..Input::default()
                }.draw())
                (Input { id: "webhook-name", name: "name", label: "What it is for", ..Input::default() }.draw())
                (Input {
                    id: "secret", name: "secret", label: "Secret", kind: "password", autocomplete: "new-password",
                    hint: "At least 16 characters; if empty, the hub makes one and shows it once.", ..Input::default()
                }.draw())
                (form::check("plain", "plain", "The address may be plain HTTP on another machine"))
                (kinds("webhook"))
                div.buttons { button.primary type="submit" { "Add webhook" } }
                (form::answer("webhook-answer"))
            }
        }
    }
}

fn email(frame: Frame, mail: Mail) -> Markup {
    html! {
        details.card {
            summary { "Add mail addresses" }
            @if mail == Mail::None {
                p { "This hub sends no mail. Start it with " code { "--smtp smtps://USER@HOST" } " and " code { "--smtp-from ADDRESS" } "." }
            } @else {
                form.form.columns method="post" data-send=(frame.scope.api("/notifications/subscriptions")) data-done="Added." data-wrong="addresses" data-reset {
                    input type="hidden" name="kind" value="email" hidden;
                    (Input {
                        id: "addresses", name: "addresses", label: "Addresses", required: true, json: Some("list"), placeholder: Some("ada@example.org"),
                        hint: "Apart by commas; one mail goes to all of them.", ..Input::default()
                    }.draw())
                    (Input { id: "email-name", name: "name", label: "What it is for", ..Input::default() }.draw())
                    (kinds("email"))
                    div.buttons { button.primary type="submit" { "Add addresses" } }
                    (form::answer("email-answer"))
                }
            }
        }
    }
}

fn alertmanager(frame: Frame) -> Markup {
    html! {
        details.card {
            summary { "Add a Prometheus Alertmanager" }
            form.form.columns method="post" data-send=(frame.scope.api("/notifications/subscriptions")) data-done="Added."
                data-wrong="alertmanager-url" data-reset {
                input type="hidden" name="kind" value="alertmanager" hidden;
                (Input {
                    id: "alertmanager-url", name: "url", label: "Address", kind: "url", required: true,
                    placeholder: Some("https://alertmanager.example:9093"),
                    hint: "It gets every alert, again and again while it fires, and nothing else.", ..Input::default()
                }.draw())
                (Input { id: "alertmanager-name", name: "name", label: "What it is for", ..Input::default() }.draw())
                (Input {
                    id: "token", name: "token", label: "Token", kind: "password", autocomplete: "new-password",
                    hint: "What it lets in by, as a bearer token; leave it empty if it asks for none.", ..Input::default()
                }.draw())
                (form::check("alertmanager-plain", "plain", "The address may be plain HTTP on another machine"))
                div.buttons { button.primary type="submit" { "Add Alertmanager" } }
                (form::answer("alertmanager-answer"))
            }
        }
    }
}

/// Which notices.
fn kinds(form: &str) -> Markup {
    html! {
        fieldset.kinds {
            legend { "Notices" }
            @for kind in NoticeKind::CHOICES {
                @let id = format!("{form}-{}", kind.word());
                div.field.check {
                    input id=(id) name="notices" type="checkbox" value=(kind.word()) data-json="member" checked[kind.is_usual()];
                    label for=(id) { (words(kind)) }
                }
            }
        }
    }
}

/// A kind of notice for people.
fn words(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::RolloutStopped => "rollout stopped",
        NoticeKind::RolloutWaits => "rollout waits for a person",
        NoticeKind::RolloutAdvanced => "rollout went on",
        NoticeKind::RolloutComplete => "rollout complete",
        NoticeKind::FleetFrozen => "fleet frozen",
        NoticeKind::Attention => "something needs a person",
        NoticeKind::Alert => "alert",
        NoticeKind::Proposal => "retraining asks something",
        NoticeKind::Retrained => "round of retraining over",
        NoticeKind::Test => "test",
    }
}

fn table(frame: Frame, subscriptions: &[SubscriptionView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Id" }
                th scope="col" { "To" }
                th scope="col" { "State" }
                th scope="col" { "Notices" }
                th scope="col" { "Last arrived" }
                th scope="col" { "Made by" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for one in subscriptions {
                    @let path = frame.scope.api(&format!("/notifications/subscriptions/{}", one.id));
                    tr data-key=(one.id) {
                        th scope="row" { (one.id) }
                        td data-name="To" { div {
                            span.chip { (match one.kind { Channel::Webhook => "webhook", Channel::Email => "mail", Channel::Alertmanager => "Alertmanager" }) }
                            " " span.text { (one.target) }
                            @if !one.name.is_empty() { " " span.dim.text { (one.name) } }
                        } }
                        td data-name="State" { div {
                            (state(one))
                            @if let Some(error) = &one.error { " " span.dim.text { (error) } }
                        } }
                        td data-name="Notices" { div { @for kind in &one.notices { span.chip { (words(*kind)) } } } }
                        td data-name="Last arrived" {
                            @match one.sent_at { Some(at) => { (parts::ago(at)) } None => { span.dim { "never" } } }
                        }
                        td data-name="Made by" { div { span.text { (one.created_by) } " " (parts::ago(one.created_at)) } }
                        td.end data-name="" {
                            @if frame.may(Permission::Operate) { div.buttons.end {
                                button.small type="button" data-post={ (path) "/test" } data-tell="text" data-good="arrived"
                                    aria-label={ "Send a test to subscription " (one.id) } { "Test" }
                                button.danger.small type="button" data-ask="remove" data-method="DELETE" data-send=(path)
                                    data-what={ "subscription " (one.id) }
                                    aria-label={ "Remove subscription " (one.id) } { "Remove …" }
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn state(one: &SubscriptionView) -> Markup {
    html! {
        @if one.error.is_some() {
            (parts::badge("bad", Icon::Cross, "does not arrive"))
        } @else if one.sent_at.is_some() {
            (parts::badge("ok", Icon::Check, "arrives"))
        } @else {
            (parts::badge("off", Icon::Dot, "nothing sent yet"))
        }
        @for (count, word) in [(one.waiting, "waiting"), (one.failed, "given up"), (one.dropped, "dropped")] {
            @if count > 0 { " " span.chip { (format::count(count)) " " (word) } }
        }
    }
}

fn recent(notices: &[NotificationView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "When" }
                th scope="col" { "What" }
                th scope="col" { "To" }
                th scope="col" { "State" }
                th.end scope="col" { "Attempts" }
            } }
            tbody {
                @for one in notices {
                    tr data-key=(one.id) {
                        th scope="row" { (parts::ago(one.at)) }
                        td data-name="What" { div {
                            span.chip { (words(one.kind)) } " " span.text title=(one.text) { (one.subject) }
                        } }
                        td data-name="To" { span.text { (one.subscription) " " span.dim { (one.target) } } }
                        td data-name="State" { div {
                            (delivered(one.state))
                            @if let Some(error) = &one.error { " " span.dim.text { (error) } }
                            @if let Some(due) = one.due_at { @if one.attempts > 0 { " " span.dim { "again " (parts::until(due)) } } }
                        } }
                        td.end data-name="Attempts" { (one.attempts) }
                    }
                }
            }
        }
    }
}

fn delivered(state: NotificationState) -> Markup {
    match state {
        NotificationState::Waiting => parts::badge("busy", Icon::Arrows, "waiting"),
        NotificationState::Sent => parts::badge("ok", Icon::Check, "arrived"),
        NotificationState::Failed => parts::badge("bad", Icon::Cross, "given up"),
    }
}
