//! The link by which anybody may sign up: reading it, and making a new one, which kills the old.

use crate::answer::Answer;
use crate::call::Call;
use crate::state::{State, random_word};
use serde_json::{Value, json};

impl State {
    pub(crate) fn invite_link(&self, call: &Call) -> Value {
        let token = &self.organization.invite_token;
        // Measured: reading the link leaves the sub-path out, resetting it does not.
        let prefix = if call.method == "POST" { self.sub_path.as_str() } else { "" };
        let path = format!("{prefix}/user/signup/?token={token}");
        let url = if self.switches.invite_url_absolute && !self.is_community() {
            let host = call.header("host").unwrap_or("localhost");
            format!("http://{host}{}/user/signup/?token={token}", self.sub_path)
        } else {
            path
        };
        json!({"token": token, "invite_url": url})
    }

    pub(crate) fn get_invite_link(&self, call: &Call) -> Answer {
        if !self.organization.allow_invite_people && !self.is_community() {
            return self.refuse(403, "Organization does not allow to invite people");
        }
        Answer::json(200, self.invite_link(call))
    }

    pub(crate) fn reset_invite_link(&mut self, call: &Call) -> Answer {
        self.organization.invite_token = random_word();
        Answer::json(201, self.invite_link(call))
    }
}
