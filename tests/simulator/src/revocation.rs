//! Taking an invitation back, by the API or by hand.

use crate::answer::Answer;
use crate::call::Call;
use crate::person::InvitationState;
use crate::state::State;
use crate::switches::{Answered, RevokedRow};
use jiff::Timestamp;
use serde_json::{Value, json};

impl State {
    pub(crate) fn revoke_invitation(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let Some(email) = fields.get("email").and_then(Value::as_str) else {
            return self.invalid_field("email", "This field is required.");
        };
        if self.revoke(email) {
            return Answer::json(200, json!({}));
        }
        match self.switches.revoke_unknown {
            Answered::Ok => Answer::json(200, json!({})),
            Answered::BadRequest => self.refuse(400, "There is no invite for this email"),
            Answered::NotFound => self.refuse(404, "Invite not found"),
        }
    }

    /// False: there is no open or expired invitation for this address.
    pub(crate) fn revoke(&mut self, email: &str) -> bool {
        let Some(person) = self.roster.find(email) else { return false };
        let now = Timestamp::now();
        if !matches!(person.invitation_state(now), Some(InvitationState::Open | InvitationState::Expired)) {
            return false;
        }
        let user = person.user_id;
        match self.switches.revoked_row {
            RevokedRow::Removed => {
                self.roster.forget(user);
            }
            RevokedRow::LeftPending => {
                self.roster.edit(user, |person| person.invitation = None);
            }
            RevokedRow::LeftInvited => {
                self.roster.edit(user, |person| {
                    if let Some(invitation) = person.invitation.as_deref_mut() {
                        invitation.state = InvitationState::Revoked;
                    }
                });
            }
        }
        true
    }
}
