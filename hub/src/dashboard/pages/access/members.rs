//! `/access/members`: people of the workspace and their roles.

use maud::{Markup, html};
use tern_protocol::rest::{MemberView, Page, Role};

use crate::{
    access::role::{Permission, ROLES, permits, role_name},
    dashboard::{
        form::{self, Ask, Input, Reason},
        format,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, members: &Page<MemberView>) -> Markup {
    let below = html! {
        span #count data-live { b { (format::count(members.items.len() as u64)) } " in workspace " b { (frame.scope.workspace()) } }
    };
    let content = html! {
        (form::answer("answer"))
        div #members.card.flush data-live {
            @if members.items.is_empty() {
                (parts::empty(&html! { "No members yet. Whoever runs the hub sees every workspace without being a member." }))
            } @else { (table(frame, &members.items)) }
        }
        @if frame.may(Permission::Administer) {
            (add(frame))
            (Ask {
                id: "remove",
                question: "Remove",
                text: "Their sessions and API tokens do nothing in this workspace from then on. The account stays.",
                act: "Remove",
                done: "Removed.",
                reason: Reason::None,
                show: None,
            }.draw())
        }
        (roles())
    };
    access::page(frame, Desk::Members, &below, &content)
}

fn add(frame: Frame) -> Markup {
    html! {
        section.card aria-labelledby="add-title" {
            h2 #add-title { "Add a member" }
            form.form.inline method="post" data-method="PUT" data-send=(frame.scope.api("/members/{user}")) data-done="Added." data-wrong="add-user" data-reset {
                (Input { id: "add-user", name: "user", label: "Account", hint: "As the hub's admins made it.", required: true, ..Input::default() }.draw())
                (form::field("add-role", "Role", "", &html! {
                    select #add-role name="role" { (form::roles(Role::Admin, Role::Viewer)) }
                }))
                div.buttons { button type="submit" { "Add" } }
                (form::answer("add-answer"))
            }
        }
    }
}

fn table(frame: Frame, members: &[MemberView]) -> Markup {
    let administers = frame.may(Permission::Administer);
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Account" }
                th scope="col" { "Role" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for member in members {
                    @let path = frame.scope.api(&format!("/members/{}", member.user));
                    tr data-key=(member.user) {
                        th scope="row" { (member.user) @if member.hub_admin { " " span.chip { "runs the hub" } } }
                        td data-name="Role" {
                            @if administers && !member.hub_admin {
                                form.form.line method="post" data-method="PUT" data-send=(path)
                                    data-done={ "Role of " (member.user) " changed." } data-answer="answer" {
                                    select name="role" aria-label={ "Role of " (member.user) } { (form::roles(Role::Admin, member.role)) }
                                    button type="submit" { "Set" }
                                }
                            } @else { (role_name(member.role)) }
                        }
                        td.end data-name="" {
                            @if administers && !member.hub_admin {
                                button.danger.small type="button" data-ask="remove" data-method="DELETE" data-send=(path) data-what=(member.user)
                                    aria-label={ "Remove " (member.user) } { "Remove …" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The table of roles, so that nobody has to look it up.
fn roles() -> Markup {
    html! {
        details.card {
            summary { "What each role may do" }
            div.scroll { table.matrix {
                thead { tr {
                    th scope="col" { "Role" }
                    @for permission in Permission::ALL { th scope="col" { (permission.name()) } }
                } }
                tbody {
                    @for role in ROLES {
                        tr {
                            th scope="row" { (role_name(role)) }
                            @for permission in Permission::ALL {
                                td {
                                    @if permits(role, permission) { "yes" } @else { span.dim { (format::NOTHING) } }
                                }
                            }
                        }
                    }
                }
            } }
        }
    }
}
