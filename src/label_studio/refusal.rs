//! What Label Studio says when it refuses. Only `detail`, `validation_errors` and the error's `id` of parsed JSON are
//! kept, cut and cleaned: anything else of an answer could be somebody else's page.

use std::collections::BTreeMap;

use serde_json::Value;

/// Longest text that is kept of any one message, in bytes.
const LONGEST: usize = 300;
/// Most fields, and most messages of one field, that are kept.
const MOST: usize = 20;
/// A run of letters and digits this long is taken for a token: server errors quote what they choked on.
const LONGEST_WORD: usize = 32;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) detail: Option<String>,
    pub(super) fields: BTreeMap<String, Vec<String>>,
    pub(super) error_id: Option<String>,
}

/// Reads the body of a refusal. `secret` is our own token, should the server quote it.
pub(super) fn read(body: &[u8], secret: &str) -> Refusal {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(body) else {
        return Refusal::default();
    };
    let clean = |text: &str| cut(&without_secrets(text, secret));
    let mut fields = BTreeMap::new();
    if let Some(Value::Object(errors)) = body.get("validation_errors") {
        for (field, value) in errors.iter().take(MOST) {
            let mut messages = Vec::new();
            flatten(value, &mut messages);
            fields.insert(clean(field), messages.iter().map(|m| clean(m)).collect());
        }
    }
    Refusal {
        detail: body.get("detail").and_then(Value::as_str).map(clean),
        fields,
        error_id: body.get("id").and_then(Value::as_str).and_then(identifier),
    }
}

/// Cut at 300 bytes, on a letter's edge, in one line.
pub(super) fn cut(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if line.len() + c.len_utf8() > LONGEST {
            break;
        }
        line.push(c);
    }
    line.trim().to_owned()
}

/// Cut at so many letters: what a server sends must not flood a status.
pub(super) fn at_most(letters: usize, mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(letters) {
        text.truncate(end);
    }
    text
}

/// Messages of a field: a list of strings, a bare string, or (for a list of values) an object by index.
fn flatten(value: &Value, messages: &mut Vec<String>) {
    if messages.len() >= MOST {
        return;
    }
    match value {
        Value::String(text) => messages.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|v| flatten(v, messages)),
        Value::Object(values) => values.values().for_each(|v| flatten(v, messages)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn without_secrets(text: &str, secret: &str) -> String {
    let text = if secret.is_empty() { text.to_owned() } else { text.replace(secret, "***") };
    let mut clean = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            word.push(c);
        } else {
            clean.push_str(known_word(&word));
            word.clear();
            clean.push(c);
        }
    }
    clean.push_str(known_word(&word));
    clean
}

fn known_word(word: &str) -> &str {
    let mixed = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(|c| c.is_ascii_alphabetic());
    if word.len() >= LONGEST_WORD && mixed { "***" } else { word }
}

/// An error's id is a UUID; anything else in its place is not passed on.
fn identifier(id: &str) -> Option<String> {
    let plain = id.len() <= 64 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    (plain && !id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapper_of_label_studio_is_read() {
        let body = br#"{"id":"3f2b6c1e-0a77-4a52-9a3c-0d7b0a1c2d3e","status_code":400,"version":"1.23.2",
            "detail":"Validation error","exc_info":null,"validation_errors":{
                "title":["This field may not be blank."],"flag":"Not a bool.",
                "emails":{"0":["Enter a valid email address."]}}}"#;
        let refusal = read(body, "secret");
        assert_eq!(refusal.detail.as_deref(), Some("Validation error"));
        assert_eq!(refusal.error_id.as_deref(), Some("3f2b6c1e-0a77-4a52-9a3c-0d7b0a1c2d3e"));
        assert_eq!(refusal.fields["title"], ["This field may not be blank."]);
        assert_eq!(refusal.fields["flag"], ["Not a bool."]);
        assert_eq!(refusal.fields["emails"], ["Enter a valid email address."]);
    }

    #[test]
    fn what_is_no_json_object_leaves_nothing() {
        for body in ["<html>internal page</html>", "", "[1]", "\"text\"", "{\"secret\":\"x\"}"] {
            assert_eq!(read(body.as_bytes(), ""), Refusal::default(), "{body}");
        }
    }

    #[test]
    fn no_token_survives_in_a_message() {
        let long = "a1".repeat(20);
        let body = format!(
            r#"{{"detail":"bad sesame in /user/signup/?token={long}","validation_errors":{{"x":["eyJ0{long}.{long}.z"]}}}}"#
        );
        let refusal = read(body.as_bytes(), "sesame");
        assert_eq!(refusal.detail.as_deref(), Some("bad *** in /user/signup/?token=***"));
        assert_eq!(refusal.fields["x"], ["***.***.z"]);
    }

    #[test]
    fn an_address_and_an_ordinary_sentence_stay() {
        let text = "User a.very-long.local-part.of.an-address@sub.domain.example.com is a member already.";
        let body = serde_json::json!({ "detail": text }).to_string();
        assert_eq!(read(body.as_bytes(), "sesame").detail.as_deref(), Some(text));
    }

    #[test]
    fn messages_are_cut_on_a_letters_edge_and_counted() {
        assert_eq!(cut(&"é".repeat(500)).len(), 300);
        assert_eq!(cut("a\r\nb"), "a  b");
        assert_eq!(at_most(3, "éééé".to_owned()), "ééé");
        assert_eq!(at_most(4, "éééé".to_owned()), "éééé");
        let many: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
        let body = serde_json::json!({ "validation_errors": { "x": many } }).to_string();
        assert_eq!(read(body.as_bytes(), "").fields["x"].len(), MOST);
    }
}
