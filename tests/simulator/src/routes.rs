//! Which paths there are, which methods each has, and how each takes a trailing slash. What they do is elsewhere.

use crate::options::Edition;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Root,
    Health,
    Metrics,
    Version,
    Login,
    Signup,
    Logout,
    Whoami,
    CurrentUser,
    LegacyToken,
    ResetLegacyToken,
    PersonalTokens,
    RefreshToken,
    RotateToken,
    BlacklistToken,
    TokenSettings,
    Organizations,
    Organization(u64),
    Memberships(u64),
    Membership(u64, u64),
    DefaultRole(u64),
    SeatReport(u64),
    BillingInfo,
    InviteLink,
    ResetInviteLink,
    SendEmail,
    RevokeInvite,
    SessionPolicy,
    Workspaces,
    Workspace(u64),
    WorkspaceMembers(u64),
    WorkspaceBulk(u64),
    Users,
    User(u64),
}

pub(crate) struct Found {
    pub route: Route,
    /// As the `Allow` header says it.
    pub allow: &'static str,
    /// Published with a trailing slash: then it may be left out, and "not found" is JSON. Else it is a web page.
    pub slashed: bool,
    /// Answers without credentials.
    pub open: bool,
}

const READ: &str = "GET, HEAD, OPTIONS";
const READ_POST: &str = "GET, POST, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";
const ANY: &str = "*";

pub(crate) fn find(path: &str, edition: Edition) -> Option<Found> {
    let enterprise = edition == Edition::Enterprise;
    let slash = path.len() > 1 && path.ends_with('/');
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let id = |text: &str| text.parse::<u64>().ok();
    let route = |route, allow, slashed| Some(Found { route, allow, slashed, open: false });
    let open = |route, allow, slashed| Some(Found { route, allow, slashed, open: true });
    let found = match segments.as_slice() {
        [] => open(Route::Root, ANY, true),
        ["health"] => open(Route::Health, ANY, true),
        ["metrics"] => open(Route::Metrics, ANY, true),
        ["logout"] => open(Route::Logout, ANY, true),
        ["user", "login"] => open(Route::Login, ANY, true),
        ["user", "signup"] => open(Route::Signup, ANY, true),
        ["api", "version"] => open(Route::Version, READ, true),
        ["api", "token"] => route(Route::PersonalTokens, READ_POST, true),
        ["api", "token", "refresh"] => open(Route::RefreshToken, POST, true),
        ["api", "token", "rotate"] => route(Route::RotateToken, POST, true),
        ["api", "token", "blacklist"] => open(Route::BlacklistToken, POST, true),
        ["api", "jwt", "settings"] => route(Route::TokenSettings, READ_POST, false),
        ["api", "current-user"] if enterprise => route(Route::CurrentUser, READ, false),
        ["api", "current-user", "whoami"] => route(Route::Whoami, READ, false),
        ["api", "current-user", "token"] => route(Route::LegacyToken, READ, false),
        ["api", "current-user", "reset-token"] => route(Route::ResetLegacyToken, POST, true),
        ["api", "organizations"] => route(Route::Organizations, READ_POST, true),
        ["api", "organizations", org] => route(Route::Organization(id(org)?), "GET, PUT, PATCH, HEAD, OPTIONS", false),
        ["api", "organizations", org, "memberships"] => {
            let allow = if enterprise { "GET, PATCH, HEAD, OPTIONS" } else { READ };
            route(Route::Memberships(id(org)?), allow, false)
        }
        ["api", "organizations", org, "memberships", user] => {
            route(Route::Membership(id(org)?, id(user)?), "DELETE, GET", true)
        }
        ["api", "organizations", org, "set-default-role"] if enterprise => {
            route(Route::DefaultRole(id(org)?), "PATCH, OPTIONS", false)
        }
        ["api", "organizations", org, "seat-report"] if enterprise => route(Route::SeatReport(id(org)?), READ, false),
        ["api", "billing", "info"] if enterprise => route(Route::BillingInfo, READ, false),
        ["api", "invite"] => route(Route::InviteLink, READ, false),
        ["api", "invite", "reset-token"] => route(Route::ResetInviteLink, POST, false),
        ["api", "invite", "send-email"] if enterprise => route(Route::SendEmail, POST, false),
        ["api", "invite", "revoke"] if enterprise => route(Route::RevokeInvite, POST, false),
        ["api", "session-policy"] => route(Route::SessionPolicy, "GET, PATCH, HEAD, OPTIONS", true),
        ["api", "workspaces"] if enterprise => route(Route::Workspaces, READ_POST, true),
        ["api", "workspaces", space] if enterprise => route(Route::Workspace(id(space)?), READ, true),
        ["api", "workspaces", space, "memberships"] if enterprise => {
            route(Route::WorkspaceMembers(id(space)?), "GET, POST, DELETE, HEAD, OPTIONS", true)
        }
        ["api", "workspaces", space, "memberships", "bulk"] if enterprise => {
            route(Route::WorkspaceBulk(id(space)?), POST, true)
        }
        ["api", "users"] => route(Route::Users, "GET, POST, HEAD", true),
        ["api", "users", user] => route(Route::User(id(user)?), "GET, HEAD, PATCH, DELETE", true),
        _ => None,
    }?;
    // A surplus slash is no route at all, and nothing redirects.
    (found.slashed || !slash).then_some(found)
}

impl Found {
    pub(crate) fn allows(&self, method: &str) -> bool {
        self.allow == ANY || self.allow.split(", ").any(|m| m == method)
    }
}
