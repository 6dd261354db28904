//! A request as the endpoints see it: path below the sub-path, query and body parsed. It decides nothing.

use hyper::HeaderMap;
use serde_json::{Map, Value};

#[derive(Debug)]
pub(crate) struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    pub parameters: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why a body cannot be used.
pub(crate) enum BadBody {
    Malformed(String),
    MediaType(String),
    NotAnObject(&'static str),
}

impl Call {
    pub(crate) fn new(method: &str, path: &str, query: &str, headers: HeaderMap, body: Vec<u8>) -> Call {
        Call {
            method: method.to_owned(),
            path: percent_decoded(path, false),
            query: query.to_owned(),
            parameters: form(query),
            headers,
            body,
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        // The last one wins, as in Django's QueryDict.
        self.parameters.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.parameter(name)?.to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.header("cookie")?
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    }

    fn media_type(&self) -> &str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    pub(crate) fn form_body(&self) -> Vec<(String, String)> {
        if self.media_type() == "application/x-www-form-urlencoded" {
            form(&String::from_utf8_lossy(&self.body))
        } else {
            Vec::new()
        }
    }

    /// JSON or a form; nothing at all is an empty object.
    pub(crate) fn fields(&self) -> Result<Map<String, Value>, BadBody> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match self.media_type() {
            "application/json" => match serde_json::from_slice(&self.body) {
                Ok(Value::Object(fields)) => Ok(fields),
                Ok(Value::Array(_)) => Err(BadBody::NotAnObject("list")),
                Ok(Value::String(_)) => Err(BadBody::NotAnObject("str")),
                Ok(Value::Number(_)) => Err(BadBody::NotAnObject("int")),
                Ok(Value::Bool(_)) => Err(BadBody::NotAnObject("bool")),
                Ok(Value::Null) => Err(BadBody::NotAnObject("NoneType")),
                Err(e) => Err(BadBody::Malformed(e.to_string())),
            },
            "application/x-www-form-urlencoded" => {
                Ok(self.form_body().into_iter().map(|(n, v)| (n, Value::from(v))).collect())
            }
            other => Err(BadBody::MediaType(other.to_owned())),
        }
    }
}

fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name, true), percent_decoded(value, true))
        })
        .collect()
}

/// `plus_is_blank` in queries and forms: an address sent with a bare `+` arrives damaged, as it would for real.
fn percent_decoded(text: &str, plus_is_blank: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex =
            bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(if bytes[at] == b'+' && plus_is_blank { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// How an answer shows a query after one of its parameters changed: sorted by nothing, the others as they came.
pub(crate) fn with_parameter(parameters: &[(String, String)], name: &str, value: Option<&str>) -> String {
    let mut parts: Vec<String> = parameters
        .iter()
        .filter(|(n, _)| n != name)
        .map(|(n, v)| format!("{}={}", percent_encoded(n), percent_encoded(v)))
        .collect();
    if let Some(value) = value {
        parts.push(format!("{name}={value}"));
    }
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
