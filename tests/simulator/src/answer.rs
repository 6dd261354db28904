//! The shapes of an answer: JSON, the error wrapper every refusal comes in, web pages. It decides no refusal.

use crate::call::BadBody;
use crate::pages;
use crate::state::State;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Nothing,
    Json(Value),
    Html(String),
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Answer {
        Answer { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub(crate) fn html(status: u16, body: impl Into<String>) -> Answer {
        Answer { status, headers: Vec::new(), body: Body::Html(body.into()) }
    }

    pub(crate) fn nothing(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Body::Nothing }
    }

    pub(crate) fn redirect(to: &str) -> Answer {
        Answer::html(302, "").with("location", to)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// The page for a path without a route, whatever `Accept` says.
    pub(crate) fn page_not_found() -> Answer {
        Answer::html(404, pages::not_found())
    }
}

impl State {
    /// The wrapper around every refusal of the API.
    pub(crate) fn refuse(&self, status: u16, detail: impl Into<String>) -> Answer {
        Answer::json(status, self.wrapper(status, &detail.into()))
    }

    pub(crate) fn invalid(&self, errors: &Value) -> Answer {
        let mut body = self.wrapper(400, "Validation error");
        body["validation_errors"] = errors.clone();
        Answer::json(400, body)
    }

    pub(crate) fn invalid_field(&self, field: &str, message: &str) -> Answer {
        self.invalid(&json!({ field: [message] }))
    }

    pub(crate) fn forbidden(&self) -> Answer {
        self.refuse(403, "You do not have permission to perform this action.")
    }

    pub(crate) fn bad_body(&self, problem: BadBody) -> Answer {
        match problem {
            BadBody::Malformed(why) => self.refuse(400, format!("JSON parse error - {why}")),
            BadBody::MediaType(kind) => self.refuse(415, format!("Unsupported media type \"{kind}\" in request.")),
            BadBody::NotAnObject(kind) => {
                self.invalid_field("non_field_errors", &format!("Invalid data. Expected a dictionary, but got {kind}."))
            }
        }
    }

    fn wrapper(&self, status: u16, detail: &str) -> Value {
        json!({
            "id": uuid::Uuid::new_v4().to_string(),
            "status_code": status,
            "version": self.version,
            "detail": detail,
            "exc_info": null,
        })
    }
}
