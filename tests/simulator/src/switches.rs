//! One switch for each answer that the published contract leaves open. `Default` is the likeliest behaviour; a client must
//! be right under every setting. Nothing here decides anything by itself.

use serde::{Deserialize, Serialize};

/// The role that the roster shows for somebody who has not accepted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenInvitationRole {
    #[default]
    Pending,
    Target,
}

/// What an invitation answers for somebody who needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Superfluous {
    /// 200, and nothing happens.
    Ignored,
    /// 200, and another mail goes out.
    MailedAgain,
    BadRequest,
    Conflict,
}

/// The same address twice in one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateInBatch {
    #[default]
    MailedOnce,
    MailedTwice,
    BadRequest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidAddress {
    #[default]
    BadRequest,
    /// Mailed into the void.
    Accepted,
}

/// Whom a batch mails that is refused because of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedBatch {
    #[default]
    NobodyMailed,
    /// Those before the bad address.
    PartMailed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    BadRequest,
    #[default]
    Forbidden,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        match self {
            Refusal::BadRequest => 400,
            Refusal::Forbidden => 403,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedRow {
    #[default]
    Removed,
    /// The row stays, with role NO and no sign of an invitation.
    LeftPending,
    /// The row looks as before, but the invitation is dead.
    LeftInvited,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Ok,
    BadRequest,
    #[default]
    NotFound,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastTheEnd {
    #[default]
    NotFound,
    EmptyList,
}

/// How `search` looks at an e-mail address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchEmail {
    #[default]
    Part,
    Whole,
    /// Names only.
    NotAtAll,
    /// The parameter is ignored: everybody is listed.
    Ignored,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceAccountToken {
    #[default]
    Both,
    Legacy,
    Personal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoMailServer {
    /// 500, since the server waits for its mail server and fails.
    #[default]
    ServerError,
    /// 200, and the mail is lost.
    Lost,
}

/// Every open question, one field each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each one is an open question of its own")]
pub struct Switches {
    // Open invitations
    pub open_invitation_role: OpenInvitationRole,
    pub open_invitations_listed: bool,
    pub revoked_row: RevokedRow,
    pub revoke_unknown: Answered,
    pub patch_open_invitation: Answered,
    /// Seconds after which an open invitation expires by itself; none: only by deed.
    pub invitation_life_seconds: Option<u64>,

    // POST /api/invite/send-email
    pub invite_existing_member: Superfluous,
    pub invite_already_invited: Superfluous,
    pub duplicate_in_batch: DuplicateInBatch,
    pub invalid_address: InvalidAddress,
    pub refused_batch: RefusedBatch,
    pub email_case_kept: bool,
    /// An empty JSON object as body; false: no body at all.
    pub send_email_answers_json: bool,
    pub no_mail_server: NoMailServer,
    /// Somebody removed who is invited again is the same user as before.
    pub reinvited_keeps_user_id: bool,

    // Seats and roles
    pub seat_limit_refusal: Refusal,
    pub invitation_needs_free_seat: bool,
    pub delete_frees_seat: bool,
    pub role_management_refusal: Refusal,
    /// set-default-role clears what was not sent.
    pub default_role_touches_others: bool,

    // Listing
    pub default_page_size: usize,
    pub max_page_size: Option<usize>,
    pub past_the_end: PastTheEnd,
    pub search_email: SearchEmail,
    pub count_includes_hidden: bool,
    /// False: they are counted, and only a search shows them.
    pub deactivated_listed: bool,
    pub service_account_listed: bool,
    pub service_account_counted: bool,
    /// Open source on SQLite: a page of 999 rows or more is a 500.
    pub sqlite_page_limit: bool,
    /// Older Enterprise servers know neither `role_source` nor `user_type`.
    pub newer_member_fields: bool,
    pub seat_report_available: bool,

    // The rest
    pub service_account_token: ServiceAccountToken,
    pub invite_url_absolute: bool,
    /// Seconds in the `Retry-After` of a 429; none: no such header.
    pub retry_after: Option<u64>,
    /// A 429 as HTML, as a proxy in front would make it.
    pub too_many_requests_html: bool,
    /// A closed sign-up refuses even the very first one.
    pub closed_signup_binds_first: bool,
    /// Very old servers do not say their edition.
    pub edition_in_version: bool,
    /// A title that is a JSON number is stored as text; false: refused.
    pub numbers_become_text: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Switches {
            open_invitation_role: OpenInvitationRole::default(),
            open_invitations_listed: true,
            revoked_row: RevokedRow::default(),
            revoke_unknown: Answered::NotFound,
            patch_open_invitation: Answered::Ok,
            invitation_life_seconds: None,
            invite_existing_member: Superfluous::Ignored,
            invite_already_invited: Superfluous::MailedAgain,
            duplicate_in_batch: DuplicateInBatch::default(),
            invalid_address: InvalidAddress::default(),
            refused_batch: RefusedBatch::default(),
            email_case_kept: false,
            send_email_answers_json: true,
            no_mail_server: NoMailServer::default(),
            reinvited_keeps_user_id: true,
            seat_limit_refusal: Refusal::BadRequest,
            invitation_needs_free_seat: true,
            delete_frees_seat: true,
            role_management_refusal: Refusal::Forbidden,
            default_role_touches_others: false,
            default_page_size: 20,
            max_page_size: None,
            past_the_end: PastTheEnd::default(),
            search_email: SearchEmail::default(),
            count_includes_hidden: false,
            deactivated_listed: true,
            service_account_listed: true,
            service_account_counted: true,
            sqlite_page_limit: true,
            newer_member_fields: true,
            seat_report_available: true,
            service_account_token: ServiceAccountToken::default(),
            invite_url_absolute: false,
            retry_after: Some(1),
            too_many_requests_html: false,
            closed_signup_binds_first: true,
            edition_in_version: true,
            numbers_become_text: true,
        }
    }
}
