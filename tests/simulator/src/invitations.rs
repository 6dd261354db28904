//! Invitations by mail: who is mailed, who is not and who is refused. Taking one back is in `revocation.rs`.

use crate::answer::Answer;
use crate::call::Call;
use crate::members::{ASSIGNABLE, number};
use crate::person::{Invitation, InvitationState, Person, Role};
use crate::signup::is_address;
use crate::state::{Mail, State};
use crate::switches::{DuplicateInBatch, InvalidAddress, NoMailServer, RefusedBatch, Superfluous};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::HashSet;

/// What one request invites to.
struct Offer {
    role: Role,
    user_type: String,
    workspaces: Vec<u64>,
    projects: Vec<u64>,
    by: u64,
}

/// What is to happen to one address of a batch.
enum Verdict {
    Mail,
    Skip,
    Refuse(u16, &'static str),
}

impl State {
    pub(crate) fn send_invitations(&mut self, caller: u64, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let (emails, offer) = match self.offer(caller, &fields) {
            Ok(wanted) => wanted,
            Err(refusal) => return refusal,
        };
        if !self.organization.allow_invite_people || self.organization.license_expired {
            return self.refuse(403, "Organization does not allow to invite people");
        }
        if !self.organization.mail_configured && self.switches.no_mail_server == NoMailServer::ServerError {
            return self.refuse(500, "[Errno 111] Connection refused");
        }
        if self.switches.invitation_needs_free_seat && offer.role.is_working() {
            let needed = emails.iter().filter(|e| self.roster.find(e).is_none_or(Person::is_deleted)).count();
            if self.seats_left().is_some_and(|left| left < needed) {
                let status = self.switches.seat_limit_refusal.status();
                return self.refuse(status, "The seat limit of this organization is reached");
            }
        }
        if let Some(refusal) = self.invite_all(&emails, &offer) {
            return refusal;
        }
        if self.switches.send_email_answers_json { Answer::json(200, json!({})) } else { Answer::nothing(200) }
    }

    fn offer(&self, by: u64, fields: &Map<String, Value>) -> Result<(Vec<String>, Offer), Answer> {
        let Some(emails) = fields.get("emails") else {
            return Err(self.invalid_field("emails", "This field is required."));
        };
        let Some(emails) = emails.as_array() else {
            return Err(self.invalid_field("emails", "Expected a list of items."));
        };
        if emails.is_empty() {
            return Err(self.invalid_field("emails", "This list may not be empty."));
        }
        let Some(emails) = emails.iter().map(|e| e.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>() else {
            return Err(self.invalid_field("emails", "Not a valid string."));
        };
        let user_type = fields.get("user_type").and_then(Value::as_str).unwrap_or("standard").to_owned();
        let role = match (fields.get("role"), user_type.as_str()) {
            (None | Some(Value::Null), "viewonly") => Role::VIEW_ONLY,
            (Some(_), "viewonly") => return Err(self.invalid_field("role", "View-Only members cannot have a role.")),
            (Some(Value::String(code)), "standard" | "flex") if ASSIGNABLE.contains(&code.as_str()) && code != "OW" => {
                Role::from(code.as_str())
            }
            (None | Some(Value::Null), _) => return Err(self.invalid_field("role", "This field is required.")),
            (Some(other), "standard" | "flex") => {
                return Err(self.invalid_field("role", &format!("{other} is not a valid choice.")));
            }
            _ => return Err(self.invalid_field("user_type", &format!("\"{user_type}\" is not a valid choice."))),
        };
        let ids =
            |name: &str| fields.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(number).collect();
        Ok((emails, Offer { role, user_type, workspaces: ids("workspaces"), projects: ids("projects"), by }))
    }

    fn invite_all(&mut self, emails: &[String], offer: &Offer) -> Option<Answer> {
        let mut seen = HashSet::new();
        let mut to_mail = Vec::new();
        let mut refusal = None;
        for (place, email) in emails.iter().enumerate() {
            let first_time = seen.insert(crate::roster::fold(email));
            match self.verdict(email, first_time) {
                Verdict::Mail => to_mail.push(email),
                Verdict::Skip => {}
                Verdict::Refuse(status, message) => {
                    refusal = Some(if status == 400 {
                        // A list's errors come under the place of the bad one, not as a list of messages.
                        self.invalid(&json!({"emails": {place.to_string(): [message]}}))
                    } else {
                        self.refuse(status, message)
                    });
                    break;
                }
            }
        }
        if refusal.is_some() && self.switches.refused_batch == RefusedBatch::NobodyMailed {
            return refusal;
        }
        for email in to_mail {
            self.invite(email, offer);
        }
        refusal
    }

    fn verdict(&self, email: &str, first_time: bool) -> Verdict {
        if !is_address(email.trim()) && self.switches.invalid_address == InvalidAddress::BadRequest {
            return Verdict::Refuse(400, "Enter a valid email address.");
        }
        if !first_time {
            return match self.switches.duplicate_in_batch {
                DuplicateInBatch::MailedOnce => Verdict::Skip,
                DuplicateInBatch::MailedTwice => Verdict::Mail,
                DuplicateInBatch::BadRequest => Verdict::Refuse(400, "Duplicate email address."),
            };
        }
        let Some(person) = self.roster.find(email).filter(|p| !p.is_deleted()) else { return Verdict::Mail };
        let how = match person.invitation_state(Timestamp::now()) {
            Some(InvitationState::Open) => self.switches.invite_already_invited,
            Some(InvitationState::Expired | InvitationState::Revoked) => return Verdict::Mail,
            Some(InvitationState::Accepted) | None => self.switches.invite_existing_member,
        };
        match how {
            Superfluous::Ignored => Verdict::Skip,
            Superfluous::MailedAgain => Verdict::Mail,
            Superfluous::BadRequest => Verdict::Refuse(400, "This user is already a member of the organization."),
            Superfluous::Conflict => Verdict::Refuse(409, "This user is already a member of the organization."),
        }
    }

    fn invite(&mut self, email: &str, offer: &Offer) {
        let address = if self.switches.email_case_kept { email.trim().to_owned() } else { crate::roster::fold(email) };
        let now = Timestamp::now();
        let life = self.switches.invitation_life_seconds.and_then(|s| i64::try_from(s).ok());
        let invitation = Box::new(Invitation {
            role: offer.role.clone(),
            invited_at: now,
            invited_by: offer.by,
            state: InvitationState::Open,
            expires_at: life.and_then(|s| now.checked_add(SignedDuration::from_secs(s)).ok()),
            workspaces: offer.workspaces.clone(),
            projects: offer.projects.clone(),
        });
        let user_type = match offer.user_type.as_str() {
            "flex" => "flex",
            "viewonly" => "viewonly",
            _ => "standard",
        };
        let fill = |person: &mut Person| {
            person.role = Role::PENDING;
            person.user_type = Cow::Borrowed(user_type);
            person.deleted_at = None;
            person.invitation = Some(invitation);
        };
        match self.roster.id_of(&address) {
            Some(user) if self.roster.get(user).is_some_and(Person::is_deleted) => {
                if self.switches.reinvited_keeps_user_id {
                    let membership = self.roster.next_membership();
                    self.roster.edit(user, |person| {
                        person.membership_id = membership;
                        fill(person);
                    });
                } else {
                    self.roster.release_address(&address);
                    self.add_invited(&address, now, fill);
                }
            }
            Some(user) => {
                // A member who is mailed all the same keeps the role.
                self.roster.edit(user, |person| {
                    if person.is_invited() {
                        fill(person);
                    }
                });
            }
            None => self.add_invited(&address, now, fill),
        }
        if !self.organization.mail_configured {
            return;
        }
        self.send_mail(Mail {
            to: address,
            role: offer.role.clone(),
            user_type: offer.user_type.clone(),
            workspaces: offer.workspaces.clone(),
            projects: offer.projects.clone(),
            sent_at: now,
        });
    }

    /// As an administrator does it in the web interface: no permission is asked, a mail goes out.
    pub(crate) fn invite_by_hand(&mut self, email: &str, role: &str) {
        let by = self.organization.owner;
        let user_type = "standard".to_owned();
        let offer = Offer { role: Role::from(role), user_type, workspaces: Vec::new(), projects: Vec::new(), by };
        self.invite(email, &offer);
    }

    fn add_invited(&mut self, address: &str, now: Timestamp, fill: impl FnOnce(&mut Person)) {
        self.roster.add(|user, row| {
            let mut person = Person::new(user, row, address, Role::PENDING, now);
            fill(&mut person);
            person
        });
    }
}
